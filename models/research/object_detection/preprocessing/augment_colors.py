"""Augmentations that change the values of pixels and nothing else.

The values are float32 in 0..255 from the first of these steps on. Random steps
change the colours, which are the first three channels or the only one, and
leave additional channels as they are.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from object_detection.core import standard_fields
from object_detection.preprocessing import examples

Fields = standard_fields.InputDataFields

# Of float32 colours [h, w, 3 or 1] and a seed.
Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

MAX_VALUE = 255.0


def make_normalize_image(
    original_range: tuple[float, float],
    target_range: tuple[float, float] = (0.0, 1.0),
) -> examples.Step:
    """Returns a step that maps one range linearly to another.

    Args:
        original_range: its ends become those of `target_range`.
        target_range: lowest and highest value of the result.

    Raises:
        ValueError: both ends of the original range are the same.
    """
    low, high = original_range
    target_low, target_high = target_range
    if low == high:
        raise ValueError(
            f"original_range must have two different ends, got {low:g} twice"
        )
    scale = (target_high - target_low) / (high - low)

    def normalize_image(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        del seed
        pixels = examples.float_pixels(example[Fields.image])
        return {**example, Fields.image: (pixels - low) * scale + target_low}

    return normalize_image


def make_subtract_channel_mean(means: Sequence[float]) -> examples.Step:
    """Returns a step that subtracts a number from each channel.

    Args:
        means: one number a channel, StepError for another number of them.

    Raises:
        ValueError: `means` is empty.
    """
    if not means:
        raise ValueError("means must have one number a channel, got none")

    def subtract_channel_mean(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        del seed
        pixels = examples.float_pixels(example[Fields.image])
        if len(means) != pixels.shape[2]:
            raise examples.StepError(
                "means must have one number for each channel of the image, "
                f"{pixels.shape[2]}, got {len(means)}"
            )
        return {**example, Fields.image: pixels - tf.constant(means)}

    return subtract_channel_mean


def rgb_to_gray(example: examples.Example, seed: tf.Tensor) -> examples.Example:
    """Turns three colours into one channel of gray.

    Raises:
        StepError: the image does not have three channels.
    """
    del seed
    pixels = examples.float_pixels(example[Fields.image])
    if pixels.shape[2] != examples.NUM_COLORS:
        raise examples.StepError(
            f"needs images of 3 channels, got {pixels.shape[2]}"
        )
    return {**example, Fields.image: tf.image.rgb_to_grayscale(pixels)}


def make_random_rgb_to_gray(probability: float = 0.1) -> examples.Step:
    """Returns a step that makes the three colours of some images equal.

    Raises:
        ValueError: `probability` is not in [0, 1].
    """
    examples.check_shares(probability=probability)

    def random_rgb_to_gray(colors: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.random.stateless_uniform([], seed) <= probability,
            lambda: tf.image.grayscale_to_rgb(
                tf.image.rgb_to_grayscale(colors)
            ),
            lambda: colors,
        )

    return _make_step(random_rgb_to_gray, needs_rgb=True)


def make_random_pixel_value_scale(
    minval: float = 0.9, maxval: float = 1.1
) -> examples.Step:
    """Returns a step that multiplies every value by a number of its own.

    Raises:
        ValueError: not 0 <= minval <= maxval.
    """
    check_range("minval and maxval", minval, maxval)

    def random_pixel_value_scale(
        colors: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        factors = tf.random.stateless_uniform(
            tf.shape(colors), seed, minval, maxval
        )
        return clip(colors * factors)

    return _make_step(random_pixel_value_scale, needs_rgb=False)


def make_random_adjust_brightness(max_delta: float = 0.2) -> examples.Step:
    """Returns a step that adds one number to all values.

    Args:
        max_delta: greatest part of 255 that is added or subtracted.

    Raises:
        ValueError: `max_delta` is negative.
    """
    return _make_step(_brightness_change(max_delta), needs_rgb=False)


def make_random_adjust_contrast(
    min_delta: float = 0.8, max_delta: float = 1.25
) -> examples.Step:
    """Returns a step that scales the distance from each channel's mean.

    Args:
        min_delta: least factor.
        max_delta: greatest factor.

    Raises:
        ValueError: not 0 <= min_delta <= max_delta.
    """
    return _make_step(_contrast_change(min_delta, max_delta), needs_rgb=False)


def make_random_adjust_hue(max_delta: float = 0.02) -> examples.Step:
    """Returns a step that turns the circle of colours.

    Args:
        max_delta: greatest part of a full turn, either way.

    Raises:
        ValueError: `max_delta` is not in [0, 1].
    """
    return _make_step(_hue_change(max_delta), needs_rgb=True)


def make_random_adjust_saturation(
    min_delta: float = 0.8, max_delta: float = 1.25
) -> examples.Step:
    """Returns a step that multiplies the saturation of all pixels.

    Args:
        min_delta: least factor.
        max_delta: greatest factor.

    Raises:
        ValueError: not 0 <= min_delta <= max_delta.
    """
    return _make_step(_saturation_change(min_delta, max_delta), needs_rgb=True)


def make_random_distort_color(color_ordering: int = 0) -> examples.Step:
    """Returns a step that changes brightness, saturation, hue and contrast.

    Args:
        color_ordering: 0 for this order, 1 for contrast after brightness.

    Raises:
        ValueError: `color_ordering` is another number.
    """
    brightness = _brightness_change(32.0 / 255.0)
    saturation = _saturation_change(0.5, 1.5)
    hue = _hue_change(0.2)
    contrast = _contrast_change(0.5, 1.5)
    orders = (
        (brightness, saturation, hue, contrast),
        (brightness, contrast, saturation, hue),
    )
    if color_ordering not in range(len(orders)):
        raise ValueError(f"color_ordering must be 0 or 1, got {color_ordering}")

    def random_distort_color(colors: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for number, change in enumerate(orders[color_ordering]):
            colors = change(colors, examples.derive_seed(seed, number))
        return colors

    return _make_step(random_distort_color, needs_rgb=True)


def _brightness_change(max_delta: float) -> Change:
    if max_delta < 0:
        raise ValueError(f"max_delta must be at least 0, got {max_delta:g}")

    def random_adjust_brightness(
        colors: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        delta = tf.random.stateless_uniform([], seed, -max_delta, max_delta)
        return clip(colors + delta * MAX_VALUE)

    return random_adjust_brightness


# TensorFlow's contrast, hue and saturation multiply with the values, so 0..255
# does as well as the 0..1 that they are written for.


def _contrast_change(min_delta: float, max_delta: float) -> Change:
    check_range("min_delta and max_delta", min_delta, max_delta)

    def random_adjust_contrast(colors: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        factor = tf.random.stateless_uniform([], seed, min_delta, max_delta)
        return clip(tf.image.adjust_contrast(colors, factor))

    return random_adjust_contrast


def _hue_change(max_delta: float) -> Change:
    examples.check_shares(max_delta=max_delta)

    def random_adjust_hue(colors: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        delta = tf.random.stateless_uniform([], seed, -max_delta, max_delta)
        return clip(tf.image.adjust_hue(colors, delta))

    return random_adjust_hue


def _saturation_change(min_delta: float, max_delta: float) -> Change:
    check_range("min_delta and max_delta", min_delta, max_delta)

    def random_adjust_saturation(
        colors: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        factor = tf.random.stateless_uniform([], seed, min_delta, max_delta)
        return clip(tf.image.adjust_saturation(colors, factor))

    return random_adjust_saturation


def _make_step(change: Change, *, needs_rgb: bool) -> examples.Step:
    """Returns the step, of the same name, that changes an image's colours."""

    def step(example: examples.Example, seed: tf.Tensor) -> examples.Example:
        pixels = examples.change_pixels(
            examples.float_pixels(example[Fields.image]),
            lambda colors: change(colors, seed),
            needs_rgb=needs_rgb,
        )
        return {**example, Fields.image: pixels}

    step.__name__ = change.__name__
    return step


def clip(colors: tf.Tensor) -> tf.Tensor:
    """Returns the values within 0..255."""
    return tf.clip_by_value(colors, 0.0, MAX_VALUE)


def check_range(names: str, low: float, high: float) -> None:
    """Raises ValueError unless 0 <= low <= high."""
    if not 0 <= low <= high:
        raise ValueError(
            f"{names} must satisfy 0 <= min <= max, got {low:g} and {high:g}"
        )
