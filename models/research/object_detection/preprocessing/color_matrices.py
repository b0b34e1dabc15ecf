"""Matrices that change colours, and how pixels are multiplied with them."""

import numpy as np
import tensorflow as tf

from object_detection.preprocessing import canvas

# Luma, and the two axes of colour that hue turns in (NTSC).
_YIQ_OF_RGB = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]
)
_RGB_OF_YIQ = np.linalg.inv(_YIQ_OF_RGB)
LUMA_OF_RGB = np.float32(_YIQ_OF_RGB[0])


def in_yiq(factor: tf.Tensor | float, turns: tf.Tensor | float) -> tf.Tensor:
    """Makes the matrix that changes saturation and hue and keeps luma.

    Args:
        factor: of the saturation, the distance from a pixel's gray.
        turns: of the hue, parts of a full turn.

    Returns:
        float32 [3, 3], for `mix`.
    """
    angle = tf.constant(2 * np.pi, tf.float32) * turns
    along, across = factor * tf.cos(angle), factor * tf.sin(angle)
    # Out of I = red - cyan and Q = magenta - green, each turned to the other.
    changed_33 = tf.stack(
        [
            tf.constant([1.0, 0.0, 0.0]),
            tf.stack([0.0, along, -across]),
            tf.stack([0.0, across, along]),
        ]
    )
    to_yiq_33 = tf.constant(_YIQ_OF_RGB, tf.float32)
    to_rgb_33 = tf.constant(_RGB_OF_YIQ, tf.float32)
    return tf.transpose(to_rgb_33 @ changed_33 @ to_yiq_33)


def mix(colors: tf.Tensor, matrix_33: tf.Tensor) -> tf.Tensor:
    """Multiplies each pixel, a row of red, green and blue, with a matrix."""
    mixed = tf.matmul(tf.reshape(colors, [-1, 3]), matrix_33)
    return tf.reshape(mixed, tf.shape(colors))


def as_floats(pixels: tf.Tensor, change: canvas.PixelChange) -> tf.Tensor:
    """Applies a change of floats to uint8 or float32 pixels, whose type stays.

    Args:
        pixels: [h, w, 3].
        change: of float32 values; what it makes is within 0..255, or off by
            less than a half.
    """
    changed = change(tf.cast(pixels, tf.float32))
    changed = tf.ensure_shape(changed, pixels.shape)
    if pixels.dtype == tf.uint8:
        changed = tf.cast(changed + 0.5, tf.uint8)
    return changed
