"""The colour distortion of the SSD family, which waits for the decoding.

All values are in 0..255. Images of bytes stay such, rounded at the end; those
of floats stay floats.
"""

import dataclasses
import enum
from typing import NamedTuple

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import (
    augment_colors,
    color_matrices,
    draws,
    examples,
    pad,
)

Fields = standard_fields.InputDataFields

Range = tuple[float, float]

_SAME: Range = (1.0, 1.0)
_MIDDLE_GRAY = 128.0
_TURN_DEGREES = 360.0


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
    """Scalars float32 of one image; 1, or 0, changes nothing.

    What never changes anything is a plain number, for which nothing is
    computed.
    """

    brightness_factor: tf.Tensor | float
    brightness_delta: tf.Tensor | float
    early_contrast_factor: tf.Tensor | float
    late_contrast_factor: tf.Tensor | float
    saturation_factor: tf.Tensor | float
    hue_turns: tf.Tensor | float


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
            lambda pixels: color_matrices.as_floats(
                pixels, lambda colors: _distort(colors, distortion, amounts)
            ),
            needs_rgb=True,
        )
        return {**example, Fields.image: changed}

    return photometric_distortion


def _draw(distortion: PhotometricDistortion, seed: tf.Tensor) -> _Amounts:
    # One draw of all is much faster than one of each.
    shares_10 = tf.random.stateless_uniform([10], seed)
    is_drawn_4 = shares_10[:4] < distortion.probability

    def factor(step: int, factors: Range) -> tf.Tensor | float:
        if factors == _SAME:
            return 1.0
        low, high = factors
        drawn = low + (high - low) * shares_10[4 + step]
        return tf.where(is_drawn_4[step], drawn, 1.0)

    contrast = factor(1, distortion.contrast_factors)
    early, late = contrast, 1.0
    if distortion.order == Order.RANDOM_CONTRAST and tf.is_tensor(contrast):
        is_late = shares_10[9] < 0.5
        early = tf.where(is_late, 1.0, contrast)
        late = tf.where(is_late, contrast, 1.0)
    delta, turns = 0.0, 0.0
    if distortion.max_brightness_delta:
        limit = distortion.max_brightness_delta
        drawn = draws.whole_number_below(2 * limit + 1, shares_10[8]) - limit
        delta = tf.where(is_drawn_4[0], tf.cast(drawn, tf.float32), 0.0)
    if distortion.max_hue_delta_degrees:
        limit = distortion.max_hue_delta_degrees / _TURN_DEGREES
        drawn = (2 * shares_10[7] - 1) * limit
        turns = tf.where(is_drawn_4[3], drawn, 0.0)
    return _Amounts(
        brightness_factor=factor(0, distortion.brightness_factors),
        brightness_delta=delta,
        early_contrast_factor=early,
        late_contrast_factor=late,
        saturation_factor=factor(2, distortion.saturation_factors),
        hue_turns=turns,
    )


def _distort(
    colors: tf.Tensor, distortion: PhotometricDistortion, amounts: _Amounts
) -> tf.Tensor:
    """Changes float32 [h, w, 3] colours."""
    scale, delta = amounts.brightness_factor, amounts.brightness_delta
    if distortion.order == Order.BRIGHTNESS_LAST:
        colors = _color(colors, distortion, amounts)
        factor = amounts.early_contrast_factor
        shift = _contrast_shift(colors, factor, distortion)
        return _scale_and_shift(colors, scale * factor, scale * shift + delta)
    colors = _scale_and_shift(colors, scale, delta)
    colors = _contrast(colors, amounts.early_contrast_factor, distortion)
    colors = _color(colors, distortion, amounts)
    return _contrast(colors, amounts.late_contrast_factor, distortion)


def _contrast(
    colors: tf.Tensor,
    factor: tf.Tensor | float,
    distortion: PhotometricDistortion,
) -> tf.Tensor:
    shift = _contrast_shift(colors, factor, distortion)
    return _scale_and_shift(colors, factor, shift)


def _contrast_shift(
    colors: tf.Tensor,
    factor: tf.Tensor | float,
    distortion: PhotometricDistortion,
) -> tf.Tensor | float:
    """What is added after the factor so that the centre stays."""
    is_black = distortion.contrast_center == ContrastCenter.BLACK
    if is_black or not tf.is_tensor(factor):
        return 0.0
    if distortion.contrast_center == ContrastCenter.MIDDLE_GRAY:
        return _MIDDLE_GRAY * (1.0 - factor)
    luma = tf.tensordot(
        pad.mean_color(colors), tf.constant(color_matrices.LUMA_OF_RGB), 1
    )
    return luma * (1.0 - factor)


def _scale_and_shift(
    colors: tf.Tensor, scale: tf.Tensor | float, shift: tf.Tensor | float
) -> tf.Tensor:
    if not tf.is_tensor(scale) and not tf.is_tensor(shift):
        return colors

    def change() -> tf.Tensor:
        changed = colors * scale if tf.is_tensor(scale) else colors
        if not tf.is_tensor(shift):
            # No factor is negative.
            return tf.minimum(changed, augment_colors.MAX_VALUE)
        return augment_colors.clip(changed + shift)

    is_same = tf.equal(scale, 1.0) & tf.equal(shift, 0.0)
    return tf.cond(is_same, lambda: colors, change)


def _color(
    colors: tf.Tensor, distortion: PhotometricDistortion, amounts: _Amounts
) -> tf.Tensor:
    """Changes saturation and hue."""
    factor, turns = amounts.saturation_factor, amounts.hue_turns
    if distortion.color_model == ColorModel.YIQ:
        if not tf.is_tensor(factor) and not tf.is_tensor(turns):
            return colors
        return tf.cond(
            tf.equal(factor, 1.0) & tf.equal(turns, 0.0),
            lambda: colors,
            lambda: augment_colors.clip(
                color_matrices.mix(colors, color_matrices.in_yiq(factor, turns))
            ),
        )
    # TensorFlow's kernels multiply with the values, so 0..255 does as well as
    # the 0..1 that they are written for. They make nothing beyond 255.
    if tf.is_tensor(factor):
        colors = tf.cond(
            tf.equal(factor, 1.0),
            lambda: colors,
            lambda: tf.image.adjust_saturation(colors, factor),
        )
    if tf.is_tensor(turns):
        colors = tf.cond(
            tf.equal(turns, 0.0),
            lambda: colors,
            lambda: tf.image.adjust_hue(colors, turns),
        )
    return colors
