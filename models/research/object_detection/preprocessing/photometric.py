"""Colour distortions of the SSD family, which wait until an image is decoded.

All values are in 0..255. Images of bytes stay such, rounded at the end of a
step; those of floats stay floats.
"""

import dataclasses
import enum
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import (
    augment_colors,
    canvas,
    draws,
    examples,
    pad,
)

Fields = standard_fields.InputDataFields

Range = tuple[float, float]

_SAME: Range = (1.0, 1.0)
_MIDDLE_GRAY = 128.0
_TURN_DEGREES = 360.0

# Luma, and the two axes of colour that hue turns in (NTSC).
_YIQ_OF_RGB = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]
)
_RGB_OF_YIQ = np.linalg.inv(_YIQ_OF_RGB)


class Order(enum.Enum):
    """In which order colours are changed.

    BRIGHTNESS_FIRST: brightness, contrast, saturation, hue.
    BRIGHTNESS_LAST: hue, saturation, contrast, brightness; the last two are
        one step, not clipped in between.
    RANDOM_CONTRAST: brightness, saturation, hue, with contrast before
        saturation in half of the images and after hue in the others.
    """

    BRIGHTNESS_FIRST = "brightness_first"
    BRIGHTNESS_LAST = "brightness_last"
    RANDOM_CONTRAST = "random_contrast"


class ContrastCenter(enum.Enum):
    """What a contrast factor moves values away from."""

    BLACK = "black"
    MIDDLE_GRAY = "middle_gray"
    MEAN_LUMA = "mean_luma"


class ColorModel(enum.Enum):
    """What saturation and hue are of.

    HSV keeps the greatest of a pixel's three colours, YIQ keeps its luma and
    is linear.
    """

    HSV = "hsv"
    YIQ = "yiq"


@dataclasses.dataclass(frozen=True)
class PhotometricDistortion:
    """Parameters of the distortion.

    Attributes:
        probability: of each of brightness, contrast, saturation and hue.
        max_brightness_delta: greatest whole number added to all values, after
            the factor, or subtracted.
        brightness_factors: least and greatest factor of all values.
        contrast_factors: of the distance from the centre.
        contrast_center: the centre.
        saturation_factors: of the saturation.
        max_hue_delta_degrees: greatest turn of the circle of colours, either
            way, in degrees.
        order: of the changes.
        color_model: of saturation and hue.
    """

    probability: float = 1.0
    max_brightness_delta: int = 0
    brightness_factors: Range = _SAME
    contrast_factors: Range = _SAME
    contrast_center: ContrastCenter = ContrastCenter.BLACK
    saturation_factors: Range = _SAME
    max_hue_delta_degrees: float = 0.0
    order: Order = Order.BRIGHTNESS_FIRST
    color_model: ColorModel = ColorModel.HSV

    def __post_init__(self) -> None:
        examples.check_shares(probability=self.probability)
        for name in (
            "brightness_factors",
            "contrast_factors",
            "saturation_factors",
        ):
            augment_colors.check_range(name, *getattr(self, name))
        for name, highest in (
            ("max_brightness_delta", augment_colors.MAX_VALUE),
            ("max_hue_delta_degrees", _TURN_DEGREES / 2),
        ):
            if not 0 <= getattr(self, name) <= highest:
                raise ValueError(
                    f"{name} must be from 0 to {highest:g}, got "
                    f"{getattr(self, name):g}"
                )


class _Amounts(NamedTuple):
    """Scalars float32 of one image; 1, or 0, changes nothing."""

    brightness_factor: tf.Tensor
    brightness_delta: tf.Tensor
    early_contrast_factor: tf.Tensor
    late_contrast_factor: tf.Tensor
    saturation_factor: tf.Tensor
    hue_turns: tf.Tensor


def make_photometric_distortion(
    distortion: PhotometricDistortion,
) -> examples.Step:
    """Returns a step that changes the colours of an image."""
    is_of_one_pixel = distortion.contrast_center != ContrastCenter.MEAN_LUMA

    def photometric_distortion(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        amounts = _draw(distortion, seed)
        image = example[Fields.image]
        if not is_of_one_pixel:
            image = examples.pixels(image)
        changed = examples.change_colors(
            image,
            lambda pixels: _as_floats(
                pixels, lambda colors: _distort(colors, distortion, amounts)
            ),
            needs_rgb=True,
        )
        return {**example, Fields.image: changed}

    return photometric_distortion


def make_random_channel_permutation(probability: float = 0.5) -> examples.Step:
    """Returns a step that puts the three colours into another order.

    Args:
        probability: that an order is drawn, each of the six as likely.

    Raises:
        ValueError: `probability` is not in [0, 1].
    """
    examples.check_shares(probability=probability)

    def random_channel_permutation(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        keys_4 = tf.random.stateless_uniform([4], seed)
        order_3 = tf.argsort(keys_4[1:])
        # A product with zeros and ones is exact and faster than a gather.
        matrix_33 = tf.one_hot(order_3, 3, axis=0)

        def permute(pixels: tf.Tensor) -> tf.Tensor:
            return tf.cond(
                keys_4[0] < probability,
                lambda: _as_floats(pixels, lambda c: _mix(c, matrix_33)),
                lambda: pixels,
            )

        changed = examples.change_colors(
            example[Fields.image], permute, needs_rgb=True
        )
        return {**example, Fields.image: changed}

    return random_channel_permutation


def _draw(distortion: PhotometricDistortion, seed: tf.Tensor) -> _Amounts:
    # One draw of all is much faster than one of each.
    shares_10 = tf.random.stateless_uniform([10], seed)
    is_drawn_4 = shares_10[:4] < distortion.probability
    hue_turns = distortion.max_hue_delta_degrees / _TURN_DEGREES
    low_4, high_4 = np.float32(
        [
            distortion.brightness_factors,
            distortion.contrast_factors,
            distortion.saturation_factors,
            (-hue_turns, hue_turns),
        ]
    ).T
    brightness, contrast, saturation, hue = tf.unstack(
        tf.where(
            is_drawn_4,
            low_4 + (high_4 - low_4) * shares_10[4:8],
            tf.constant([1.0, 1.0, 1.0, 0.0]),
        )
    )
    max_delta = distortion.max_brightness_delta
    delta = (
        draws.whole_number_below(2 * max_delta + 1, shares_10[8]) - max_delta
    )
    is_late = distortion.order == Order.RANDOM_CONTRAST and shares_10[9] < 0.5
    return _Amounts(
        brightness_factor=brightness,
        brightness_delta=tf.where(
            is_drawn_4[0], tf.cast(delta, tf.float32), 0.0
        ),
        early_contrast_factor=tf.where(is_late, 1.0, contrast),
        late_contrast_factor=tf.where(is_late, contrast, 1.0),
        saturation_factor=saturation,
        hue_turns=hue,
    )


def _distort(
    colors: tf.Tensor, distortion: PhotometricDistortion, amounts: _Amounts
) -> tf.Tensor:
    """Changes float32 [h, w, 3] colours."""

    def brightness(colors: tf.Tensor) -> tf.Tensor:
        return _scale_and_shift(
            colors, amounts.brightness_factor, amounts.brightness_delta
        )

    def contrast(colors: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        shift = _center(distortion, colors) * (1.0 - factor)
        return _scale_and_shift(colors, factor, shift)

    def contrast_and_brightness(colors: tf.Tensor) -> tf.Tensor:
        factor = amounts.early_contrast_factor
        shift = _center(distortion, colors) * (1.0 - factor)
        return _scale_and_shift(
            colors,
            amounts.brightness_factor * factor,
            amounts.brightness_factor * shift + amounts.brightness_delta,
        )

    if distortion.order == Order.BRIGHTNESS_LAST:
        return contrast_and_brightness(_color(colors, distortion, amounts))
    colors = brightness(colors)
    colors = contrast(colors, amounts.early_contrast_factor)
    colors = _color(colors, distortion, amounts)
    if distortion.order == Order.RANDOM_CONTRAST:
        colors = contrast(colors, amounts.late_contrast_factor)
    return colors


def _center(
    distortion: PhotometricDistortion, colors: tf.Tensor
) -> tf.Tensor | float:
    if distortion.contrast_center == ContrastCenter.BLACK:
        return 0.0
    if distortion.contrast_center == ContrastCenter.MIDDLE_GRAY:
        return _MIDDLE_GRAY
    return tf.tensordot(
        pad.mean_color(colors), tf.constant(_YIQ_OF_RGB[0], tf.float32), 1
    )


def _scale_and_shift(
    colors: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor
) -> tf.Tensor:
    return tf.cond(
        tf.equal(scale, 1.0) & tf.equal(shift, 0.0),
        lambda: colors,
        lambda: augment_colors.clip(colors * scale + shift),
    )


def _color(
    colors: tf.Tensor, distortion: PhotometricDistortion, amounts: _Amounts
) -> tf.Tensor:
    """Changes saturation and hue."""
    factor, turns = amounts.saturation_factor, amounts.hue_turns
    is_saturation_same, is_hue_same = tf.equal(factor, 1.0), tf.equal(turns, 0)
    if distortion.color_model == ColorModel.YIQ:
        return tf.cond(
            is_saturation_same & is_hue_same,
            lambda: colors,
            lambda: augment_colors.clip(
                _mix(colors, _yiq_matrix(factor, turns))
            ),
        )
    # TensorFlow's kernels multiply with the values, so 0..255 does as well as
    # the 0..1 that they are written for.
    colors = tf.cond(
        is_saturation_same,
        lambda: colors,
        lambda: augment_colors.clip(tf.image.adjust_saturation(colors, factor)),
    )
    return tf.cond(
        is_hue_same,
        lambda: colors,
        lambda: augment_colors.clip(tf.image.adjust_hue(colors, turns)),
    )


def _yiq_matrix(factor: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """float32 [3, 3] that a row of red, green and blue is multiplied with."""
    angle = 2 * np.pi * turns
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


def _mix(colors: tf.Tensor, matrix_33: tf.Tensor) -> tf.Tensor:
    """Multiplies each pixel, a row of three, with a matrix."""
    mixed = tf.matmul(tf.reshape(colors, [-1, 3]), matrix_33)
    return tf.reshape(mixed, tf.shape(colors))


def _as_floats(pixels: tf.Tensor, change: canvas.PixelChange) -> tf.Tensor:
    """Applies what is made for floats within 0..255 to bytes or floats."""
    changed = change(tf.cast(pixels, tf.float32))
    changed = tf.ensure_shape(changed, pixels.shape)
    if pixels.dtype == tf.uint8:
        changed = tf.cast(changed + 0.5, tf.uint8)
    return changed
