"""Augmentations that mirror an image together with its boxes."""

from collections.abc import Sequence

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import examples

Fields = standard_fields.InputDataFields


def make_random_horizontal_flip(
    keypoint_flip_permutation: Sequence[int] = (),
) -> examples.Step:
    """Returns a step that changes left and right of half of the images.

    Args:
        keypoint_flip_permutation: which keypoint takes the place of each
            when mirrored (left eye, right eye); needed where examples have
            keypoints.

    Raises:
        ValueError: when the step meets keypoints without a permutation.
    """

    def random_horizontal_flip(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        do_flip = tf.random.stateless_uniform([], seed) > 0.5
        flipped = {
            Fields.image: examples.mirror_image(example[Fields.image], do_flip)
        }
        boxes_N4 = example[Fields.groundtruth_boxes]
        flipped[Fields.groundtruth_boxes] = tf.where(
            do_flip, flip_boxes_left_right(boxes_N4), boxes_N4
        )
        if Fields.groundtruth_instance_masks in example:
            masks_NHW = example[Fields.groundtruth_instance_masks]
            flipped[Fields.groundtruth_instance_masks] = tf.cond(
                do_flip,
                lambda: tf.reverse(masks_NHW, [2]),
                lambda: masks_NHW,
            )
        if Fields.groundtruth_keypoints in example:
            keypoints_NK2 = example[Fields.groundtruth_keypoints]
            flipped[Fields.groundtruth_keypoints] = tf.where(
                do_flip,
                flip_keypoints_left_right(
                    keypoints_NK2, keypoint_flip_permutation
                ),
                keypoints_NK2,
            )
        return {**example, **flipped}

    return random_horizontal_flip


def flip_boxes_left_right(boxes_N4: tf.Tensor) -> tf.Tensor:
    """Mirrors boxes, float32 [n, 4] yxyx, normalised, about x = 0.5."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes_N4, axis=1)
    return tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)


def flip_keypoints_left_right(
    keypoints_NK2: tf.Tensor, permutation: Sequence[int]
) -> tf.Tensor:
    """Mirrors keypoints about x = 0.5 and puts them in their new order.

    Args:
        keypoints_NK2: float32 [n, k, 2] (y, x), normalised.
        permutation: k indices.

    Raises:
        ValueError: `permutation` does not have k entries.
    """
    num_keypoints = keypoints_NK2.shape[1]
    if sorted(permutation) != list(range(num_keypoints or 0)):
        raise ValueError(
            f"keypoint_flip_permutation must order {num_keypoints} keypoints, "
            f"got {list(permutation)}"
        )
    y_NK, x_NK = tf.unstack(
        tf.gather(keypoints_NK2, list(permutation), axis=1), axis=2
    )
    return tf.stack([y_NK, 1.0 - x_NK], axis=2)
