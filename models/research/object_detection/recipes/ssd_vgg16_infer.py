r"""Detects with SSD-VGG in images, or measures it on a data set.

    python -m object_detection.recipes.ssd_vgg16_infer --name=ckpt \
        --annotate=true image.jpg images/

    python -m object_detection.recipes.ssd_vgg16_infer --name=ckpt \
        --data-source=pascal_voc --data-dir=pascal-voc --sample=test

Flags and files are those of the command infer.py of the SSD-VGG for Ascend:
--output-dir gets <image> with its boxes drawn, <image>.npy with what the
network said of each anchor (scores of the classes, background last, then the
box code x, y, w, h), and comp4_det_test_<class>.txt of all images.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

from absl import logging  # noqa: E402

from object_detection.builders import evaluator_builder  # noqa: E402
from object_detection.core import errors  # noqa: E402
from object_detection.inference import (  # noqa: E402
    detection_outputs,
    detection_run,
    detector,
    drawn_images,
    image_sources,
    model_loading,
)
from object_detection.recipes import (  # noqa: E402
    jobs,
    ssd_vgg16_log,
    ssd_vgg16_result,
    ssd_vgg16_run,
    ssd_vgg16_samples,
)
from object_detection.utils import (  # noqa: E402
    command,
    config_util,
    devices,
    label_map_util,
)

_THRESHOLD = (
    "model.ssd.post_processing.batch_non_max_suppression.score_threshold"
)


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    devices.set_up()
    _check(arguments)
    configs = model_loading.read_configs(
        arguments.training_data or arguments.name,
        hparams_overrides=jobs.with_overrides(
            {_THRESHOLD: arguments.threshold}, arguments.hparams_overrides
        ),
    )
    samples = None
    sources = []
    if arguments.data_source:
        samples = ssd_vgg16_samples.find(
            arguments.data_source,
            arguments.data_dir,
            arguments.sample,
            model_loading.find_label_map(configs) or "",
        )
        print(f"[i] # samples: {len(samples.items)} of {samples.name}")
        sources = [samples.source()]
    if arguments.files:
        sources += image_sources.find(arguments.files)
    model = detector.Detector.from_configs(
        configs,
        ssd_vgg16_run.find(arguments.name, arguments.checkpoint),
        batch_size=arguments.batch_size,
    )
    measured = None
    if samples is not None and arguments.compute_stats:
        measured = _make_measuring(samples, configs, model)
    _detect(arguments, model, sources, measured)


def _detect(
    arguments: argparse.Namespace,
    model: detector.Detector,
    sources: list[image_sources.ImageSource],
    measured: ssd_vgg16_samples.Measuring | None,
) -> None:
    with contextlib.ExitStack() as stack:
        outputs = [
            stack.enter_context(output) for output in _outputs(arguments, model)
        ]
        if measured is not None:
            outputs.append(measured.add)
        summary = detection_run.detect(
            model,
            sources,
            outputs,
            keeps_images=arguments.annotate,
            with_raw=arguments.dump_predictions,
        )
    print(
        f"[i] {summary.num_detections} detections in {summary.num_images} "
        "images"
    )
    if measured is not None:
        ssd_vgg16_log.say_average_precisions(measured.compute())
    detection_run.report_bad_images(summary, arguments.output_dir)


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.files and not arguments.data_source:
        raise errors.ConfigError(
            "files: expected images, or --data-source to measure on a data set"
        )
    if not (
        arguments.annotate
        or arguments.dump_predictions
        or arguments.pascal_summary
        or (arguments.data_source and arguments.compute_stats)
    ):
        raise errors.ConfigError(
            "expected --annotate true, --dump-predictions true, "
            "--pascal-summary true, or --data-source with --compute-stats "
            "true; found nothing that is to be made of the images"
        )


def _outputs(
    arguments: argparse.Namespace, model: detector.Detector
) -> Iterator[contextlib.AbstractContextManager[detection_outputs.Add]]:
    """Yields the outputs that the flags ask for."""
    directory = arguments.output_dir
    if arguments.annotate:
        yield drawn_images.drawn_images(directory, model.class_name)
    if arguments.dump_predictions:
        yield _raw_arrays(directory)
    if arguments.pascal_summary:
        names = {id_: model.class_name(id_) for id_ in model.category_index}
        yield detection_outputs.voc_files(directory, names, model.class_name)


@contextlib.contextmanager
def _raw_arrays(directory: str) -> Iterator[detection_outputs.Add]:
    with detection_outputs.raw_arrays(directory) as add:
        yield ssd_vgg16_result.with_these_columns(add)


def _make_measuring(
    samples: ssd_vgg16_samples.Samples,
    configs: config_util.Configs,
    model: detector.Detector,
) -> ssd_vgg16_samples.Measuring:
    categories = label_map_util.create_categories_from_labelmap(
        model.label_map_path
    )
    (evaluator, *_) = evaluator_builder.build(
        configs["eval_config"], categories
    )
    return ssd_vgg16_samples.Measuring(samples, evaluator)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = command.make_parser(__doc__)
    made.add_argument(
        "files", nargs="*", help="images, folders, patterns or videos"
    )
    made.add_argument("--name", default="test", help="folder of the run")
    made.add_argument(
        "--checkpoint",
        default="-1",
        help="which of the run's e<epoch>.ckpt and final.ckpt, from 0, -1 for "
        "the last one; or a path",
    )
    made.add_argument(
        "--training-data",
        help="pipeline.config that the run was trained with, or its folder; "
        "None for that of --name",
    )
    made.add_argument(
        "--output-dir", default="test-output", help="where files are written"
    )
    _add_outputs(made)
    made.add_argument(
        "--data-source",
        help="measure on a data set: pascal_voc, coco or txt, or "
        "package.module:function, see dataset_tools/data_sources.py",
    )
    made.add_argument(
        "--data-dir", default="pascal-voc", help="folder of that data set"
    )
    made.add_argument(
        "--sample",
        choices=ssd_vgg16_samples.NAMES,
        default=ssd_vgg16_samples.TEST,
        help="which part of it",
    )
    made.add_argument(
        "--batch-size",
        type=command.number_from(1),
        default=32,
        help="images that the network gets at a time",
    )
    made.add_argument(
        "--threshold",
        type=command.number_from(0.0, float),
        default=0.5,
        help="only detections that score at least so much",
    )
    made.add_argument("--hparams_overrides", help="of any value of the config")
    return made


def _add_outputs(made: argparse.ArgumentParser) -> None:
    for name, default, text in (
        ("annotate", False, "write the images with their boxes drawn"),
        ("dump-predictions", False, "write the predictions as .npy files"),
        ("compute-stats", True, "measure, with --data-source"),
        ("pascal-summary", False, "write Pascal VOC's files of results"),
    ):
        made.add_argument(
            f"--{name}",
            type=command.true_or_false,
            default=default,
            help=text,
        )


if __name__ == "__main__":
    command.run_with_arguments(parser(), main)
