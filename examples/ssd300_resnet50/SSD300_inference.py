r"""Detects objects in images by a checkpoint of SSD300 with ResNet-50.

    python examples/ssd300_resnet50/SSD300_inference.py \
        --checkpoint models/epoch_64 street.jpg --output drawn

prints what scores above 0.3, at most 20 boxes an image, and draws it. Other
programs call `main`.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

# Of the checkout that this file is in, whatever is installed.
sys.path[0] = str(
    pathlib.Path(__file__).resolve().parents[2] / "models" / "research"
)

from PIL import Image  # noqa: E402

from object_detection.core import errors  # noqa: E402
from object_detection.inference import (  # noqa: E402
    detection_outputs,
    detector,
    drawn_images,
    hub,
)
from object_detection.utils import atomic_file, command  # noqa: E402

_PICTURE_ENDING = ".png"


def main(checkpoint_path: str, imgs: Sequence[str]) -> list[list[np.ndarray]]:
    """Returns what a checkpoint finds in images.

    Args:
        checkpoint_path: of a training, with its pipeline.config beside it.
        imgs: paths or http addresses.

    Returns:
        For each image three arrays, best box first: boxes float32 [N, 4],
        left, top, right, bottom as shares of the image; classes int64 [N],
        from 1; and scores float32 [N].

    Raises:
        CheckpointError: there is no checkpoint, or it does not fit.
        ConfigError: its config cannot be read.
        DataError: names the first image that cannot be read.
    """
    found = detector.Detector.from_checkpoint(checkpoint_path)(imgs)
    return [
        list(hub.pick_best(decoded)) for decoded in hub.decode_results(found)
    ]


def _run(arguments: argparse.Namespace) -> None:
    network = detector.Detector.from_checkpoint(
        arguments.checkpoint, arguments.config
    )
    jobs = [
        detector.Job(uri, lambda uri=uri: hub.prepare_input(uri))
        for uri in arguments.images
    ]
    faults = []
    for outcome in network.stream(jobs, keeps_images=True):
        if outcome.fault is not None:
            faults.append(outcome.fault)
            continue
        _print(outcome, network)
        if arguments.output:
            _draw(outcome, network, arguments.output)
    if faults:
        raise errors.DataError("; ".join(faults))


def _print(outcome: detector.Outcome, network: detector.Detector) -> None:
    best = hub.pick_best(hub.decode_results([outcome.detections])[0])
    print(f"{outcome.source}: {len(best.scores)} objects", flush=True)
    for box_ltrb, class_id, score in zip(*best, strict=True):
        sides = " ".join(f"{side:.4f}" for side in box_ltrb)
        print(f"  {score:.3f} {network.class_name(class_id)} {sides}")


def _draw(
    outcome: detector.Outcome, network: detector.Detector, directory: str
) -> None:
    best = outcome.detections.best(hub.MIN_SCORE, hub.MAX_BOXES)
    picture = drawn_images.draw(outcome.image, best, network.class_name)
    stem = os.path.splitext(os.path.basename(outcome.source))[0]
    name = detection_outputs.file_name(stem) + _PICTURE_ENDING
    with atomic_file.replacing(os.path.join(directory, name)) as temporary:
        Image.fromarray(picture).save(temporary)


def _parser() -> argparse.ArgumentParser:
    parser = command.make_parser(__doc__)
    parser.add_argument("images", nargs="+", help="paths or http addresses")
    parser.add_argument(
        "--checkpoint", required=True, help="or a directory, for its newest"
    )
    parser.add_argument(
        "--config", help="None for the pipeline.config beside the checkpoint"
    )
    parser.add_argument("--output", help="folder for pictures; None for none")
    return parser


if __name__ == "__main__":
    command.run_with_arguments(_parser(), _run)
