"""One visible effect of each field of each augmentation."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import augment_colors, augment_images
from object_detection.preprocessing.image_resizer import ResizeMethod
from object_detection.preprocessing.sample_examples import make_example, seed_of
from object_detection.protos import train_pb2

IMAGE = np.uint8([[[100, 40, 200], [140, 80, 200], [180, 60, 50]]] * 2)
GRAY = np.dot(IMAGE, [[0.2989] * 3, [0.587] * 3, [0.114] * 3])
BOXES = np.float32([[0.25, 0.375, 0.5, 0.625]])
KEYPOINTS = np.float32([[[0.1, 0.2], [0.3, 0.4]]])


def build(text):
    config = text_format.Parse(
        f"data_augmentation_options {{ {text} }}", train_pb2.TrainConfig()
    )
    (step,) = preprocessor_builder.build(
        config.data_augmentation_options, is_grayscale="rgb_to_gray" in text
    )
    return step


def apply(step, key=Fields.image, position=0):
    given = make_example(IMAGE, BOXES, groundtruth_keypoints=KEYPOINTS)
    return step(given, seed_of(position))[key].numpy()


def half_contrast(image):
    mean = image.mean(axis=(0, 1))
    return (image - mean) / 2 + mean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "normalize_image { original_minval: 40 original_maxval: 200 }",
            (IMAGE - 40.0) / 160,
        ),
        (
            "normalize_image { original_maxval: 200 target_minval: -1 "
            "target_maxval: 3 }",
            IMAGE / 50.0 - 1,
        ),
        ("subtract_channel_mean { means: [1, 2.5, 3] }", IMAGE - [1, 2.5, 3]),
        ("random_pixel_value_scale { minval: 0.5 maxval: 0.5 }", IMAGE / 2),
        ("random_rgb_to_gray { probability: 1 }", GRAY),
        ("random_rgb_to_gray { probability: 0 }", IMAGE),
        ("rgb_to_gray {}", GRAY[..., :1]),
        ("random_adjust_brightness { max_delta: 0 }", IMAGE),
        (
            "random_adjust_contrast { min_delta: 0.5 max_delta: 0.5 }",
            half_contrast(IMAGE),
        ),
        ("random_adjust_hue { max_delta: 0 }", IMAGE),
        (
            "random_adjust_saturation { min_delta: 0 max_delta: 0 }",
            np.tile(IMAGE.max(axis=-1, keepdims=True), 3),
        ),
        ("random_black_patches { max_black_patches: 0 }", IMAGE),
        ("random_black_patches { probability: 0 }", IMAGE),
        (
            "random_black_patches { probability: 1 size_to_image_ratio: 1 }",
            IMAGE * np.uint8([[[0], [0], [1]]]),
        ),
        (
            "resize_image { new_height: 1 new_width: 6 }",
            apply(augment_images.make_resize_image(1, 6)),
        ),
    ],
)
def test_what_an_image_becomes(text, expected):
    result = apply(build(text))
    assert result.shape == np.shape(expected)
    np.testing.assert_allclose(result, expected, atol=1e-2)


@pytest.mark.parametrize(
    ("text", "make"),
    [
        (
            "random_distort_color {}",
            lambda: augment_colors.make_random_distort_color(0),
        ),
        (
            "random_distort_color { color_ordering: 1 }",
            lambda: augment_colors.make_random_distort_color(1),
        ),
        *(
            (
                "resize_image { new_height: 5 new_width: 4 "
                f"method: {method.name} }}",
                lambda m=method: augment_images.make_resize_image(5, 4, m),
            )
            for method in ResizeMethod
        ),
    ],
)
def test_alternatives(text, make):
    np.testing.assert_array_equal(apply(build(text)), apply(make()))


@pytest.mark.parametrize(
    ("text", "size_px"),
    [
        (
            "random_image_scale { min_scale_ratio: 3 max_scale_ratio: 3 }",
            (6, 9),
        ),
        ("random_resize_method { target_height: 5 target_width: 4 }", (5, 4)),
    ],
)
def test_size_of_an_image(text, size_px):
    assert apply(build(text)).shape == (*size_px, 3)


@pytest.mark.parametrize(
    ("name", "wide", "key", "largest"),
    [
        ("random_adjust_brightness", "max_delta: 0.4", Fields.image, 51),
        ("random_jitter_boxes", "ratio: 0.4", Fields.groundtruth_boxes, 0.0125),
    ],
)
def test_a_wider_range_goes_further(name, wide, key, largest):
    start = IMAGE if key == Fields.image else BOXES

    def furthest(values):
        step = build(f"{name} {{ {values} }}")
        return max(
            np.abs(apply(step, key, position) - start).max()
            for position in range(10)
        )

    assert 0 < furthest("") <= largest + 1e-6 < furthest(wide)


def test_a_wider_range_of_hues_goes_further():
    narrow, wide = (
        apply(build(f"random_adjust_hue {{ {values} }}"))
        for values in ("", "max_delta: 0.4")
    )
    assert 0 < np.abs(narrow - IMAGE).max() < np.abs(wide - IMAGE).max()


@pytest.mark.parametrize(
    ("name", "coordinate"),
    [("random_horizontal_flip", 1), ("random_vertical_flip", 0)],
)
def test_flips_permute_keypoints(name, coordinate):
    step = build(f"{name} {{ keypoint_flip_permutation: [1, 0] }}")
    expected = KEYPOINTS[0, ::-1].copy()
    expected[:, coordinate] = 1 - expected[:, coordinate]
    results = [
        apply(step, Fields.groundtruth_keypoints, position)
        for position in range(12)
    ]
    kept = [np.allclose(result, KEYPOINTS) for result in results]
    flipped = [np.allclose(result, expected) for result in results]
    assert any(kept) and any(flipped) and sum(kept) + sum(flipped) == 12


def test_rotation_has_no_fields():
    step = build("random_rotation90 {}")
    shapes = {apply(step, position=position).shape for position in range(12)}
    assert shapes == {(2, 3, 3), (3, 2, 3)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("normalize_image {}", "original_maxval: must be another.*got 0"),
        (
            "normalize_image { original_maxval: 9 target_maxval: inf }",
            "target_maxval: must be finite",
        ),
        ("subtract_channel_mean {}", "means: .*finite"),
        ("subtract_channel_mean { means: nan }", "means: .*finite"),
        (
            "random_pixel_value_scale { minval: 2 }",
            "minval: must be at most maxval.*1.1, got 2",
        ),
        (
            "random_image_scale { min_scale_ratio: 0 }",
            "min_scale_ratio: must be above 0, got 0",
        ),
        ("random_rgb_to_gray { probability: 2 }", "probability: .*1, got 2"),
        ("random_adjust_brightness { max_delta: -1 }", "max_delta: .*-1"),
        ("random_adjust_contrast { min_delta: 2 }", "min_delta: .*1.25, got 2"),
        ("random_adjust_hue { max_delta: 2 }", "max_delta: .*1, got 2"),
        ("random_adjust_saturation { min_delta: -1 }", "min_delta: .*got -1"),
        ("random_distort_color { color_ordering: 2 }", "color_ordering: .*2"),
        ("random_jitter_boxes { ratio: -1 }", "ratio: .*-1"),
        (
            "random_black_patches { max_black_patches: -1 }",
            "max_black_patches: .*-1",
        ),
        ("random_black_patches { probability: 2 }", "probability: .*2"),
        (
            "random_black_patches { size_to_image_ratio: 2 }",
            "size_to_image_ratio: .*2",
        ),
        ("resize_image { new_height: 5 }", "new_width: .*it is missing"),
        ("resize_image { new_height: 0 }", "new_height: .*at least 1, got 0"),
        (
            "random_resize_method { target_height: 5 target_width: 4.5 }",
            "target_width: must be a whole number of pixels, got 4.5",
        ),
        (
            "random_resize_method { target_height: inf target_width: 4 }",
            "target_height: must be finite, got inf",
        ),
    ],
)
def test_mistakes_name_the_option_and_the_field(text, words):
    name = text.split()[0]
    with pytest.raises(
        errors.ConfigError,
        match=rf"^train_config.data_augmentation_options\[0\].{name}.{words}",
    ):
        build(text)
