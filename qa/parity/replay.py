"""Compares this detector with numbers recorded from the original.

    python qa/parity/replay.py qa/parity/testdata/ssd320_full_8gpus

sets the weights, images and boxes that the original had, computes every
recorded quantity and prints expected against found. Exit code 0 when all of
them agree, 1 when not.

Four training steps amplify rounding, in some networks to tens of percents; see
`training_replay`, which measures how much in the detector at hand. A quantity
that is above its limit, but not further off than runs of this detector are
from each other that start from weights changed by a few 1e-5 of themselves,
is marked "rounding" and agrees all the same; with --strict it does not. What
is computed without training has no such excuse.
"""

import argparse
import collections
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import comparison
import golden
import numpy as np
import tensorflow as tf
import training_replay

from object_detection.builders import model_builder
from object_detection.core import containers, errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    PredictionFields,
)
from object_detection.meta_architectures import ssd_meta_arch


def replay(
    directory: pathlib.Path, with_training: bool = True
) -> Iterator[comparison.Comparison]:
    """Yields the comparison of every quantity of a golden directory."""
    recorded = golden.read(directory)
    model = model_builder.build(recorded.model_config, is_training=False)
    images, groundtruth = golden.read_batch(model.num_classes)
    yield _compare_variables(recorded, model)
    _set_golden_weights(model)
    yield from _replay_inference(recorded.values, model, images, groundtruth)
    if with_training:
        yield from training_replay.replay(recorded, images, groundtruth)


def _compare_variables(
    recorded: golden.Golden, model: ssd_meta_arch.SSDMetaArch
) -> comparison.Comparison:
    found = {n: v.shape for n, v in model.checkpoint_variables().items()}
    return comparison.compare_sets(
        "variables (name and shape)",
        recorded.variable_shapes.items(),
        found.items(),
    )


def _set_golden_weights(model: ssd_meta_arch.SSDMetaArch) -> None:
    for name, variable in model.checkpoint_variables().items():
        variable.assign(golden.golden_weights(name, variable.shape))


def _replay_inference(
    expected: dict[str, np.ndarray],
    model: ssd_meta_arch.SSDMetaArch,
    images: np.ndarray,
    groundtruth: containers.Groundtruth,
) -> Iterator[comparison.Comparison]:
    preprocessed, true_shapes = model.preprocess(images)
    predictions = model.predict(preprocessed, true_shapes)
    losses = model.loss(predictions, true_shapes, groundtruth)
    losses["regularization_loss"] = model.regularization_loss()
    detections = model.postprocess(predictions, true_shapes)

    yield comparison.compare_max(
        "true_image_shapes", expected["true_image_shapes"], true_shapes, 0.0
    )
    yield comparison.compare_max(
        "preprocessed_sample",
        expected["preprocessed_sample"],
        np.asarray(preprocessed)[:, ::8, ::8],
        1e-3,
    )
    anchors = np.asarray(predictions[PredictionFields.anchors])
    yield comparison.compare_max(
        "num_anchors", expected["num_anchors"], len(anchors), 0.0
    )
    yield comparison.compare_max("anchors", expected["anchors"], anchors, 1e-6)
    stride = int(expected["anchor_stride"])
    for name, absmean_name in (
        (PredictionFields.box_encodings, "box_encodings_absmean"),
        (
            PredictionFields.class_predictions_with_background,
            "class_predictions_absmean",
        ),
    ):
        found = np.asarray(predictions[name])
        scale = float(expected[absmean_name])
        yield comparison.compare_max(
            name, expected[name], found[:, ::stride], 2e-3, scale=scale
        )
        yield comparison.compare_scalar(
            absmean_name, scale, np.mean(np.abs(found)), 2e-3
        )
    for name, loss in losses.items():
        key = name if name in expected else f"eval_loss/{name}"
        yield comparison.compare_scalar(key, expected[key], loss, 2e-4)
    yield from _compare_detections(expected, detections)


def _compare_detections(
    expected: dict[str, np.ndarray], detections: dict[str, Any]
) -> Iterator[comparison.Comparison]:
    fields = DetectionResultFields
    pairs = {
        name: (expected[f"det/{name}"], np.asarray(detections[name]))
        for name in (
            fields.num_detections,
            fields.detection_scores,
            fields.detection_boxes,
            fields.detection_classes,
        )
    }
    for name, tolerance in (
        (fields.num_detections, 0.0),
        (fields.detection_scores, 1e-3),
    ):
        yield comparison.compare_max(f"det/{name}", *pairs[name], tolerance)
    # Detections of nearly the same score may change places.
    boxes, found_boxes = pairs[fields.detection_boxes]
    is_same_box = np.abs(boxes - found_boxes).max(axis=-1) <= 2e-3
    yield comparison.compare_share(
        "det/detection_boxes within 0.002", is_same_box.ravel(), 0.97
    )
    classes, found_classes = pairs[fields.detection_classes]
    yield comparison.compare_share(
        "det/detection_classes of these boxes",
        (classes == found_classes)[is_same_box],
        1.0,
    )


def _print_row(*columns: str) -> None:
    print("{:<44} {:>24} {:>24} {:>11} {:>9}  {}".format(*columns), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Prints a line for every quantity; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="no quantity may be above its limit, rounding or not",
    )
    parser.add_argument(
        "--inference_only",
        action="store_true",
        help="leave the training steps out",
    )
    options = parser.parse_args(arguments)
    # The original added up batch statistics one value after the other, in
    # whatever number of threads; here one thread does.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    counts = collections.Counter()
    _print_row("quantity", "expected", "found", "difference", "limit", "")
    try:
        for row in replay(options.directory, not options.inference_only):
            counts[row.verdict] += 1
            _print_row(
                row.name,
                row.expected,
                row.found,
                f"{row.difference:.3g}",
                f"{row.limit:.3g}",
                row.verdict,
            )
    except (errors.DetectionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 2)
    print(
        f"{counts['ok']} within their limit, {counts['rounding']} above it "
        f"but within rounding, {counts['DIFFERS']} differ"
    )
    num_wrong = counts["DIFFERS"] + options.strict * counts["rounding"]
    return 1 if num_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
