"""Reads and decodes images for a detector, whatever they come from."""

import http.client
import os
import urllib.request

import numpy as np
import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import (
    image_codec,
    record_check_images,
    record_files,
)

# A file of more bytes is no image that can be decoded.
_MAX_FILE_BYTES = 2**29
_URL_PREFIXES = ("http://", "https://")
_URL_TIMEOUT_SECONDS = 30.0


def load(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an image from a file or an http address.

    Returns:
        uint8 [H, W, 3].

    Raises:
        DataError: says what is wrong with it.
    """
    return decode(read(path))


def read(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a file or of what an http address gives.

    Raises:
        DataError: there is none, or too much.
    """
    name = os.fspath(path)
    try:
        if isinstance(name, str) and name.startswith(_URL_PREFIXES):
            opened = urllib.request.urlopen(name, timeout=_URL_TIMEOUT_SECONDS)
        else:
            opened = open(name, "rb")  # noqa: SIM115
        with opened as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise errors.DataError(f"cannot be read: {reason}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise errors.DataError(f"is larger than {_MAX_FILE_BYTES} bytes")
    return content


def decode(
    encoded: bytes,
    image_format: bytes = b"",
    stated_size_px: tuple[int, int] = (1, 1),
) -> np.ndarray:
    """Decodes an image as training does; see `image_codec`.

    Args:
        encoded: a JPEG, PNG, GIF or BMP file, or raw pixels.
        image_format: matters for raw pixels alone, `raw`.
        stated_size_px: height and width, for raw pixels alone.

    Returns:
        uint8 [H, W, 3].

    Raises:
        DataError: says what is wrong with it.
    """
    if not encoded:
        raise errors.DataError("is empty")
    # Threads decode while a GPU computes; it must not be asked to.
    with tf.device("/cpu:0"):
        arguments = (
            tf.constant(encoded),
            tf.constant(image_format),
            tf.constant(stated_size_px, tf.int32),
        )
        try:
            return _decode_compiled(*arguments).numpy()
        except (tf.errors.OpError, ValueError) as error:
            raise errors.DataError(_fault(encoded, arguments)) from error


def _fault(encoded: bytes, arguments: tuple[tf.Tensor, ...]) -> str:
    """Says why an image cannot be decoded, which a graph says in pages."""
    found = record_files.describe_magic(encoded)
    found = found or f"begins with {record_check_images.show(encoded[:8])}"
    reason = "unknown"
    try:
        _decode(*arguments)
    except tf.errors.OpError as error:
        reason = record_check_images.describe_error(error)
    except ValueError as error:
        reason = " ".join(str(error).split())
    return f"cannot be decoded ({len(encoded)} bytes, {found}): {reason}"


def _decode(
    encoded: tf.Tensor, image_format: tf.Tensor, stated_size_px: tf.Tensor
) -> tf.Tensor:
    return image_codec.decode_pixels(
        image_codec.open_image(encoded, image_format, stated_size_px)
    )


_decode_compiled = tf.function(
    _decode,
    input_signature=[
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([], tf.string),
        tf.TensorSpec([2], tf.int32),
    ],
    autograph=False,
)
