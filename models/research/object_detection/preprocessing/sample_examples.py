"""Decoded examples, and many draws of a step on one of them, for tests."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import examples

Fields = standard_fields.InputDataFields

# A third keypoint that nothing is the mirror image of.
KEYPOINT_PERMUTATION = (1, 0, 2)


def make_example(
    image: np.ndarray,
    boxes_yxyx: Sequence[Sequence[float]] = (),
    **changes: Any,
) -> examples.Example:
    """Returns an example with values for all that belongs to a box.

    Args:
        image: uint8 or float32 [h, w, c].
        boxes_yxyx: n normalised boxes.
        changes: values of other fields.
    """
    height, width = image.shape[:2]
    num_boxes = len(boxes_yxyx)
    number_N = np.arange(num_boxes)
    rng = np.random.default_rng(num_boxes)
    values = {
        Fields.image: image,
        Fields.groundtruth_boxes: np.reshape(
            np.float32(boxes_yxyx), [num_boxes, 4]
        ),
        Fields.groundtruth_classes: number_N + 1,
        Fields.groundtruth_weights: np.float32(number_N + 1) / 8,
        Fields.groundtruth_area: np.float32(number_N + 1) * 10,
        Fields.groundtruth_is_crowd: number_N % 2 > 0,
        Fields.groundtruth_difficult: number_N % 3 > 0,
        Fields.groundtruth_group_of: number_N % 2 == 0,
        Fields.groundtruth_instance_masks: np.float32(
            rng.integers(0, 2, [num_boxes, height, width])
        ),
        Fields.groundtruth_keypoints: np.float32(rng.random([num_boxes, 3, 2])),
        **changes,
    }
    return {key: tf.constant(value) for key, value in values.items()}


def seed_of(position: int, stream: int = 3) -> tf.Tensor:
    """Returns int64 [2], the seed of a record."""
    return tf.constant([stream, position], tf.int64)


def draw_many(
    step: examples.Step,
    example: examples.Example,
    count: int,
    read: Callable[[examples.Example], tf.Tensor],
) -> np.ndarray:
    """Returns `read` of the step's result for `count` seeds.

    Args:
        step: the step.
        example: what it changes each time.
        count: number of draws.
        read: takes a float32 tensor, of one shape, from the result.
    """

    @tf.function(autograph=False)
    def draw() -> tf.Tensor:
        return tf.map_fn(
            lambda position: read(
                step(example, tf.stack([tf.constant(9, tf.int64), position]))
            ),
            tf.range(count, dtype=tf.int64),
            fn_output_signature=tf.float32,
        )

    return draw().numpy()


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Fails unless draws look uniform in [low, high].

    The mean and the share of each quarter are tested at 5 sigma, the extremes
    at one in a million for 1000 draws or more.
    """
    count, span = values.size, high - low
    rounding = 1e-4 * span
    assert low - rounding <= values.min() < low + span * 14 / count
    assert high - span * 14 / count < values.max() <= high + rounding
    assert (
        abs(values.mean() - (low + high) / 2) < 5 * span / (12 * count) ** 0.5
    )
    shares = np.histogram(values, 4, (low, high))[0] / count
    assert np.abs(shares - 0.25).max() < 5 * (0.1875 / count) ** 0.5
