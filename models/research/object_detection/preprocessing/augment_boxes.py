"""Augmentations that move boxes: mirrored, rotated or jittered.

Dimensions: N box, K keypoint, H height, W width. Boxes are yxyx, normalised.
"""

from collections.abc import Callable, Sequence

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
            keypoints, StepError without.
    """

    def random_horizontal_flip(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        do_flip = _is_one_of_two(seed)
        flipped = _moved_where(
            do_flip,
            example,
            boxes=flip_boxes_left_right,
            masks=lambda masks_NHW: tf.reverse(masks_NHW, [2]),
            keypoints=lambda keypoints_NK2: flip_keypoints_left_right(
                keypoints_NK2, keypoint_flip_permutation
            ),
        )
        image = examples.mirror_image(example[Fields.image], do_flip)
        return {**flipped, Fields.image: image}

    return random_horizontal_flip


def make_random_vertical_flip(
    keypoint_flip_permutation: Sequence[int] = (),
) -> examples.Step:
    """Returns a step that changes top and bottom of half of the images.

    Args:
        keypoint_flip_permutation: as of `make_random_horizontal_flip`.
    """

    def random_vertical_flip(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        do_flip = _is_one_of_two(seed)
        flipped = _moved_where(
            do_flip,
            example,
            boxes=flip_boxes_up_down,
            masks=lambda masks_NHW: tf.reverse(masks_NHW, [1]),
            keypoints=lambda keypoints_NK2: flip_keypoints_up_down(
                keypoints_NK2, keypoint_flip_permutation
            ),
        )
        image = examples.pixels(example[Fields.image])
        flipped[Fields.image] = tf.cond(
            do_flip, lambda: tf.reverse(image, [0]), lambda: image
        )
        return flipped

    return random_vertical_flip


def random_rotation90(
    example: examples.Example, seed: tf.Tensor
) -> examples.Example:
    """Turns half of the images counter-clockwise by 90 degrees."""
    do_rotate = _is_one_of_two(seed)
    rotated = _moved_where(
        do_rotate,
        example,
        boxes=rotate_boxes_90,
        masks=lambda masks_NHW: tf.reverse(
            tf.transpose(masks_NHW, [0, 2, 1]), [1]
        ),
        keypoints=_rotate_keypoints_90,
    )
    image = examples.pixels(example[Fields.image])
    rotated[Fields.image] = tf.cond(
        do_rotate,
        lambda: tf.reverse(tf.transpose(image, [1, 0, 2]), [0]),
        lambda: image,
    )
    return rotated


def make_random_jitter_boxes(ratio: float = 0.05) -> examples.Step:
    """Returns a step that moves every side of every box on its own.

    Args:
        ratio: of the box's height or width that a side moves at most. From
            0.5 on two sides can pass each other, and change places then.

    Raises:
        ValueError: `ratio` is negative.
    """
    if ratio < 0:
        raise ValueError(f"ratio must be at least 0, got {ratio:g}")

    def random_jitter_boxes(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        boxes_N4 = example[Fields.groundtruth_boxes]
        size_N2 = boxes_N4[:, 2:] - boxes_N4[:, :2]
        shift_N4 = tf.random.stateless_uniform(
            tf.shape(boxes_N4), seed, -ratio, ratio
        )
        moved_N4 = tf.clip_by_value(
            boxes_N4 + shift_N4 * tf.tile(size_N2, [1, 2]), 0.0, 1.0
        )
        # Differs from TF OD API, which returned inverted boxes.
        lower_N2 = tf.minimum(moved_N4[:, :2], moved_N4[:, 2:])
        upper_N2 = tf.maximum(moved_N4[:, :2], moved_N4[:, 2:])
        jittered_N4 = tf.concat([lower_N2, upper_N2], axis=1)
        return {**example, Fields.groundtruth_boxes: jittered_N4}

    return random_jitter_boxes


def flip_boxes_left_right(boxes_N4: tf.Tensor) -> tf.Tensor:
    """Mirrors boxes, float32 [n, 4], about x = 0.5."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes_N4, axis=1)
    return tf.stack([ymin, 1.0 - xmax, ymax, 1.0 - xmin], axis=1)


def flip_boxes_up_down(boxes_N4: tf.Tensor) -> tf.Tensor:
    """Mirrors boxes, float32 [n, 4], about y = 0.5."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes_N4, axis=1)
    return tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=1)


def rotate_boxes_90(boxes_N4: tf.Tensor) -> tf.Tensor:
    """Turns boxes, float32 [n, 4], with their image, counter-clockwise."""
    ymin, xmin, ymax, xmax = tf.unstack(boxes_N4, axis=1)
    return tf.stack([1.0 - xmax, ymin, 1.0 - xmin, ymax], axis=1)


def flip_keypoints_left_right(
    keypoints_NK2: tf.Tensor, permutation: Sequence[int]
) -> tf.Tensor:
    """Mirrors keypoints about x = 0.5 and puts them in their new order.

    Args:
        keypoints_NK2: float32 [n, k, 2] (y, x), normalised.
        permutation: k indices.

    Raises:
        StepError: `permutation` does not order k keypoints.
    """
    y_NK, x_NK = _in_order(keypoints_NK2, permutation)
    return tf.stack([y_NK, 1.0 - x_NK], axis=2)


def flip_keypoints_up_down(
    keypoints_NK2: tf.Tensor, permutation: Sequence[int]
) -> tf.Tensor:
    """Mirrors keypoints about y = 0.5; see `flip_keypoints_left_right`."""
    y_NK, x_NK = _in_order(keypoints_NK2, permutation)
    return tf.stack([1.0 - y_NK, x_NK], axis=2)


def _rotate_keypoints_90(keypoints_NK2: tf.Tensor) -> tf.Tensor:
    y_NK, x_NK = tf.unstack(keypoints_NK2, axis=2)
    return tf.stack([1.0 - x_NK, y_NK], axis=2)


def _in_order(
    keypoints_NK2: tf.Tensor, permutation: Sequence[int]
) -> list[tf.Tensor]:
    """y and x, [n, k] each, of the keypoints in another order."""
    num_keypoints = keypoints_NK2.shape[1]
    if sorted(permutation) != list(range(num_keypoints or 0)):
        raise examples.StepError(
            f"keypoint_flip_permutation must order {num_keypoints} keypoints, "
            f"got {list(permutation)}"
        )
    return tf.unstack(
        tf.gather(keypoints_NK2, list(permutation), axis=1), axis=2
    )


def _is_one_of_two(seed: tf.Tensor) -> tf.Tensor:
    """Scalar bool, true for half of the seeds."""
    return tf.random.stateless_uniform([], seed) > 0.5


def _moved_where(
    do_move: tf.Tensor,
    example: examples.Example,
    *,
    boxes: Callable[[tf.Tensor], tf.Tensor],
    masks: Callable[[tf.Tensor], tf.Tensor],
    keypoints: Callable[[tf.Tensor], tf.Tensor],
) -> examples.Example:
    """Moves what the example has beside its image where `do_move` is true."""
    moved = dict(example)
    boxes_N4 = example[Fields.groundtruth_boxes]
    moved[Fields.groundtruth_boxes] = tf.where(
        do_move, boxes(boxes_N4), boxes_N4
    )
    if Fields.groundtruth_instance_masks in example:
        masks_NHW = example[Fields.groundtruth_instance_masks]
        moved[Fields.groundtruth_instance_masks] = tf.cond(
            do_move, lambda: masks(masks_NHW), lambda: masks_NHW
        )
    if Fields.groundtruth_keypoints in example:
        keypoints_NK2 = example[Fields.groundtruth_keypoints]
        moved[Fields.groundtruth_keypoints] = tf.where(
            do_move, keypoints(keypoints_NK2), keypoints_NK2
        )
    return moved
