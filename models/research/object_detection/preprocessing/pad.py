"""Random padding that keeps boxes, pixels and all that belongs in step.

Dimensions: N box, K keypoint, C channel. Sizes are int32 [2]: height and
width in pixels. Boxes are yxyx, normalised.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import canvas, draws, examples

Fields = standard_fields.InputDataFields

# Red, green and blue in 0..255.
Color = tuple[float, float, float]
BLACK = (0.0, 0.0, 0.0)


class PaddedSizeRatios(NamedTuple):
    """Sides of a padded image over those that it is measured by.

    Attributes:
        minimum: least ratios of the height and of the width.
        maximum: greatest ones.
    """

    minimum: tuple[float, float] = (1.0, 1.0)
    maximum: tuple[float, float] = (2.0, 2.0)


DEFAULT_RATIOS = PaddedSizeRatios()


def make_random_pad_image(
    min_size_px: tuple[int, int] | None = None,
    max_size_px: tuple[int, int] | None = None,
    color: Color | None = None,
) -> examples.Step:
    """Returns a step that puts an image somewhere into a larger one.

    Args:
        min_size_px: least height and width; the image's own by default.
        max_size_px: excluded bounds of them; twice the image's by default.
        color: of the padding; the mean of the image by default.
    """

    def random_pad_image(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        size_px = examples.image_size_px(example[Fields.image])
        return pad_at_random(
            example,
            size_px if min_size_px is None else tf.constant(min_size_px),
            2 * size_px if max_size_px is None else tf.constant(max_size_px),
            None if color is None else color_tensor(color),
            seed,
        )

    return random_pad_image


def pad_at_random(
    example: examples.Example,
    min_size_px: tf.Tensor,
    max_size_px: tf.Tensor,
    color: tf.Tensor | None,
    seed: tf.Tensor,
) -> examples.Example:
    """Pads to a random size, the image at a random place in it.

    Args:
        example: tensors of one image.
        min_size_px: least size, raised to that of the image.
        max_size_px: excluded bound of the size, itself taken where it is not
            above the least; raised to the size of the image.
        color: as in `pad_example`.
        seed: int64 [2].
    """
    size_px = examples.image_size_px(example[Fields.image])
    padded_size_px = draws.uniform_integers(
        tf.maximum(min_size_px, size_px),
        tf.maximum(max_size_px, size_px),
        examples.derive_seed(seed, 0),
    )
    offset_px = draws.uniform_integers(
        tf.zeros_like(size_px),
        padded_size_px - size_px,
        examples.derive_seed(seed, 1),
    )
    return pad_example(example, padded_size_px, offset_px, color)


def color_tensor(colors: Color | Sequence[Color]) -> tf.Tensor:
    """Returns uint8 where that holds the colours, else float32.

    So an image of bytes padded with whole numbers stays one.
    """
    values = np.array(colors, np.float32)
    is_bytes = np.all((values == np.round(values)) & (values >= 0))
    if is_bytes and np.all(values <= np.iinfo(np.uint8).max):
        values = values.astype(np.uint8)
    return tf.constant(values)


def pad_example(
    example: examples.Example,
    padded_size_px: tf.Tensor,
    offset_px: tf.Tensor,
    color: tf.Tensor | None,
) -> examples.Example:
    """Puts an example into a larger image.

    Boxes and keypoints move along, masks are False around the image.

    Args:
        example: tensors of one image.
        padded_size_px: size of the result.
        offset_px: int32 [2], rows above and columns left of the image.
        color: uint8 or float32 [3], red, green and blue; channels after them
            are padded with 0. None for the mean of the image. The result is
            float32 unless image and colour are uint8.
    """
    pixels = examples.pixels(example[Fields.image])
    return {
        **move_to_offset(example, padded_size_px, offset_px),
        Fields.image: pad_pixels(pixels, padded_size_px, offset_px, color),
    }


def move_to_offset(
    example: examples.Example, padded_size_px: tf.Tensor, offset_px: tf.Tensor
) -> examples.Example:
    """Moves all but the image as `pad_example` does."""
    size_px = examples.image_size_px(example[Fields.image])
    offset = tf.cast(offset_px, tf.float32)
    size, padded_size = (
        tf.cast(length_px, tf.float32)
        for length_px in (size_px, padded_size_px)
    )

    def move(points: tf.Tensor) -> tf.Tensor:
        """Of (y, x) in the last axis; NaN stays NaN."""
        return (points * size + offset) / padded_size

    moved = {
        **example,
        Fields.groundtruth_boxes: tf.concat(
            [
                move(corner_N2)
                for corner_N2 in tf.split(
                    example[Fields.groundtruth_boxes], 2, axis=1
                )
            ],
            axis=1,
        ),
    }
    if Fields.groundtruth_keypoints in example:
        moved[Fields.groundtruth_keypoints] = move(
            example[Fields.groundtruth_keypoints]
        )
    if Fields.groundtruth_instance_masks in example:
        margins_px = tf.stack(
            [offset_px, padded_size_px - size_px - offset_px], axis=1
        )
        moved[Fields.groundtruth_instance_masks] = tf.pad(
            example[Fields.groundtruth_instance_masks],
            tf.concat([[[0, 0]], margins_px], axis=0),
        )
    return moved


def pad_pixels(
    pixels_HWC: tf.Tensor,
    padded_size_px: tf.Tensor,
    offset_px: tf.Tensor,
    color: tf.Tensor | None,
) -> tf.Tensor:
    """Puts pixels into a larger image; see `pad_example`.

    Raises:
        StepError: a colour for an image of one channel.
    """
    if color is None:
        pixels_HWC = tf.cast(pixels_HWC, tf.float32)
        color_C = mean_color(pixels_HWC)
    else:
        color_C = _color_of_channels(color, pixels_HWC.shape[2])
    return canvas.surround(pixels_HWC, padded_size_px, offset_px, color_C)


def mean_color(pixels_HWC: tf.Tensor) -> tf.Tensor:
    """Returns float32 [C], the mean of float32 pixels."""
    # Of each column first, which also sums more exactly.
    height, width = tf.unstack(examples.image_size_px(pixels_HWC))
    rows = tf.reshape(pixels_HWC, [height, -1])
    columns_WC = tf.reshape(
        tf.reduce_mean(rows, axis=0), [width, pixels_HWC.shape[2]]
    )
    return tf.reduce_mean(columns_WC, axis=0)


def _color_of_channels(color: tf.Tensor, num_channels: int) -> tf.Tensor:
    """The colour [C] of an image whose channels begin with the three."""
    if num_channels < examples.NUM_COLORS:
        raise examples.StepError(
            "the padding has a colour of its own and needs red, green and "
            f"blue, got {num_channels} channel: pad before the image turns gray"
        )
    return tf.pad(color, [[0, num_channels - examples.NUM_COLORS]])
