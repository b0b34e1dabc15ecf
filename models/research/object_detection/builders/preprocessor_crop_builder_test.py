import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import (
    preprocessor_builder,
    preprocessor_crop_builder,
)
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import aspect_ratios, crop, pad, ssd_crop
from object_detection.protos import train_pb2

# A field, its value in a config, and the attribute of RandomCrop it sets.
CROP_FIELDS = """min_object_covered: 0.125 min_area: 0.375 max_area: 0.5
    overlap_thresh: 0.625 clip_boxes: false random_coef: 0.75"""
RATIO_FIELDS = "min_aspect_ratio: 0.25 max_aspect_ratio: 3"
CROP = crop.RandomCrop(0.125, (0.25, 3.0), (0.375, 0.5), 0.625, False, 0.75)
# All that an operation needs; what is left out is 0, boxes are clipped.
LEAST = "min_aspect_ratio: 0.5 max_aspect_ratio: 2 min_area: 0.25 max_area: 1"
LEAST_CROP = crop.RandomCrop(0.0, (0.5, 2.0), (0.25, 1.0), 0.0, True, 0.0)
PADDED_FIELDS = """min_padded_size_ratio: [1.25, 1.5]
    max_padded_size_ratio: [2, 3.5]"""
PADDED = pad.PaddedSizeRatios((1.25, 1.5), (2.0, 3.5))
DEFAULT_PADDED = pad.PaddedSizeRatios((1.0, 1.0), (2.0, 2.0))


def build(text):
    config = text_format.Parse(
        f"data_augmentation_options {{ random_horizontal_flip {{}} }}"
        f"data_augmentation_options {{ {text} }}",
        train_pb2.TrainConfig(),
    )
    return preprocessor_builder.build(config.data_augmentation_options)


@pytest.fixture
def made(monkeypatch):
    """What the makers of steps are called with, in the end."""
    calls = []

    def note(module, name):
        make = getattr(module, name)

        def noted(*args, **kwargs):
            calls.append((args, kwargs))
            return make(*args, **kwargs)

        monkeypatch.setattr(module, name, noted)

    for module in (aspect_ratios, crop, pad, ssd_crop):
        for name in preprocessor_crop_builder.MAKERS:
            if hasattr(module, f"make_{name}"):
                note(module, f"make_{name}")
    return lambda text: build(text) and calls[0]


def approx(value):
    """Of floats that the config holds with 24 bits, deep in tuples."""
    return pytest.approx(value, rel=1e-6)


def assert_crop(found, expected):
    assert found.aspect_ratio_range == approx(expected.aspect_ratio_range)
    assert found.area_range == approx(expected.area_range)
    for name in ("min_object_covered", "overlap_thresh", "random_coef"):
        assert getattr(found, name) == approx(getattr(expected, name)), name
    assert found.clip_boxes == expected.clip_boxes


def test_random_crop_image(made):
    ((found,), _) = made(
        f"random_crop_image {{ {CROP_FIELDS} {RATIO_FIELDS} }}"
    )
    assert found == CROP


def test_random_crop_image_by_default(made):
    ((found,), _) = made("random_crop_image {}")
    assert_crop(found, crop.RandomCrop())


def test_random_pad_image(made):
    args, _ = made(
        """random_pad_image { min_image_height: 12 min_image_width: 23
            max_image_height: 34 max_image_width: 45
            pad_color: [1, 2.5, 3] }"""
    )
    assert args == ((12, 23), (34, 45), (1.0, 2.5, 3.0))


def test_random_pad_image_by_default(made):
    args, _ = made("random_pad_image {}")
    assert args == (None, None, None)


def test_random_crop_pad_image(made):
    ((found,), _) = made(
        f"""random_crop_pad_image {{ {CROP_FIELDS} {RATIO_FIELDS}
            {PADDED_FIELDS} pad_color: [1, 2.5, 3] }}"""
    )
    assert found == ssd_crop.RandomCropPad(CROP, PADDED, (1.0, 2.5, 3.0))


def test_random_crop_pad_image_by_default(made):
    ((found,), _) = made("random_crop_pad_image {}")
    assert_crop(found.crop, crop.RandomCrop())
    assert (found.ratios, found.color) == (DEFAULT_PADDED, None)


def test_one_of_the_padded_size_ratios_alone(made):
    ((found,), _) = made(
        "random_crop_pad_image { max_padded_size_ratio: [1.5, 3] }"
    )
    assert found.ratios == pad.PaddedSizeRatios((1.0, 1.0), (1.5, 3.0))


def test_random_crop_to_aspect_ratio(made):
    _, found = made(
        """random_crop_to_aspect_ratio { aspect_ratio: 1.5
            overlap_thresh: 0.625 clip_boxes: false }"""
    )
    assert found == {
        "aspect_ratio": 1.5,
        "overlap_thresh": 0.625,
        "clip_boxes": False,
    }


def test_random_crop_to_aspect_ratio_by_default(made):
    _, found = made("random_crop_to_aspect_ratio {}")
    assert found == {
        "aspect_ratio": 1.0,
        "overlap_thresh": approx(0.3),
        "clip_boxes": True,
    }


OPERATIONS = f"""operations {{ {CROP_FIELDS} {RATIO_FIELDS} }}
    operations {{ {LEAST} }}"""


def test_ssd_random_crop(made):
    ((found,), _) = made(f"ssd_random_crop {{ {OPERATIONS} }}")
    assert found == (CROP, LEAST_CROP)


def test_ssd_random_crop_pad(made):
    ((found,), _) = made(
        f"""ssd_random_crop_pad {{
            operations {{ {CROP_FIELDS} {RATIO_FIELDS} {PADDED_FIELDS}
                pad_color_r: 1 pad_color_g: 2.5 pad_color_b: 3 }}
            operations {{ {LEAST} {PADDED_FIELDS} pad_color_g: 7 }} }}"""
    )
    assert found == [
        ssd_crop.RandomCropPad(CROP, PADDED, (1.0, 2.5, 3.0)),
        ssd_crop.RandomCropPad(LEAST_CROP, PADDED, (0.0, 7.0, 0.0)),
    ]


def test_ssd_random_crop_fixed_aspect_ratio(made):
    (found, aspect_ratio), _ = made(
        f"""ssd_random_crop_fixed_aspect_ratio {{ aspect_ratio: 1.5
            operations {{ {CROP_FIELDS} }}
            operations {{ min_area: 0.25 max_area: 1 }} }}"""
    )
    assert aspect_ratio == 1.5
    assert [case.aspect_ratio_range for case in found] == [(1.5, 1.5)] * 2
    assert found[0].area_range == (0.375, 0.5) and not found[0].clip_boxes
    assert found[0].random_coef == 0.75 and found[0].overlap_thresh == 0.625
    assert found[0].min_object_covered == 0.125
    assert found[1].area_range == (0.25, 1.0) and found[1].clip_boxes


def test_ssd_random_crop_pad_fixed_aspect_ratio(made):
    args, _ = made(
        f"""ssd_random_crop_pad_fixed_aspect_ratio {{ aspect_ratio: 1.5
            {OPERATIONS} {PADDED_FIELDS} }}"""
    )
    assert args == ((CROP, LEAST_CROP), 1.5, PADDED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ssd_random_crop", (ssd_crop.SSD_CROPS,)),
        ("ssd_random_crop_pad", (ssd_crop.SSD_CROP_PADS,)),
        ("ssd_random_crop_fixed_aspect_ratio", (ssd_crop.SSD_CROPS, 1.0)),
        (
            "ssd_random_crop_pad_fixed_aspect_ratio",
            (ssd_crop.SSD_CROPS, 1.0, DEFAULT_PADDED),
        ),
    ],
)
def test_without_operations_the_cases_of_ssd(made, name, expected):
    args, _ = made(f"{name} {{}}")
    assert args == expected


PAD = f"ssd_random_crop_pad {{ operations {{ {LEAST} "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ssd_random_crop { operations {} }",
            "ssd_random_crop.operations[0].min_aspect_ratio: must be above 0, "
            "it is missing",
        ),
        (
            f"ssd_random_crop {{ operations {{ {LEAST} }} operations {{ "
            "min_aspect_ratio: 1 max_aspect_ratio: 2 max_area: 1 } }",
            "ssd_random_crop.operations[1].min_area: must be above 0 and at "
            "most 1, it is missing",
        ),
        (
            "ssd_random_crop { operations { min_aspect_ratio: 3 "
            "max_aspect_ratio: 2 min_area: 0.5 max_area: 1 } }",
            "operations[0].min_aspect_ratio: must be at most "
            "max_aspect_ratio, which is 2, got 3",
        ),
        (
            f"ssd_random_crop {{ operations {{ {LEAST} random_coef: 2 }} }}",
            "operations[0].random_coef: must be from 0 to 1, got 2",
        ),
        (
            f"ssd_random_crop {{ operations {{ {LEAST} "
            "min_object_covered: nan } }",
            "operations[0].min_object_covered: must be finite, got nan",
        ),
        (
            "ssd_random_crop_fixed_aspect_ratio { operations { "
            "min_area: 0.5 max_area: 2 } }",
            "operations[0].max_area: must be above 0 and at most 1, got 2",
        ),
        (
            "ssd_random_crop_fixed_aspect_ratio { aspect_ratio: 0 }",
            "fixed_aspect_ratio.aspect_ratio: must be above 0, got 0",
        ),
        (
            "ssd_random_crop_pad_fixed_aspect_ratio { aspect_ratio: -1 }",
            "fixed_aspect_ratio.aspect_ratio: must be above 0, got -1",
        ),
        (
            "ssd_random_crop_pad_fixed_aspect_ratio { "
            "max_padded_size_ratio: 2 }",
            "fixed_aspect_ratio.max_padded_size_ratio: must be 2 numbers above "
            "0, of the height and of the width, got [2.0]",
        ),
        (
            f"{PAD} max_padded_size_ratio: [2, 2] }} }}",
            "operations[0].min_padded_size_ratio: must be 2 numbers above 0, "
            "of the height and of the width, got []",
        ),
        (
            f"{PAD} min_padded_size_ratio: [1, 1, 1] }} }}",
            "operations[0].min_padded_size_ratio: must be 2 numbers",
        ),
        (
            f"{PAD} {PADDED_FIELDS} pad_color_b: inf }} }}",
            "operations[0].pad_color_b: must be finite, got inf",
        ),
        (
            "random_crop_pad_image { min_padded_size_ratio: [1, 3] }",
            "random_crop_pad_image.min_padded_size_ratio: must be at most "
            "max_padded_size_ratio, which is [2.0, 2.0], got [1.0, 3.0]",
        ),
        (
            "random_crop_pad_image { pad_color: [1, 2] }",
            "random_crop_pad_image.pad_color: must be 3 finite numbers",
        ),
        (
            "random_crop_image { min_area: 2 }",
            "random_crop_image.min_area: must be above 0 and at most 1, got 2",
        ),
        (
            "random_crop_to_aspect_ratio { overlap_thresh: 1.5 }",
            "random_crop_to_aspect_ratio.overlap_thresh: must be from 0 to 1",
        ),
        (
            "random_pad_image { pad_color: [1, 2, 3, 4] }",
            "random_pad_image.pad_color: must be 3 finite numbers",
        ),
        (
            "random_pad_image { min_image_height: 20 }",
            "random_pad_image.min_image_width: must be set where "
            "min_image_height is, it is missing",
        ),
        (
            "random_pad_image { max_image_width: 20 }",
            "random_pad_image.max_image_height: must be set where "
            "max_image_width is, it is missing",
        ),
        (
            "random_pad_image { max_image_width: 20 max_image_height: -1 }",
            "random_pad_image.max_image_height: must be at least 0, got -1",
        ),
        (
            "random_pad_image { min_image_width: 20 min_image_height: 30 "
            "max_image_width: 21 max_image_height: 29 }",
            "must be at most [29, 21], the maximum, got [30, 20]",
        ),
    ],
)
def test_mistakes_name_the_field(text, message):
    with pytest.raises(errors.ConfigError) as caught:
        build(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(
        "train_config.data_augmentation_options[1]."
    )


def test_a_color_for_a_gray_image_names_the_option():
    (_, step) = build("random_pad_image { pad_color: [1, 2, 3] }")
    gray = {
        Fields.image: tf.zeros([4, 5, 1], tf.uint8),
        Fields.groundtruth_boxes: tf.zeros([0, 4]),
    }
    with pytest.raises(
        errors.ConfigError, match=r"options\[1\].random_pad_image: .*1 channel"
    ):
        step(gray, tf.constant([1, 2], tf.int64))
