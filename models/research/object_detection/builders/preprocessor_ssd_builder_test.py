"""Every field of the augmentations of SSD recipes, and one effect of each."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import preprocessor_builder
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import expand, iou_crop, photometric
from object_detection.preprocessing.iou_crop import IouCrop, Rule
from object_detection.preprocessing.photometric import (
    ColorModel,
    ContrastCenter,
    Order,
    PhotometricDistortion,
)
from object_detection.preprocessing.sample_examples import make_example, seed_of
from object_detection.protos import train_pb2

IMAGE = np.random.default_rng(4).integers(0, 256, (24, 36, 3), dtype=np.uint8)
BOXES = np.float32(
    [[0.0, 0.05, 0.9, 0.8], [0.2, 0.5, 0.9, 0.95], [0.4, 0.3, 0.7, 0.6]]
)


def build(text):
    config = text_format.Parse(
        f"data_augmentation_options {{ {text} }}", train_pb2.TrainConfig()
    )
    (step,) = preprocessor_builder.build(config.data_augmentation_options)
    return step


def made(monkeypatch, module, text):
    """Returns what the maker of the step is called with."""
    calls = []
    name = f"make_{text.split()[0]}"
    make = getattr(module, name)

    def note(*args):
        calls.append(args)
        return make(*args)

    monkeypatch.setattr(module, name, note)
    build(text)
    return calls[0]


def test_ssd_expand(monkeypatch):
    probability, ratio, color = made(
        monkeypatch,
        expand,
        "ssd_expand { probability: 0.25 max_ratio: 3.5 color: [1, 2.5, 3] }",
    )
    assert (probability, ratio, color) == (0.25, 3.5, (1.0, 2.5, 3.0))


def test_ssd_expand_by_default(monkeypatch):
    found = made(monkeypatch, expand, "ssd_expand {}")
    assert found == (0.5, 4.0, (0.0, 0.0, 0.0))


def test_ssd_iou_crop(monkeypatch):
    (found,) = made(
        monkeypatch,
        iou_crop,
        """ssd_iou_crop { rule: NOT_MIXED min_iou: [0.25, 1] max_trials: 7
            min_scale: 0.125 max_scale: 0.75 min_aspect_ratio: 0.375
            max_aspect_ratio: 3 clip_boxes: false
            aspect_ratio_in_pixels: true }""",
    )
    assert found == IouCrop(
        Rule.NOT_MIXED, (0.25, 1.0), 7, (0.125, 0.75), (0.375, 3.0), True, False
    )


def test_ssd_iou_crop_by_default(monkeypatch):
    (found,) = made(monkeypatch, iou_crop, "ssd_iou_crop { min_iou: 0.5 }")
    assert found.scales == pytest.approx((0.3, 1.0))
    assert found == IouCrop(
        Rule.BEST_BOX, (0.5,), 50, found.scales, (0.5, 2.0), False, True
    )


@pytest.mark.parametrize("rule", Rule)
def test_rules(monkeypatch, rule):
    text = f"ssd_iou_crop {{ min_iou: 0.5 rule: {rule.name} }}"
    (found,) = made(monkeypatch, iou_crop, text)
    assert found.rule == rule


def test_photometric_distortion(monkeypatch):
    (found,) = made(
        monkeypatch,
        photometric,
        """photometric_distortion { probability: 0.25 max_brightness_delta: 32
            min_brightness_factor: 0.5 max_brightness_factor: 1.5
            min_contrast_factor: 0.625 max_contrast_factor: 1.625
            contrast_center: MEAN_LUMA min_saturation_factor: 0.75
            max_saturation_factor: 1.75 max_hue_delta_degrees: 18.5
            order: RANDOM_CONTRAST color_model: YIQ }""",
    )
    assert found == PhotometricDistortion(
        0.25,
        32,
        (0.5, 1.5),
        (0.625, 1.625),
        ContrastCenter.MEAN_LUMA,
        (0.75, 1.75),
        18.5,
        Order.RANDOM_CONTRAST,
        ColorModel.YIQ,
    )


def test_photometric_distortion_by_default(monkeypatch):
    (found,) = made(monkeypatch, photometric, "photometric_distortion {}")
    assert found == PhotometricDistortion(
        1.0,
        0,
        (1.0, 1.0),
        (1.0, 1.0),
        ContrastCenter.BLACK,
        (1.0, 1.0),
        0.0,
        Order.BRIGHTNESS_FIRST,
        ColorModel.HSV,
    )


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("order", Order),
        ("contrast_center", ContrastCenter),
        ("color_model", ColorModel),
    ],
)
def test_kinds_of_distortion(monkeypatch, field, kinds):
    for kind in kinds:
        with monkeypatch.context() as patch:
            (found,) = made(
                patch,
                photometric,
                f"photometric_distortion {{ {field}: {kind.name} }}",
            )
        assert getattr(found, field) == kind


CROP = "ssd_iou_crop { min_iou: 0.25 "
OTHER_CROP = "ssd_iou_crop { min_iou: 0 rule: ALL_BOXES "
COLORS = "photometric_distortion { max_contrast_factor: 3 "
EVERY_COLOR = f"{COLORS} max_saturation_factor: 2 min_brightness_factor: 0.5 "


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("ssd_expand {", "probability: 0"),
        ("ssd_expand {", "max_ratio: 2"),
        ("ssd_expand {", "color: [1, 2, 3]"),
        (CROP, "rule: NOT_MIXED"),
        (CROP, "rule: ALL_BOXES"),
        (CROP, "min_iou: 0.5"),
        (CROP, "max_trials: 1"),
        (CROP, "min_scale: 0.7"),
        (CROP, "max_scale: 0.7"),
        (CROP, "min_aspect_ratio: 1"),
        (CROP, "max_aspect_ratio: 1"),
        (CROP, "clip_boxes: false"),
        (CROP, "aspect_ratio_in_pixels: true"),
        (OTHER_CROP, "min_aspect_ratio: 1"),
        (OTHER_CROP, "aspect_ratio_in_pixels: true"),
        ("photometric_distortion {", "max_brightness_delta: 9"),
        ("photometric_distortion {", "min_brightness_factor: 0.5"),
        ("photometric_distortion {", "max_brightness_factor: 1.5"),
        ("photometric_distortion {", "min_contrast_factor: 0.5"),
        ("photometric_distortion {", "min_saturation_factor: 0.5"),
        ("photometric_distortion {", "max_hue_delta_degrees: 9"),
        (COLORS, "probability: 0.5"),
        ("photometric_distortion {", "max_contrast_factor: 2"),
        ("photometric_distortion {", "max_saturation_factor: 2"),
        (COLORS, "contrast_center: MIDDLE_GRAY"),
        (COLORS, "contrast_center: MEAN_LUMA"),
        (EVERY_COLOR, "order: BRIGHTNESS_LAST"),
        (EVERY_COLOR, "order: RANDOM_CONTRAST"),
        (EVERY_COLOR, "color_model: YIQ"),
        ("random_channel_permutation {", "probability: 1"),
    ],
)
def test_a_field_changes_what_comes_out(text, changed):
    given = make_example(IMAGE, BOXES)
    before, after = build(f"{text} }}"), build(f"{text} {changed} }}")

    def outcome(step, position):
        result = step(given, seed_of(position))
        return [
            result[key].numpy().tobytes()
            for key in (Fields.image, Fields.groundtruth_boxes)
        ]

    assert any(outcome(before, i) != outcome(after, i) for i in range(40))


def test_include_lanczos():
    text = "random_resize_method { target_height: 9 target_width: 7"
    given = make_example(IMAGE, BOXES)

    def num_methods(step):
        images = {
            step(given, seed_of(i))[Fields.image].numpy().tobytes()
            for i in range(40)
        }
        return len(images)

    assert num_methods(build(f"{text} }}")) == 4
    assert num_methods(build(f"{text} include_lanczos: true }}")) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssd_expand { probability: 2 }", "probability: must be from 0 to 1"),
        ("ssd_expand { max_ratio: 0.5 }", "max_ratio: must be at least 1"),
        ("ssd_expand { max_ratio: inf }", "max_ratio: must be finite"),
        ("ssd_expand { color: [1, 2] }", "color: must be 3 numbers from 0 to"),
        ("ssd_expand { color: [1, 2, 256] }", "color: must be 3 .*256"),
        ("ssd_expand { color: [1, 2, nan] }", "color: must be 3 .*nan"),
        ("ssd_iou_crop {}", r"min_iou: must be .*at least one, got \[\]"),
        ("ssd_iou_crop { min_iou: [0, 2] }", "min_iou: must be .*0 to 1"),
        (
            "ssd_iou_crop { min_iou: 0 max_trials: 0 }",
            "max_trials: must be from 1 to 1000, got 0",
        ),
        (
            "ssd_iou_crop { min_iou: 0 max_trials: 4000000000 }",
            r"max_trials: must be from 1 to 1000, got 4e\+09",
        ),
        (
            "ssd_iou_crop { min_iou: 0 min_scale: 0 }",
            "min_scale: must be above 0 and at most 1, got 0",
        ),
        (
            "ssd_iou_crop { min_iou: 0 min_scale: 0.5 max_scale: 0.25 }",
            "min_scale: must be at most max_scale, which is 0.25, got 0.5",
        ),
        (
            "ssd_iou_crop { min_iou: 0 min_aspect_ratio: 0 }",
            "min_aspect_ratio: must be above 0, got 0",
        ),
        (
            "ssd_iou_crop { min_iou: 0 min_aspect_ratio: 3 }",
            "min_aspect_ratio: must be at most max_aspect_ratio",
        ),
        (
            "ssd_iou_crop { min_iou: 0 min_aspect_ratio: 3 rule: ALL_BOXES "
            "max_aspect_ratio: 4 min_scale: 0.5 }",
            "min_aspect_ratio, max_aspect_ratio: must have a part of 0.5 to 2, "
            "what sides from min_scale to max_scale make, got 3 and 4",
        ),
        (
            "photometric_distortion { probability: -1 }",
            "probability: must be from 0 to 1, got -1",
        ),
        (
            "photometric_distortion { max_brightness_delta: 256 }",
            "max_brightness_delta: must be from 0 to 255, got 256",
        ),
        (
            "photometric_distortion { min_contrast_factor: 2 }",
            "min_contrast_factor: must be at most max_contrast_factor, which "
            "is 1, got 2",
        ),
        (
            "photometric_distortion { min_brightness_factor: -1 }",
            "min_brightness_factor: must be at least 0, got -1",
        ),
        (
            "photometric_distortion { max_saturation_factor: inf }",
            "max_saturation_factor: must be finite, got inf",
        ),
        (
            "photometric_distortion { max_hue_delta_degrees: 200 }",
            "max_hue_delta_degrees: must be from 0 to 180, got 200",
        ),
        (
            "random_channel_permutation { probability: 1.5 }",
            "probability: must be from 0 to 1, got 1.5",
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


def test_an_extreme_ratio_is_for_pixels_and_areas():
    for more in ("aspect_ratio_in_pixels: true rule: ALL_BOXES", ""):
        step = build(
            "ssd_iou_crop { min_iou: 0 min_aspect_ratio: 3 max_aspect_ratio: 4 "
            f"min_scale: 0.5 {more} }}"
        )
        result = step(make_example(IMAGE, BOXES), seed_of(1))
        assert result[Fields.groundtruth_boxes].shape[0] > 0


def test_a_gray_image_names_the_option():
    for name in ("photometric_distortion", "random_channel_permutation"):
        step = build(f"{name} {{}}")
        with pytest.raises(
            errors.ConfigError, match=rf"options\[0\].{name}: needs images of 3"
        ):
            step(make_example(IMAGE[..., :1], BOXES), seed_of(1))
