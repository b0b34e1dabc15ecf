import colorsys

import numpy as np
import pytest

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import (
    augment_colors,
    examples,
)
from object_detection.preprocessing.sample_examples import (
    assert_uniform,
    draw_many,
    make_example,
    seed_of,
)

PIXELS = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREEN = np.uint8([[[80, 200, 120]]])
# Changes that need three colours, and changes that do not.
OF_RGB = {
    "random_rgb_to_gray": augment_colors.make_random_rgb_to_gray(1.0),
    "random_adjust_hue": augment_colors.make_random_adjust_hue(0.3),
    "random_adjust_saturation": augment_colors.make_random_adjust_saturation(),
    "random_distort_color": augment_colors.make_random_distort_color(),
}
OF_ANY = {
    "random_pixel_value_scale": augment_colors.make_random_pixel_value_scale(),
    "random_adjust_brightness": augment_colors.make_random_adjust_brightness(),
    "random_adjust_contrast": augment_colors.make_random_adjust_contrast(),
}
EVERY = {**OF_RGB, **OF_ANY}


def apply(step, image, position=0):
    return step(make_example(image), seed_of(position))[Fields.image].numpy()


def draw_pixels(step, image, count=2000):
    image = np.float32(image)
    return draw_many(
        step, make_example(image), count, lambda e: e[Fields.image]
    )


def test_normalize_image_maps_range_to_range():
    step = augment_colors.make_normalize_image((10.0, 210.0), (-1.0, 3.0))
    image = np.uint8([[[10, 210, 110], [0, 60, 255]]])
    np.testing.assert_allclose(
        apply(step, image), [[[-1, 3, 1], [-1.2, 0, 3.9]]], rtol=1e-6
    )
    with pytest.raises(ValueError, match="original_range.*5 twice"):
        augment_colors.make_normalize_image((5.0, 5.0))


def test_subtract_channel_mean():
    step = augment_colors.make_subtract_channel_mean([10.0, 20.5, 30.0])
    np.testing.assert_array_equal(
        apply(step, np.uint8([[[1, 2, 3], [200, 100, 50]]])),
        [[[-9, -18.5, -27], [190, 79.5, 20]]],
    )
    with pytest.raises(examples.StepError, match="channel.* 1, got 3"):
        apply(step, PIXELS[..., :1])
    with pytest.raises(ValueError, match="means.*got none"):
        augment_colors.make_subtract_channel_mean([])


def test_gray_has_the_weights_of_the_original():
    image = np.uint8([[[100, 0, 0], [0, 100, 0], [0, 0, 100], [10, 20, 30]]])
    gray = np.float32([[[29.89], [58.7], [11.4], [18.149]]])
    result = apply(augment_colors.rgb_to_gray, image)
    np.testing.assert_allclose(result, gray, rtol=1e-5)
    result = apply(augment_colors.make_random_rgb_to_gray(1.0), image)
    np.testing.assert_allclose(result, np.tile(gray, 3), rtol=1e-5)
    for channels in (1, 4):
        with pytest.raises(examples.StepError, match=f"got {channels}"):
            apply(augment_colors.rgb_to_gray, np.zeros((2, 3, channels)))


@pytest.mark.parametrize("probability", [0.1, 0.75])
def test_share_of_gray_images(probability):
    step = augment_colors.make_random_rgb_to_gray(probability)
    pixels = draw_pixels(step, [[[200, 100, 50]]])
    is_gray = np.ptp(pixels, axis=-1) == 0
    assert (pixels[~is_gray] == [200, 100, 50]).all()
    sigma = (probability * (1 - probability) / 2000) ** 0.5
    assert abs(is_gray.mean() - probability) < 4 * sigma


def test_pixel_value_scale_draws_for_each_value():
    step = augment_colors.make_random_pixel_value_scale(0.7, 1.2)
    factors = apply(step, np.full((40, 50, 3), 100, np.uint8)) / 100
    assert_uniform(factors, 0.7, 1.2)
    assert len(np.unique(factors)) > 5900
    correlation = np.corrcoef(factors.reshape(-1, 3).T)
    assert np.abs(correlation - np.eye(3)).max() < 0.1
    clipped = apply(step, np.full((40, 50, 3), 250, np.uint8))
    assert clipped.max() == 255 and np.mean(clipped == 255) > 0.2


def test_brightness_adds_one_number_and_clips():
    step = augment_colors.make_random_adjust_brightness(0.3)
    pixels = draw_pixels(step, [[[100, 120, 140]], [[250, 5, 130]]])
    added = pixels[:, 0, 0, :1] - 100
    assert_uniform(added / 255, -0.3, 0.3)
    image = np.float32([[[100, 120, 140]], [[250, 5, 130]]])
    expected = np.clip(image + added[:, :, None, None], 0, 255)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)
    assert pixels.max() == 255 and pixels.min() == 0


def test_contrast_scales_around_the_mean_of_each_channel():
    step = augment_colors.make_random_adjust_contrast(0.5, 1.75)
    image = np.float32([[[100, 10, 255]], [[140, 30, 1]], [[120, 230, 254]]])
    pixels = draw_pixels(step, image)
    factors = (pixels[:, 1, :, :1] - pixels[:, 0, :, :1]) / 40
    assert_uniform(factors, 0.5, 1.75)
    mean = image.mean(axis=(0, 1))
    expected = np.clip((image - mean) * factors[:, None] + mean, 0, 255)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


def in_hsv(image, change):
    """Changes (hue, saturation, value) of each pixel of a 0..255 image."""
    flat = [
        colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*(pixel / 255))))
        for pixel in np.float64(image).reshape(-1, 3)
    ]
    return np.reshape(flat, image.shape) * 255


def saturation_factors(pixels_P3):
    """Of GREEN after a change of its saturation, which is 0.6."""
    return (1 - pixels_P3[:, 0] / pixels_P3[:, 1]) / 0.6


def hue_turns(pixels_P3):
    """Of GREEN after a change of its hue."""
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in np.float64(pixels_P3)]
    return np.array(hues) - colorsys.rgb_to_hsv(*GREEN[0, 0])[0]


def test_saturation_is_multiplied():
    step = augment_colors.make_random_adjust_saturation(0.25, 1.5)
    factors = saturation_factors(draw_pixels(step, GREEN)[:, 0, 0])
    assert_uniform(factors, 0.25, 1.5)
    factor = saturation_factors(apply(step, GREEN)[0])[0]
    expected = in_hsv(PIXELS, lambda h, s, v: (h, min(s * factor, 1), v))
    np.testing.assert_allclose(apply(step, PIXELS), expected, atol=0.01)


def test_hue_is_turned():
    step = augment_colors.make_random_adjust_hue(0.25)
    assert_uniform(hue_turns(draw_pixels(step, GREEN)[:, 0, 0]), -0.25, 0.25)
    turn = hue_turns(apply(step, GREEN)[0])[0]
    expected = in_hsv(PIXELS, lambda h, s, v: ((h + turn) % 1, s, v))
    np.testing.assert_allclose(apply(step, PIXELS), expected, atol=0.01)


def test_defaults_are_those_of_the_original():
    step = augment_colors.make_random_pixel_value_scale()
    assert_uniform(draw_pixels(step, [[[100, 100, 100]]]) / 100, 0.9, 1.1)
    step = augment_colors.make_random_adjust_brightness()
    assert_uniform((draw_pixels(step, [[[100]]]) - 100) / 255, -0.2, 0.2)
    step = augment_colors.make_random_adjust_contrast()
    pixels = draw_pixels(step, [[[100], [150]]])
    assert_uniform((pixels[:, :, 1] - pixels[:, :, 0]) / 50, 0.8, 1.25)
    step = augment_colors.make_random_adjust_saturation()
    pixels = draw_pixels(step, GREEN)[:, 0, 0]
    assert_uniform(saturation_factors(pixels), 0.8, 1.25)
    step = augment_colors.make_random_adjust_hue()
    assert_uniform(hue_turns(draw_pixels(step, GREEN)[:, 0, 0]), -0.02, 0.02)
    gray = draw_pixels(augment_colors.make_random_rgb_to_gray(), GREEN)
    assert 0.07 < np.mean(np.ptp(gray, axis=-1) == 0) < 0.13


BRIGHTNESS = augment_colors.make_random_adjust_brightness(32 / 255)
SATURATION = augment_colors.make_random_adjust_saturation(0.5, 1.5)
HUE = augment_colors.make_random_adjust_hue(0.2)
CONTRAST = augment_colors.make_random_adjust_contrast(0.5, 1.5)


@pytest.mark.parametrize(
    ("color_ordering", "parts"),
    [
        (0, (BRIGHTNESS, SATURATION, HUE, CONTRAST)),
        (1, (BRIGHTNESS, CONTRAST, SATURATION, HUE)),
    ],
)
def test_orders_of_distort_color(color_ordering, parts):
    step = augment_colors.make_random_distort_color(color_ordering)
    for position in range(3):
        example = make_example(PIXELS)
        for number, part in enumerate(parts):
            seed = examples.derive_seed(seed_of(position), number)
            example = part(example, seed)
        np.testing.assert_allclose(
            apply(step, PIXELS, position), example[Fields.image], atol=1e-3
        )
    other = augment_colors.make_random_distort_color(1 - color_ordering)
    assert np.abs(apply(step, PIXELS) - apply(other, PIXELS)).max() > 1


@pytest.mark.parametrize("name", EVERY)
def test_names_and_additional_channels_stay(name):
    image = np.concatenate([PIXELS, PIXELS[..., :2] // 2], axis=-1)
    changed = apply(EVERY[name], image)
    assert EVERY[name].__name__ == name
    np.testing.assert_array_equal(changed[..., 3:], image[..., 3:])
    assert changed.dtype == np.float32
    assert np.abs(changed[..., :3] - PIXELS).max() > 1
    if name != "random_pixel_value_scale":  # Its draws are those of a shape.
        np.testing.assert_allclose(
            changed[..., :3], apply(EVERY[name], PIXELS), atol=1e-4
        )


@pytest.mark.parametrize("name", OF_RGB)
def test_gray_images_have_no_colours_to_change(name):
    with pytest.raises(examples.StepError, match="3 colours, got 1 channel"):
        apply(OF_RGB[name], PIXELS[..., :1])


@pytest.mark.parametrize("name", OF_ANY)
def test_gray_images_can_be_changed(name):
    changed = apply(OF_ANY[name], PIXELS[..., :1])
    assert changed.shape == (5, 7, 1)
    assert np.abs(changed - PIXELS[..., :1]).max() > 1


@pytest.mark.parametrize("name", EVERY)
def test_values_stay_in_range(name):
    noise = np.random.default_rng(0).choice([0, 255], (30, 20, 3))
    for position in range(5):
        changed = apply(EVERY[name], np.uint8(noise), position)
        assert changed.min() >= 0 and changed.max() <= 255


@pytest.mark.parametrize(
    ("make", "values", "words"),
    [
        ("random_rgb_to_gray", (1.5,), "probability.*1.5"),
        ("random_pixel_value_scale", (1.1, 0.9), "minval.*1.1 and 0.9"),
        ("random_adjust_brightness", (-0.1,), "max_delta.*-0.1"),
        ("random_adjust_contrast", (-0.5, 1.0), "min_delta.*-0.5"),
        ("random_adjust_hue", (1.5,), "max_delta.*1.5"),
        ("random_adjust_saturation", (2.0, 1.0), "min_delta.*2 and 1"),
        ("random_distort_color", (2,), "color_ordering.*0 or 1, got 2"),
        ("random_distort_color", (-1,), "color_ordering.*got -1"),
    ],
)
def test_values_out_of_range_are_refused(make, values, words):
    with pytest.raises(ValueError, match=words):
        getattr(augment_colors, f"make_{make}")(*values)
