"""An image on a larger canvas whose pixels are made late.

Changing colours, expanding, cropping and mirroring a `Canvas` changes a few
numbers. Only what is left of the image in the end is decoded and has its
colours changed, and only the canvas around that is filled.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from object_detection.data_decoders import image_codec

# Of [h, w, 3] pixels, each by its own values alone; shape and type stay.
PixelChange = Callable[[tf.Tensor], tf.Tensor]


class Canvas(NamedTuple):
    """A window of an image that is not decoded yet and of what is around it.

    Attributes:
        image: what is on the canvas.
        changes: of its colours, in order.
        color: of what is around the image, uint8 or float32 [3]; None while
            the window is inside the image.
        window_px: int32 [4], top, left, height and width of the window as
            seen from the image, before mirroring.
        is_mirrored: scalar bool, whether the window's left and right change
            places in the end.
    """

    image: image_codec.EncodedImage
    changes: tuple[PixelChange, ...]
    color: tf.Tensor | None
    window_px: tf.Tensor
    is_mirrored: tf.Tensor


def of_image(image: image_codec.EncodedImage) -> Canvas:
    """Returns a canvas of the size of the image."""
    window_px = tf.concat([[0, 0], image.window_px[2:]], axis=0)
    return Canvas(image, (), None, window_px, tf.constant(False))


def change_pixels(canvas: Canvas, change: PixelChange) -> Canvas:
    """Changes the colours of the image; there must be nothing around it."""
    return canvas._replace(changes=(*canvas.changes, change))


def expand(
    canvas: Canvas, size_px: tf.Tensor, offset_px: tf.Tensor, color: tf.Tensor
) -> Canvas:
    """Widens the window; there must be nothing around the image yet.

    Args:
        canvas: the canvas.
        size_px: int32 [2], height and width of the new window.
        offset_px: int32 [2], rows above and columns left of the old one, as
            seen after mirroring.
        color: uint8 or float32 [3], of what is around the image.
    """
    top, left, _, old_width = tf.unstack(canvas.window_px)
    height, width = tf.unstack(size_px)
    rows_above, columns_left = tf.unstack(offset_px)
    stored_left = tf.where(
        canvas.is_mirrored, width - columns_left - old_width, columns_left
    )
    return canvas._replace(
        color=color,
        window_px=tf.stack(
            [top - rows_above, left - stored_left, height, width]
        ),
    )


def crop_image(canvas: Canvas, window_px: tf.Tensor) -> Canvas:
    """Narrows the window; see `image_codec.crop_image`."""
    top, left, height, width = tf.unstack(window_px)
    old_top, old_left, _, old_width = tf.unstack(canvas.window_px)
    stored_left = tf.where(canvas.is_mirrored, old_width - left - width, left)
    return canvas._replace(
        window_px=tf.stack(
            [old_top + top, old_left + stored_left, height, width]
        )
    )


def mirror_image(canvas: Canvas, do_mirror: tf.Tensor) -> Canvas:
    """Mirrors the window left to right where `do_mirror` (scalar bool)."""
    return canvas._replace(
        is_mirrored=tf.math.logical_xor(canvas.is_mirrored, do_mirror)
    )


def decode_pixels(canvas: Canvas) -> tf.Tensor:
    """Decodes the part of the image in the window, and fills the rest.

    Returns:
        [height, width, 3], uint8 unless the colour or a change makes floats.
    """
    image_size_px = canvas.image.window_px[2:]
    lower_px, size_px = canvas.window_px[:2], canvas.window_px[2:]
    first_px = tf.clip_by_value(lower_px, 0, image_size_px)
    end_px = tf.clip_by_value(lower_px + size_px, 0, image_size_px)
    inner_size_px = end_px - first_px
    # A window beside the image has nothing of it, but there is no decoding
    # of nothing.
    decoded = image_codec.crop_image(
        canvas.image,
        tf.concat(
            [
                tf.minimum(first_px, image_size_px - 1),
                tf.maximum(inner_size_px, 1),
            ],
            axis=0,
        ),
    )
    pixels = image_codec.decode_pixels(
        image_codec.mirror_image(decoded, canvas.is_mirrored)
    )
    for change in canvas.changes:
        pixels = change(pixels)
    if canvas.color is None:
        return pixels
    pixels, color = _of_one_type(pixels, canvas.color)
    before_px = tf.clip_by_value(
        first_px - lower_px, 0, size_px - inner_size_px
    )
    # What was to the right of the image is to its left when mirrored.
    after_px = size_px - inner_size_px - before_px
    left_px = tf.where(canvas.is_mirrored, after_px[1], before_px[1])
    return tf.cond(
        tf.reduce_all(tf.equal(inner_size_px, size_px)),
        lambda: pixels,
        lambda: surround(
            pixels[: inner_size_px[0], : inner_size_px[1]],
            size_px,
            tf.stack([before_px[0], left_px]),
            color,
        ),
    )


def surround(
    pixels_HWC: tf.Tensor,
    size_px: tf.Tensor,
    offset_px: tf.Tensor,
    color_C: tf.Tensor,
) -> tf.Tensor:
    """Puts pixels into a larger image of one colour.

    Args:
        pixels_HWC: uint8 or float32 [h, w, c].
        size_px: int32 [2], height and width of the result.
        offset_px: int32 [2], rows above and columns left of the pixels.
        color_C: uint8 or float32 [c].

    Returns:
        [*size_px, c]; float32 unless pixels and colour are uint8.
    """
    pixels_HWC, color_C = _of_one_type(pixels_HWC, color_C)
    num_channels = pixels_HWC.shape[2]
    top, left = tf.unstack(offset_px)
    num_rows, num_columns = tf.unstack(size_px)
    height, width = tf.unstack(tf.shape(pixels_HWC)[:2])
    # Rows of values, not of pixels: filling and joining these copies memory
    # in one piece, and is several times faster than tf.pad.
    row = tf.tile(color_C, [num_columns])
    num_values = tf.size(row)

    def fill(num_rows: tf.Tensor, num_columns: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(row[:num_columns], [num_rows, num_columns])

    num_left, num_inside = left * num_channels, width * num_channels
    middle = tf.concat(
        [
            fill(height, num_left),
            tf.reshape(pixels_HWC, [height, num_inside]),
            fill(height, num_values - num_left - num_inside),
        ],
        axis=1,
    )
    surrounded = tf.concat(
        [
            fill(top, num_values),
            middle,
            fill(num_rows - top - height, num_values),
        ],
        axis=0,
    )
    return tf.reshape(surrounded, [num_rows, num_columns, num_channels])


def _of_one_type(
    pixels_HWC: tf.Tensor, color_C: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Both as they are if they are of one type, else both as float32."""
    if pixels_HWC.dtype == color_C.dtype:
        return pixels_HWC, color_C
    return tf.cast(pixels_HWC, tf.float32), tf.cast(color_C, tf.float32)
