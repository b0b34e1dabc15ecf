"""Compares this detector with numbers recorded from the original.

    python qa/parity/replay.py qa/parity/testdata/ssd320_full_8gpus

sets the weights, images and boxes that the original had, computes every
recorded quantity and prints expected against found. Exit code 0 when all of
them agree within their tolerance, 1 when not.
"""

import argparse
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import golden
import numpy as np
from keras import ops

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.core import containers, errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    LossFields,
    PredictionFields,
)
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.training import (
    learning_schedules,
    optimizers,
    trainer,
)

NUM_STEPS = 4
LEARNING_RATE = 1e-3
MOMENTUM = 0.9

_TRAIN_LOSS_FIELDS = (
    LossFields.localization_loss,
    LossFields.classification_loss,
    LossFields.regularization_loss,
    LossFields.total_loss,
)
# Rounding grows with every update.
_TRAIN_LOSS_TOLERANCES = (2e-4, 2e-3, 2e-2, 2e-2)


class Comparison(NamedTuple):
    """One quantity, expected against found.

    Attributes:
        name: as in `golden.npz`.
        expected: what the original had, for people to read.
        found: what this detector has.
        difference: the number that must not be above the tolerance.
        tolerance: the limit.
    """

    name: str
    expected: str
    found: str
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is small enough; NaN is not."""
        return self.difference <= self.tolerance


def replay(directory: pathlib.Path) -> Iterator[Comparison]:
    """Yields the comparison of every quantity of a golden directory."""
    recorded = golden.read(directory)
    model = model_builder.build(recorded.model_config, is_training=False)
    images, groundtruth = golden.read_batch(model.num_classes)
    yield _compare_variables(recorded, model)
    _set_golden_weights(model)
    yield from _replay_inference(recorded.values, model, images, groundtruth)
    del model
    yield from _replay_training(recorded, images, groundtruth)


def _compare_variables(
    recorded: golden.Golden, model: ssd_meta_arch.SSDMetaArch
) -> Comparison:
    found = {n: v.shape for n, v in model.checkpoint_variables().items()}
    return _compare_sets(
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
) -> Iterator[Comparison]:
    preprocessed, true_shapes = model.preprocess(images)
    predictions = model.predict(preprocessed, true_shapes)
    losses = model.loss(predictions, true_shapes, groundtruth)
    losses["regularization_loss"] = model.regularization_loss()
    detections = model.postprocess(predictions, true_shapes)

    yield _compare_max(
        "true_image_shapes", expected["true_image_shapes"], true_shapes, 0.0
    )
    yield _compare_max(
        "preprocessed_sample",
        expected["preprocessed_sample"],
        np.asarray(preprocessed)[:, ::8, ::8],
        1e-3,
    )
    anchors = np.asarray(predictions[PredictionFields.anchors])
    yield _compare_max(
        "num_anchors", expected["num_anchors"], len(anchors), 0.0
    )
    yield _compare_max("anchors", expected["anchors"], anchors, 1e-6)
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
        yield _compare_max(
            name, expected[name], found[:, ::stride], 2e-3, scale
        )
        yield _compare_scalar(absmean_name, scale, np.mean(np.abs(found)), 2e-3)
    for name, loss in losses.items():
        key = name if name in expected else f"eval_loss/{name}"
        yield _compare_scalar(key, expected[key], loss, 2e-4)
    yield from _compare_detections(expected, detections)


def _compare_detections(
    expected: dict[str, np.ndarray], detections: dict[str, Any]
) -> Iterator[Comparison]:
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
        yield _compare_max(f"det/{name}", *pairs[name], tolerance)
    # Detections of nearly the same score may change places.
    boxes, found_boxes = pairs[fields.detection_boxes]
    is_same_box = np.abs(boxes - found_boxes).max(axis=-1) <= 2e-3
    yield _compare_share(
        "det/detection_boxes within 0.002", is_same_box.ravel(), 0.97
    )
    classes, found_classes = pairs[fields.detection_classes]
    yield _compare_share(
        "det/detection_classes of these boxes",
        (classes == found_classes)[is_same_box],
        1.0,
    )


def _replay_training(
    recorded: golden.Golden,
    images: np.ndarray,
    groundtruth: containers.Groundtruth,
) -> Iterator[Comparison]:
    expected = recorded.values
    model = model_builder.build(recorded.model_config, is_training=True)
    _set_golden_weights(model)
    losses, state = _train(recorded, model, images, groundtruth)
    for row, tolerance in enumerate(_TRAIN_LOSS_TOLERANCES):
        for column, field in enumerate(_TRAIN_LOSS_FIELDS):
            yield _compare_scalar(
                f"train_losses[{row}] {field}",
                expected["train_losses"][row, column],
                losses[row][column],
                tolerance,
            )
    yield _compare_sets("final_norm_names", expected["final_norm_names"], state)
    variables = model.checkpoint_variables()
    finals = {name: np.asarray(v.value) for name, v in variables.items()}
    deltas = {
        name: np.linalg.norm(value - golden.golden_weights(name, value.shape))
        for name, value in finals.items()
    }
    names = [str(name) for name in expected["final_norm_names"]]
    yield _compare_most(
        "final_norms",
        expected["final_norms"],
        [np.linalg.norm(finals[name]) for name in names],
        1e-3,
    )
    yield _compare_most(
        "final_delta_norms",
        expected["final_delta_norms"],
        [deltas[name] for name in names],
        5e-2,
    )
    moving = {n for n, v in variables.items() if not v.trainable}
    yield _compare_sets("moving_names", expected["moving_names"], moving)
    yield _compare_most(
        "moving_delta_norms",
        expected["moving_delta_norms"],
        [deltas[str(name)] for name in expected["moving_names"]],
        5e-3,
    )


def _train(
    recorded: golden.Golden,
    model: ssd_meta_arch.SSDMetaArch,
    images: np.ndarray,
    groundtruth: containers.Groundtruth,
) -> tuple[list[list[float]], Iterable[str]]:
    """Returns the losses before each update and the trained variables."""
    state = trainer.TrainState(
        model,
        trainer.TrainOptions(
            make_optimizer=lambda variables: optimizers.Momentum(
                variables, momentum=MOMENTUM
            ),
            learning_rate=lambda step: learning_schedules.constant(
                step, learning_rate=LEARNING_RATE
            ),
        ),
    )
    step = trainer.make_train_step(state)
    resizer = image_resizer_builder.build(
        recorded.model_config.ssd.image_resizer
    )
    resized_images, true_shapes = resizer(ops.convert_to_tensor(images))
    results = [
        step(resized_images, true_shapes, groundtruth) for _ in range(NUM_STEPS)
    ]
    losses = [
        [float(result.losses[field]) for field in _TRAIN_LOSS_FIELDS]
        for result in results
    ]
    return losses, state.trained_variables


def _compare_max(
    name: str,
    expected: Any,  # noqa: ANN401
    found: Any,  # noqa: ANN401
    tolerance: float,
    scale: float = 1.0,
) -> Comparison:
    """Compares arrays by their largest difference over a scale."""
    expected, found = np.asarray(expected), np.asarray(found)
    difference = float("inf")
    if expected.shape == found.shape:
        difference = np.max(np.abs(expected - found), initial=0.0) / scale
    return Comparison(
        name, _digest(expected), _digest(found), difference, tolerance
    )


def _compare_scalar(
    name: str,
    expected: Any,  # noqa: ANN401
    found: Any,  # noqa: ANN401
    tolerance: float,
) -> Comparison:
    return _compare_max(name, expected, found, tolerance, abs(float(expected)))


def _compare_most(
    name: str, expected: np.ndarray, found: list[float], tolerance: float
) -> Comparison:
    """Compares numbers one by one; 95 of 100 must be close."""
    relative = np.abs(expected - found) / np.maximum(np.abs(expected), 1e-12)
    return _compare_share(
        f"{name} within {tolerance:g}", relative <= tolerance, 0.95
    )


def _compare_share(
    name: str, agrees: np.ndarray, least_share: float
) -> Comparison:
    num_wrong = int(np.sum(~agrees))
    return Comparison(
        name,
        f"{least_share:.0%} of {len(agrees)}",
        f"{len(agrees) - num_wrong} of {len(agrees)}",
        num_wrong / len(agrees) if len(agrees) else float("inf"),
        1.0 - least_share,
    )


def _compare_sets(
    name: str,
    expected: Iterable[Any],
    found: Iterable[Any],
) -> Comparison:
    expected, found = set(expected), set(found)
    num_different = len(expected ^ found)
    return Comparison(
        name, f"{len(expected)}", f"{len(found)}", float(num_different), 0.0
    )


def _digest(values: np.ndarray) -> str:
    """Returns a number as it is, an array by shape and mean size."""
    if values.ndim == 0:
        return f"{float(values):.7g}"
    return f"{list(values.shape)} ~{np.mean(np.abs(values)):.6g}"


def main(arguments: list[str] | None = None) -> int:
    """Prints a line for every quantity; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=pathlib.Path)
    directory = parser.parse_args(arguments).directory
    num_wrong = 0
    row = "{:<44} {:>24} {:>24} {:>11} {:>9}  {}".format
    print(row("quantity", "expected", "found", "difference", "limit", ""))
    try:
        for comparison in replay(directory):
            num_wrong += not comparison.agrees
            print(
                row(
                    comparison.name,
                    comparison.expected,
                    comparison.found,
                    f"{comparison.difference:.3g}",
                    f"{comparison.tolerance:.3g}",
                    "ok" if comparison.agrees else "DIFFERS",
                ),
                flush=True,
            )
    except errors.DetectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{num_wrong} quantities differ" if num_wrong else "all agree")
    return 1 if num_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
