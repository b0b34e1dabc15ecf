import colorsys
import itertools

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import image_codec
from object_detection.data_decoders.sample_records import encode, make_pixels
from object_detection.preprocessing import examples
from object_detection.preprocessing.photometric import (
    ColorModel,
    ContrastCenter,
    Order,
    PhotometricDistortion,
    make_photometric_distortion,
)
from object_detection.preprocessing.sample_examples import (
    assert_uniform,
    draw_many,
    make_example,
    seed_of,
)

PIXELS = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREEN = np.float32([[[80, 200, 120]]])
LUMA = np.array([0.299, 0.587, 0.114])
FACTORS = (0.8, 1.35, 1.4)  # Of brightness, contrast and saturation.
CENTERS = {
    ContrastCenter.BLACK: lambda image: 0,
    ContrastCenter.MIDDLE_GRAY: lambda image: 128,
    ContrastCenter.MEAN_LUMA: lambda image: (image @ LUMA).mean(),
}


def apply(image, position=0, **parameters):
    step = make_photometric_distortion(PhotometricDistortion(**parameters))
    return step(make_example(image), seed_of(position))[Fields.image].numpy()


def draw_pixels(step, image, count=2000):
    image = np.float32(image)
    return draw_many(
        step, make_example(image), count, lambda e: e[Fields.image]
    )


def draw(image, count=2000, **parameters):
    step = make_photometric_distortion(PhotometricDistortion(**parameters))
    return draw_pixels(step, image, count)


def clip(image):
    return np.clip(image, 0, 255)


def in_hsv(image, factor, turns):
    def change(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        saturation = min(saturation * factor, 1)
        return colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value)

    flat = [change(pixel) for pixel in np.float64(image).reshape(-1, 3)]
    return np.reshape(flat, image.shape) * 255


def in_yiq(image, factor, turns):
    """Y, I and Q of the NTSC: I and Q scaled and turned, Y as it is."""
    y = image @ LUMA
    i = image @ [0.596, -0.274, -0.322]
    q = image @ [0.211, -0.523, 0.312]
    turned = (i + 1j * q) * factor * np.exp(2j * np.pi * turns)
    system = [LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]
    yiq = np.stack([y, turned.real, turned.imag], axis=-1)
    return np.linalg.solve(system, yiq[..., np.newaxis])[..., 0]


def reference(image, order, center, model, turns=0.0, delta=0.0):
    """All changes by FACTORS, clipped as the orders say."""
    brightness, contrast, saturation = FACTORS
    image = np.float64(image)
    center = CENTERS[center]

    def colored(image):
        change = in_hsv if model == ColorModel.HSV else in_yiq
        return clip(change(image, saturation, turns))

    def contrasted(image):
        return center(image) + contrast * (image - center(image))

    if order == Order.BRIGHTNESS_LAST:
        return clip(brightness * contrasted(colored(image)) + delta)
    image = clip(image * brightness + delta)
    if order == Order.RANDOM_CONTRAST:
        return (
            colored(clip(contrasted(image))),
            clip(contrasted(colored(image))),
        )
    return colored(clip(contrasted(image)))


def fixed(order, center, model):
    return {
        "order": order,
        "contrast_center": center,
        "color_model": model,
        **{
            f"{name}_factors": (factor, factor)
            for name, factor in zip(
                ("brightness", "contrast", "saturation"), FACTORS, strict=True
            )
        },
    }


@pytest.mark.parametrize(
    ("order", "center", "model"),
    [*itertools.product(Order, ContrastCenter, ColorModel)],
)
def test_every_combination(order, center, model):
    image = np.float32(PIXELS)
    result = apply(image, **fixed(order, center, model))
    expected = reference(image, order, center, model)
    if order != Order.RANDOM_CONTRAST:
        np.testing.assert_allclose(result, expected, atol=0.01)
        return
    # They differ, and each is the one or the other.
    assert np.abs(expected[0] - expected[1]).max() > 1
    seen = set()
    for position in range(7):
        result = apply(image, position, **fixed(order, center, model))
        (found,) = [
            number
            for number in range(2)
            if np.allclose(result, expected[number], atol=0.01)
        ]
        seen.add(found)
    assert seen == {0, 1}


def test_hue_and_delta_among_the_others():
    for model in ColorModel:
        both = {"max_hue_delta_degrees": 36.0, "max_brightness_delta": 32}
        for order in (Order.BRIGHTNESS_FIRST, Order.BRIGHTNESS_LAST):
            parameters = fixed(order, ContrastCenter.MIDDLE_GRAY, model)
            # A seed draws the same amounts whatever else is changed.
            hue_alone = apply(GREEN, 3, max_hue_delta_degrees=36.0)[0, 0]
            turns = hue_turns(hue_alone[np.newaxis])[0]
            delta = (apply(GREEN, 3, max_brightness_delta=32) - GREEN)[0, 0, 0]
            assert abs(turns) > 0.02 and abs(delta) > 2
            result = apply(np.float32(PIXELS), 3, **parameters, **both)
            expected = reference(
                PIXELS, order, ContrastCenter.MIDDLE_GRAY, model, turns, delta
            )
            np.testing.assert_allclose(result, expected, atol=0.05)


def hue_turns(pixels_P3):
    """Of GREEN after a change of its hue in HSV."""
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in np.float64(pixels_P3)]
    return np.array(hues) - colorsys.rgb_to_hsv(*GREEN[0, 0])[0]


def test_brightness_adds_every_whole_number_of_its_range():
    pixels = draw([[[100, 100, 100]]], 4000, max_brightness_delta=32)
    added = pixels[:, 0, 0, 0] - 100
    assert set(added) == set(range(-32, 33))
    counts = np.bincount((added + 32).astype(int))
    assert np.abs(counts - 4000 / 65).max() < 5 * (4000 / 65) ** 0.5
    edges = draw([[[10, 240, 128]]], 500, max_brightness_delta=32)
    assert edges.min() == 0 and edges.max() == 255


@pytest.mark.parametrize(("low", "high"), [(0.875, 1.125), (0.6, 1.4)])
def test_brightness_factors(low, high):
    pixels = draw([[[100, 50, 60]]], brightness_factors=(low, high))
    assert_uniform(pixels[:, 0, 0, 0] / 100, low, high)
    np.testing.assert_allclose(
        pixels[:, 0, 0], pixels[:, 0, 0, :1] * [[1, 0.5, 0.6]], rtol=1e-5
    )


@pytest.mark.parametrize("center", ContrastCenter)
def test_contrast_factors(center):
    image = np.float32([[[100, 40, 130], [120, 60, 110]]])
    pixels = draw(image, contrast_factors=(0.5, 1.5), contrast_center=center)
    factors = (pixels[:, 0, 1, 0] - pixels[:, 0, 0, 0]) / 20
    assert_uniform(factors, 0.5, 1.5)
    middle = CENTERS[center](np.float64(image))
    expected = middle + factors[:, None, None, None] * (image - middle)
    np.testing.assert_allclose(pixels, clip(expected), atol=1e-2)


def test_saturation_factors():
    pixels = draw(GREEN, saturation_factors=(0.5, 1.5))[:, 0, 0]
    # Its saturation is 0.6.
    assert_uniform((1 - pixels[:, 0] / pixels[:, 1]) / 0.6, 0.5, 1.5)
    np.testing.assert_allclose(pixels[:, 1], 200, rtol=1e-5)
    pixels = draw(
        GREEN, saturation_factors=(0.5, 1.5), color_model=ColorModel.YIQ
    )[:, 0, 0]
    np.testing.assert_allclose(pixels @ LUMA, GREEN[0, 0] @ LUMA, rtol=1e-4)
    factors = (pixels[:, 1] - pixels[:, 0]) / 120
    assert_uniform(factors, 0.5, 1.5)


def test_hue_turns_by_degrees():
    pixels = draw(GREEN, max_hue_delta_degrees=36.0)[:, 0, 0]
    assert_uniform(hue_turns(pixels) * 360, -36, 36)
    np.testing.assert_allclose(pixels.max(axis=1), 200, rtol=1e-4)
    np.testing.assert_allclose(pixels.min(axis=1), 80, rtol=1e-4)
    pixels = draw(
        GREEN, max_hue_delta_degrees=20.0, color_model=ColorModel.YIQ
    )[:, 0, 0]
    i, q = (
        pixels @ axis
        for axis in ([0.596, -0.274, -0.322], [0.211, -0.523, 0.312])
    )
    angles = np.angle((i + 1j * q) / (i + 1j * q).mean(), deg=True)
    assert_uniform(angles - (angles.max() + angles.min()) / 2, -20, 20)
    np.testing.assert_allclose(pixels @ LUMA, GREEN[0, 0] @ LUMA, rtol=1e-4)


def test_steps_are_drawn_each_on_its_own():
    # Each change shows in a pixel of its own.
    alone = {
        "max_brightness_delta": 32,
        "contrast_factors": (0.5, 0.9),
        "saturation_factors": (0.3, 0.6),
        "max_hue_delta_degrees": 20.0,
    }
    is_changed = np.stack(
        [
            np.abs(
                draw(GREEN, 1500, probability=0.3, **{name: value}) - GREEN
            ).max(axis=(1, 2, 3))
            > 1e-3
            for name, value in alone.items()
        ]
    )
    shares = is_changed.mean(axis=1)
    # A delta of 0 is one of 65.
    np.testing.assert_allclose(shares, 0.3, atol=0.06)
    correlation = np.corrcoef(is_changed)
    assert np.abs(correlation - np.eye(4)).max() < 0.1


def test_amounts_are_drawn_each_on_its_own():
    # Each shows in how bright or dark the result is.
    pixels = [
        draw(GREEN, 1000, **{name: value})[:, 0, 0, channel]
        for name, value, channel in (
            ("max_brightness_delta", 32, 0),
            ("brightness_factors", (0.5, 1.2), 0),
            ("contrast_factors", (0.5, 1.2), 0),
            ("saturation_factors", (0.5, 1.5), 0),
            ("max_hue_delta_degrees", 30.0, 2),
        )
    ]
    assert np.abs(np.corrcoef(pixels) - np.eye(5)).max() < 0.15


def test_contrast_comes_late_in_half_of_the_images():
    parameters = fixed(
        Order.RANDOM_CONTRAST, ContrastCenter.BLACK, ColorModel.YIQ
    )
    early, late = reference(
        PIXELS, Order.RANDOM_CONTRAST, ContrastCenter.BLACK, ColorModel.YIQ
    )
    pixels = draw(PIXELS, 1000, **parameters)
    is_early = np.abs(pixels - early).max(axis=(1, 2, 3)) < 0.01
    is_late = np.abs(pixels - late).max(axis=(1, 2, 3)) < 0.01
    assert (is_early ^ is_late).all()
    assert abs(is_late.mean() - 0.5) < 0.08


FULL = PhotometricDistortion(
    0.8, 32, (0.7, 1.2), (0.5, 1.5), ContrastCenter.BLACK, (0.5, 1.5), 36.0
)


def test_bytes_stay_bytes_and_are_those_of_floats_rounded():
    step = make_photometric_distortion(FULL)
    for position in range(5):
        of_bytes = step(make_example(PIXELS), seed_of(position))
        of_floats = step(make_example(np.float32(PIXELS)), seed_of(position))
        assert of_bytes[Fields.image].dtype == tf.uint8
        assert of_floats[Fields.image].dtype == tf.float32
        np.testing.assert_allclose(
            of_bytes[Fields.image], of_floats[Fields.image], atol=0.5001
        )


@pytest.mark.parametrize("center", ContrastCenter)
def test_only_a_mean_needs_all_pixels(center):
    encoded = tf.constant(encode(make_pixels(20, 30), "JPEG"))
    image = image_codec.open_image(encoded, tf.constant("jpeg"), [20, 30])
    distortion = PhotometricDistortion(
        contrast_factors=(0.5, 0.9), contrast_center=center
    )
    late = make_example(PIXELS) | {Fields.image: image}
    early = make_example(PIXELS) | {Fields.image: examples.pixels(image)}
    step = make_photometric_distortion(distortion)
    window = tf.constant([3, 2, 9, 20])
    images = [
        examples.crop_image(step(given, seed_of(0))[Fields.image], window)
        for given in (late, early)
    ]
    is_late = center != ContrastCenter.MEAN_LUMA
    assert examples.is_late(images[0]) == is_late
    np.testing.assert_array_equal(examples.pixels(images[0]), images[1])


def test_by_default_nothing_changes():
    np.testing.assert_array_equal(apply(PIXELS), PIXELS)


def test_additional_channels_stay_and_gray_is_refused():
    step = make_photometric_distortion(FULL)
    image = np.concatenate([PIXELS, PIXELS[..., :2] // 2], axis=-1)
    changed = step(make_example(image), seed_of(1))[Fields.image].numpy()
    np.testing.assert_array_equal(changed[..., 3:], image[..., 3:])
    alone = step(make_example(PIXELS), seed_of(1))[Fields.image]
    np.testing.assert_array_equal(changed[..., :3], alone)
    with pytest.raises(examples.StepError, match="3 colours, got 1 channel"):
        step(make_example(PIXELS[..., :1]), seed_of(1))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"probability": 1.5}, "probability.*1.5"),
        ({"max_brightness_delta": 256}, "max_brightness_delta.*255, got 256"),
        ({"brightness_factors": (2.0, 1.0)}, "brightness_factors.*2 and 1"),
        ({"contrast_factors": (-1.0, 1.0)}, "contrast_factors.*-1"),
        ({"saturation_factors": (1.5, 1.0)}, "saturation_factors.*1.5"),
        ({"max_hue_delta_degrees": 181.0}, "max_hue_delta.*180, got 181"),
    ],
)
def test_values_out_of_range_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        PhotometricDistortion(**parameters)
