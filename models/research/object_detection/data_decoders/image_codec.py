"""Images that are decoded late, and then only the part that is wanted.

Flipping and cropping an `EncodedImage` changes a few numbers; its pixels are
decoded once, by `decode_pixels`, when the last of these steps is done. A JPEG
is decoded only inside the window.

Orientation tags (EXIF) are not applied: boxes are in the frame of the stored
pixels. Images of one channel become three equal channels, alpha is dropped,
16-bit samples keep their upper 8 bits, of an animation the first frame is
taken.
"""

from typing import NamedTuple

import tensorflow as tf

# Bigger images are refused before memory is taken for them: 400 MB of RGB.
MAX_IMAGE_PIXELS = 2**27

_JPEG_MAGIC = b"\xff\xd8\xff"
_RAW_FORMATS = "(?i)raw"


class EncodedImage(NamedTuple):
    """A window of an image that is not decoded yet, mirrored or not.

    Attributes:
        encoded: scalar string.
        image_format: scalar string; only 'raw' and 'RAW' matter, other
            formats are told by their first bytes.
        size_px: int32 [2], height and width of the whole image.
        window_px: int32 [4], top, left, height and width of the window in
            the stored image.
        is_mirrored: scalar bool, whether the window's left and right change
            places after decoding.
    """

    encoded: tf.Tensor
    image_format: tf.Tensor
    size_px: tf.Tensor
    window_px: tf.Tensor
    is_mirrored: tf.Tensor


def open_image(
    encoded: tf.Tensor,
    image_format: tf.Tensor,
    stated_size_px: tf.Tensor,
) -> EncodedImage:
    """Reads the size of an image from its header.

    Args:
        encoded: scalar string.
        image_format: scalar string.
        stated_size_px: int32 [2], height and width as the record says, used
            for raw pixels alone.

    Returns:
        The whole image, not mirrored. Running it fails when there are more
        than MAX_IMAGE_PIXELS pixels or the format is unknown.
    """
    size_px = tf.cond(
        _is_jpeg(encoded),
        lambda: tf.io.extract_jpeg_shape(encoded)[:2],
        lambda: _size_of_other(encoded, image_format, stated_size_px),
    )
    size_px = tf.ensure_shape(size_px, [2])
    num_pixels = tf.reduce_prod(tf.cast(size_px, tf.int64))
    tf.raw_ops.Assert(
        condition=(num_pixels > 0) & (num_pixels <= MAX_IMAGE_PIXELS),
        data=["image height and width", size_px],
    )
    window_px = tf.concat([[0, 0], size_px], axis=0)
    return EncodedImage(
        encoded, image_format, size_px, window_px, tf.constant(False)
    )


def crop_image(image: EncodedImage, window_px: tf.Tensor) -> EncodedImage:
    """Narrows the window.

    Args:
        image: the image.
        window_px: int32 [4], top, left, height and width of the new window
            inside the current one, as seen after mirroring.
    """
    top, left, height, width = tf.unstack(window_px)
    old_top, old_left, _, old_width = tf.unstack(image.window_px)
    stored_left = tf.where(image.is_mirrored, old_width - left - width, left)
    return image._replace(
        window_px=tf.stack(
            [old_top + top, old_left + stored_left, height, width]
        )
    )


def mirror_image(image: EncodedImage, do_mirror: tf.Tensor) -> EncodedImage:
    """Mirrors the window left to right where `do_mirror` (scalar bool)."""
    return image._replace(
        is_mirrored=tf.math.logical_xor(image.is_mirrored, do_mirror)
    )


def decode_pixels(image: EncodedImage) -> tf.Tensor:
    """Decodes the window, and mirrors it when asked.

    Returns:
        uint8 [height, width, 3], equal to the same window of the whole
        image decoded with `tf.io.decode_image`.
    """
    pixels = tf.cond(
        _is_jpeg(image.encoded),
        lambda: _decode_jpeg_window(image),
        lambda: _decode_other_window(image),
    )
    pixels = tf.ensure_shape(pixels, [None, None, 3])
    return tf.cond(
        image.is_mirrored,
        lambda: tf.reverse(pixels, [1]),
        lambda: pixels,
    )


def _is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(_JPEG_MAGIC)) == _JPEG_MAGIC


def _is_raw(image_format: tf.Tensor) -> tf.Tensor:
    return tf.strings.regex_full_match(image_format, _RAW_FORMATS)


def _decode_jpeg_window(image: EncodedImage) -> tf.Tensor:
    # The colours at a window's left and right ends are interpolated from
    # neighbours that the decoder leaves out; with one column more on each
    # side they are there.
    top, left, height, width = tf.unstack(image.window_px)
    decoded_left = tf.maximum(left - 1, 0)
    decoded_right = tf.minimum(left + width + 1, image.size_px[1])
    pixels = tf.io.decode_and_crop_jpeg(
        image.encoded,
        tf.stack([top, decoded_left, height, decoded_right - decoded_left]),
        channels=3,
    )
    return tf.slice(pixels, [0, left - decoded_left, 0], [-1, width, -1])


def _decode_other_window(image: EncodedImage) -> tf.Tensor:
    pixels = tf.cond(
        _is_raw(image.image_format),
        lambda: tf.reshape(
            tf.io.decode_raw(image.encoded, tf.uint8),
            tf.concat([image.size_px, [3]], axis=0),
        ),
        lambda: tf.io.decode_image(
            image.encoded, channels=3, expand_animations=False
        ),
    )
    top, left, height, width = tf.unstack(image.window_px)
    return tf.slice(pixels, [top, left, 0], [height, width, 3])


def _size_of_other(
    encoded: tf.Tensor, image_format: tf.Tensor, stated_size_px: tf.Tensor
) -> tf.Tensor:
    """Height and width of raw pixels, a PNG, a GIF or a BMP."""
    starts_with = lambda magic: (  # noqa: E731
        tf.strings.substr(encoded, 0, len(magic)) == magic
    )
    return tf.case(
        [
            (_is_raw(image_format), lambda: stated_size_px),
            (
                starts_with(b"\x89PNG\r\n\x1a\n"),
                lambda: _integers(encoded, 16, tf.int32, little=False),
            ),
            (
                starts_with(b"GIF8"),
                lambda: tf.cast(
                    _integers(encoded, 6, tf.uint16, little=True), tf.int32
                ),
            ),
            (
                starts_with(b"BM"),
                # A negative height means that rows are stored top down.
                lambda: tf.abs(_integers(encoded, 18, tf.int32, little=True)),
            ),
        ],
        default=lambda: _unknown_format(image_format),
    )


def _integers(
    encoded: tf.Tensor, offset: int, dtype: tf.DType, little: bool
) -> tf.Tensor:
    """Reads (width, height) at a byte offset, returns (height, width)."""
    width_and_height = tf.io.decode_raw(
        tf.strings.substr(encoded, offset, 2 * dtype.size),
        dtype,
        little_endian=little,
    )
    return tf.ensure_shape(width_and_height, [2])[::-1]


def _unknown_format(image_format: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies(
        [
            tf.raw_ops.Assert(
                condition=False, data=["unknown image format", image_format]
            )
        ]
    ):
        return tf.zeros([2], tf.int32)
