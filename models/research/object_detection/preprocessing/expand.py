"""Puts an image on a larger canvas, which is made when it is decoded."""

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import canvas, draws, examples, pad

Fields = standard_fields.InputDataFields


def make_ssd_expand(
    probability: float = 0.5,
    max_ratio: float = 4.0,
    color: pad.Color = pad.BLACK,
) -> examples.Step:
    """Returns a step that makes the surroundings of some images wider.

    Args:
        probability: that an image is expanded.
        max_ratio: both sides are multiplied by one number, uniform between 1
            and this, and cut to whole pixels; the image is at each place
            with the same probability.
        color: of the surroundings; channels after the three get 0.

    Raises:
        ValueError: a value is out of its range.
    """
    examples.check_shares(probability=probability)
    if not max_ratio >= 1:
        raise ValueError(f"max_ratio must be at least 1, got {max_ratio:g}")

    def ssd_expand(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        image = example[Fields.image]
        old_size_px = examples.image_size_px(image)
        shares_4 = tf.random.stateless_uniform([4], seed)
        ratio = tf.where(
            shares_4[0] < probability,
            1.0 + (max_ratio - 1.0) * shares_4[1],
            1.0,
        )
        size_px = tf.cast(tf.cast(old_size_px, tf.float32) * ratio, tf.int32)
        offset_px = draws.whole_number_below(
            size_px - old_size_px + 1, shares_4[2:]
        )
        return {
            **pad.move_to_offset(example, size_px, offset_px),
            Fields.image: _expand(image, size_px, offset_px, color),
        }

    return ssd_expand


def _expand(
    image: examples.Image,
    size_px: tf.Tensor,
    offset_px: tf.Tensor,
    color: pad.Color,
) -> examples.Image:
    color_tensor = pad.color_tensor(color)
    late = examples.as_canvas(image)
    if late is not None:
        return canvas.expand(late, size_px, offset_px, color_tensor)
    return pad.pad_pixels(
        examples.pixels(image), size_px, offset_px, color_tensor
    )
