r"""Detects objects in images, folders, videos and TFRecords.

    python -m object_detection.inference.infer_detections \
        --checkpoint=runs/ssd320 --output_dir=found street.jpg images/ clip.mp4

draws what is found and writes it to `found/detections.json`, in COCO's result
format. The config is the one beside the checkpoint, or
--pipeline_config_path. In place of a checkpoint: --saved_model, of this
project's exporter or another's, or a frozen graph. --outputs says what is
written to --output_dir:

    images  each image with its boxes, under its name; videos as MP4
    json    detections.json
    voc     comp4_det_test_<class>.txt, for Pascal VOC's evaluation
    txt     a file an image, lines `label label_id cx cy w h`, the centre and
            size of a box as shares of the image

and --dump_predictions a .npy file an image with all that the network said.
Of TFRecords, --output_tfrecord_path writes copies with the detections in
them. An image that cannot be read does not stop the others: all such are
named at the end, in `bad_images.json` too, and the exit code is 3.
"""

import contextlib
import os
from collections.abc import Iterator

from absl import flags, logging

from object_detection.core import errors
from object_detection.inference import (
    detection_outputs,
    detection_run,
    detector,
    drawn_images,
    image_sources,
)
from object_detection.training import amp
from object_detection.utils import command, devices, label_map_util

FLAGS = flags.FLAGS

OUTPUTS = ("images", "json", "voc", "txt")


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_multi_string(
        "input",
        [],
        "Image, folder, pattern, video or TFRecord; may be repeated, and "
        "arguments without a flag are inputs as well.",
    )
    flags.DEFINE_list(
        "input_tfrecord_paths", [], "More inputs, separated by commas."
    )
    _define_model_flags()
    _define_output_flags()


def _define_model_flags() -> None:
    flags.DEFINE_string(
        "checkpoint", None, "A checkpoint, or a directory for its newest."
    )
    flags.DEFINE_string(
        "pipeline_config_path",
        None,
        "Config of the checkpoint; the one beside it by default.",
    )
    flags.DEFINE_string(
        "hparams_overrides", None, "Overrides of config values, as in training."
    )
    flags.DEFINE_string(
        "saved_model", None, "A SavedModel, in place of a checkpoint."
    )
    flags.DEFINE_string(
        "inference_graph", None, "A frozen graph, in place of a checkpoint."
    )
    flags.DEFINE_string(
        "label_map_path", None, "In place of the model's own label map."
    )
    flags.DEFINE_integer(
        "batch_size",
        detector.DEFAULT_BATCH_SIZE,
        "Images that the network gets at a time.",
        lower_bound=1,
    )
    flags.DEFINE_boolean(
        "amp", False, "Compute in a 16-bit type where it gains."
    )
    flags.DEFINE_enum(
        "amp_dtype", None, sorted(amp.POLICIES), "The type that --amp uses."
    )


def _define_output_flags() -> None:
    flags.DEFINE_string("output_dir", None, "Where --outputs are written.")
    flags.DEFINE_list(
        "outputs", ["images", "json"], f"Some of {', '.join(OUTPUTS)}."
    )
    flags.DEFINE_boolean(
        "dump_predictions",
        False,
        "Also write <image>.npy, float32 [anchors, classes + box code].",
    )
    flags.DEFINE_string(
        "output_tfrecord_path",
        None,
        "Write the input records with image/detection/* added.",
    )
    flags.DEFINE_boolean(
        "discard_image_pixels", False, "Leave the images out of these records."
    )
    flags.DEFINE_string(
        "category_label_map_path",
        None,
        "The category ids of the JSON file are those that this label map has "
        "for the names of the classes; those of the model by default.",
    )
    flags.DEFINE_float(
        "min_score_threshold",
        0.3,
        "Only detections that score at least so much.",
        lower_bound=0.0,
        upper_bound=1.0,
    )
    flags.DEFINE_integer(
        "max_boxes", None, "At most so many boxes an image.", lower_bound=1
    )


def main(arguments: list[str]) -> None:
    """Does what the flags say."""
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)
    devices.set_up()
    inputs = [*FLAGS.input, *arguments[1:], *FLAGS.input_tfrecord_paths]
    sources = image_sources.find(inputs)
    _check_outputs()
    model = load_detector()
    with contextlib.ExitStack() as stack:
        summary = detection_run.detect(
            model,
            sources,
            [stack.enter_context(output) for output in _outputs(model)],
            min_score=FLAGS.min_score_threshold,
            max_boxes=FLAGS.max_boxes,
            keeps_images="images" in FLAGS.outputs,
            with_raw=FLAGS.dump_predictions,
        )
    speed = ""
    if summary.images_per_second is not None:
        speed = f", {summary.images_per_second:.1f} images/s"
    logging.info(
        "%d detections in %d images%s",
        summary.num_detections,
        summary.num_images,
        speed,
    )
    detection_run.report_bad_images(summary, FLAGS.output_dir)


def load_detector() -> detector.Detector:
    """Returns the detector of the flags.

    Raises:
        ConfigError: not one model is given, or a flag does not suit it.
        CheckpointError: it cannot be loaded.
    """
    given = [
        name
        for name in ("checkpoint", "saved_model", "inference_graph")
        if FLAGS[name].value is not None
    ]
    if len(given) != 1:
        raise errors.ConfigError(
            "expected one of --checkpoint, --saved_model and "
            f"--inference_graph, got {' and '.join(given) or 'none'}"
        )
    if given == ["checkpoint"]:
        return detector.Detector.from_checkpoint(
            FLAGS.checkpoint,
            FLAGS.pipeline_config_path,
            label_map_path=FLAGS.label_map_path,
            hparams_overrides=FLAGS.hparams_overrides,
            compute_dtype=amp.compute_dtype(FLAGS.amp, FLAGS.amp_dtype),
            batch_size=FLAGS.batch_size,
        )
    for name in ("pipeline_config_path", "hparams_overrides", "amp"):
        if FLAGS[name].value:
            raise errors.ConfigError(
                f"--{name}: is for --checkpoint alone; --{given[0]} is "
                "computed as it was exported"
            )
    return detector.Detector.from_saved_model(
        FLAGS[given[0]].value,
        label_map_path=FLAGS.label_map_path,
        batch_size=FLAGS.batch_size,
    )


def _check_outputs() -> None:
    for name in FLAGS.outputs:
        if name not in OUTPUTS:
            raise errors.ConfigError(
                f"--outputs: expected some of {', '.join(OUTPUTS)}, got "
                f"{name!r}"
            )
    if FLAGS.output_dir is None and FLAGS.output_tfrecord_path is None:
        raise errors.ConfigError(
            "--output_dir: is missing; it says where results are written"
        )
    if FLAGS.output_dir is None and FLAGS.dump_predictions:
        raise errors.ConfigError("--dump_predictions: needs --output_dir")


def _outputs(
    model: detector.Detector,
) -> Iterator[contextlib.AbstractContextManager[detection_outputs.Add]]:
    """Yields the outputs that the flags ask for."""
    if FLAGS.output_tfrecord_path is not None:
        yield detection_outputs.tf_records(
            FLAGS.output_tfrecord_path, FLAGS.discard_image_pixels
        )
    directory = FLAGS.output_dir
    if directory is None:
        return
    names = {id_: model.class_name(id_) for id_ in model.category_index}
    if "json" in FLAGS.outputs:
        yield detection_outputs.coco_json(
            os.path.join(directory, detection_outputs.COCO_JSON_NAME),
            _category_ids(model),
        )
    if "voc" in FLAGS.outputs:
        yield detection_outputs.voc_files(directory, names, model.class_name)
    if "txt" in FLAGS.outputs:
        yield detection_outputs.label_texts(directory, model.class_name)
    if FLAGS.dump_predictions:
        yield detection_outputs.raw_arrays(directory)
    if "images" in FLAGS.outputs:
        yield drawn_images.drawn_images(directory, model.class_name)


def _category_ids(model: detector.Detector) -> dict[int, int]:
    path = FLAGS.category_label_map_path
    if path is None:
        return {}
    if model.label_map_path is None:
        raise errors.ConfigError(
            "--category_label_map_path: classes are found by name, but the "
            "model has no label map; add --label_map_path"
        )
    return label_map_util.map_ids(model.label_map_path, path)


if __name__ == "__main__":
    define_flags()
    command.run(main, takes_arguments=True)
