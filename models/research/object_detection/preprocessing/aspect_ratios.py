"""Cutting and padding to a given width / height."""

import math

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import crop, draws, examples, pad

Fields = standard_fields.InputDataFields


def make_random_crop_to_aspect_ratio(
    aspect_ratio: float = 1.0,
    overlap_thresh: float = 0.3,
    clip_boxes: bool = True,
) -> examples.Step:
    """Returns a step that cuts out the largest window of a given shape.

    Args:
        aspect_ratio: width / height of the window, up to rounding.
        overlap_thresh: boxes stay when this part of them is in the window;
            those without any part in it never do.
        clip_boxes: whether the boxes that stay are cut at the border.
    """
    check_aspect_ratio(aspect_ratio)
    examples.check_shares(overlap_thresh=overlap_thresh)

    def random_crop_to_aspect_ratio(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        size_px = examples.image_size_px(example[Fields.image])
        window_size_px = tf.clip_by_value(
            _fitting_sides_px(size_px, aspect_ratio), 1, size_px
        )
        origin_px = draws.uniform_integers(
            tf.zeros_like(size_px), size_px - window_size_px + 1, seed
        )
        return crop.crop_example(
            example,
            tf.concat([origin_px, window_size_px], axis=0),
            overlap_thresh,
            clip_boxes,
        )

    return random_crop_to_aspect_ratio


def check_aspect_ratio(aspect_ratio: float) -> None:
    """Raises ValueError for what is no width / height."""
    if not 0 < aspect_ratio < math.inf:
        raise ValueError(f"aspect_ratio must be above 0, got {aspect_ratio}")


def pad_to_aspect_ratio(
    example: examples.Example,
    aspect_ratio: float,
    ratios: pad.PaddedSizeRatios,
    seed: tf.Tensor,
) -> examples.Example:
    """Pads with black at the bottom and the right to a given shape.

    The smallest image of that shape is scaled by a factor that is uniform
    between what brings both sides to their least ratio and what brings one
    to its greatest.

    Args:
        example: tensors of one image.
        aspect_ratio: width / height of the padded image, up to rounding.
        ratios: of the sides of the padded image to those of this one; where
            they do not admit the shape, the shape counts.
        seed: int64 [2].
    """
    size_px = examples.image_size_px(example[Fields.image])
    least_px = tf.maximum(_fitting_sides_px(size_px, aspect_ratio), size_px)
    size, least = tf.cast(size_px, tf.float32), tf.cast(least_px, tf.float32)
    min_scale = tf.reduce_max(tf.maximum(size * ratios.minimum, least) / least)
    max_scale = tf.reduce_min(tf.maximum(size * ratios.maximum, least) / least)
    scale = min_scale + (max_scale - min_scale) * (
        tf.random.stateless_uniform([], seed)
    )
    padded_size_px = tf.cast(tf.round(least * scale), tf.int32)
    return pad.pad_example(
        example,
        tf.maximum(padded_size_px, size_px),
        tf.zeros_like(size_px),
        pad.color_tensor(pad.BLACK),
    )


def _fitting_sides_px(size_px: tf.Tensor, aspect_ratio: float) -> tf.Tensor:
    """The height that would suit the width, and the width the height.

    Of the two, one is at most the present side and cuts the image to the
    shape, and one is at least that and pads it.

    Args:
        size_px: int32 [2], height and width.
        aspect_ratio: width / height.
    """
    height, width = tf.unstack(tf.cast(size_px, tf.float32))
    return tf.cast(
        tf.round(tf.stack([width / aspect_ratio, height * aspect_ratio])),
        tf.int32,
    )
