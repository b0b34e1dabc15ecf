r"""Detects in images with a file that ssd_vgg16_export_model wrote.

    python -m object_detection.recipes.ssd_vgg16_detect --model=model300.pb \
        --output-dir=test-out image.jpg images/

Flags and files are those of the command detect.py of the SSD-VGG for Ascend:
--output-dir gets <image> with its boxes drawn, and <image>.txt with a line
`label label_id cx cy w h` for each of them, the centre and size as shares of
the image. Images are resized to the size that the network takes.
"""

import argparse
import contextlib
import os
import sys

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

from absl import logging  # noqa: E402

from object_detection.inference import (  # noqa: E402
    detection_outputs,
    detection_run,
    detector,
    drawn_images,
    image_sources,
    model_loading,
)
from object_detection.recipes import (  # noqa: E402
    ssd_vgg16_export_model,
)
from object_detection.utils import command, devices  # noqa: E402

_LABEL_MAP_ENDING = ".pbtxt"


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    devices.set_up()
    sources = image_sources.find(arguments.files)
    model = detector.Detector.from_saved_model(
        arguments.model,
        label_map_path=_label_map_path(arguments),
        batch_size=arguments.batch_size,
    )
    directory = arguments.output_dir
    with contextlib.ExitStack() as stack:
        summary = detection_run.detect(
            model,
            sources,
            [
                stack.enter_context(output)
                for output in (
                    detection_outputs.label_texts(directory, model.class_name),
                    drawn_images.drawn_images(directory, model.class_name),
                )
            ],
            min_score=arguments.threshold,
            keeps_images=True,
        )
    print(
        f"[i] {summary.num_detections} detections in {summary.num_images} "
        f"images: {directory}"
    )
    detection_run.report_bad_images(summary, directory)


def _label_map_path(arguments: argparse.Namespace) -> str | None:
    path = arguments.training_data
    if path is None:
        found = ssd_vgg16_export_model.label_map_path(arguments.model)
        return found if os.path.exists(found) else None
    if path.endswith(_LABEL_MAP_ENDING):
        return path
    return model_loading.find_label_map(model_loading.read_configs(path))


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = command.make_parser(__doc__)
    made.add_argument(
        "files", nargs="+", help="images, folders, patterns or videos"
    )
    made.add_argument(
        "--model",
        default="model300.pb",
        help="an exported file, or a SavedModel",
    )
    made.add_argument(
        "--training-data",
        help="label map (.pbtxt), or a pipeline.config that names one; None "
        "for that beside --model",
    )
    made.add_argument(
        "--output-dir", default="test-out", help="where files are written"
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
    return made


if __name__ == "__main__":
    command.run_with_arguments(parser(), main)
