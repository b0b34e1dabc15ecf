import pytest
from google.protobuf import text_format

from object_detection.builders import image_resizer_builder
from object_detection.core import errors
from object_detection.preprocessing.image_resizer import (
    FixedShapeResizer,
    KeepAspectRatioResizer,
    ResizeMethod,
)
from object_detection.protos import image_resizer_pb2


def build(text):
    return image_resizer_builder.build(
        text_format.Parse(text, image_resizer_pb2.ImageResizer())
    )


@pytest.mark.parametrize("method", list(ResizeMethod))
def test_every_field_of_the_fixed_shape_resizer(method):
    assert build(
        f"""fixed_shape_resizer {{
            height: 7 width: 9 convert_to_grayscale: true
            resize_method: {method.name} }}"""
    ) == FixedShapeResizer(7, 9, method, convert_to_grayscale=True)


def test_every_field_of_the_keep_aspect_ratio_resizer():
    assert build(
        """keep_aspect_ratio_resizer {
            min_dimension: 7 max_dimension: 9 resize_method: AREA
            pad_to_max_dimension: true convert_to_grayscale: true
            per_channel_pad_value: [1.5, 2, 3] }"""
    ) == KeepAspectRatioResizer(
        7,
        9,
        ResizeMethod.AREA,
        pad_to_max_dimension=True,
        per_channel_pad_value=(1.5, 2.0, 3.0),
        convert_to_grayscale=True,
    )


def test_defaults():
    assert build("fixed_shape_resizer {}") == FixedShapeResizer(300, 300)
    assert build("keep_aspect_ratio_resizer {}") == KeepAspectRatioResizer(
        600, 1024
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "^model.ssd.image_resizer: .* got nothing"),
        ("fixed_shape_resizer { height: 0 }", "fixed_shape_resizer.*height"),
        (
            "keep_aspect_ratio_resizer { min_dimension: 2000 }",
            "keep_aspect_ratio_resizer.*2000",
        ),
        (
            "keep_aspect_ratio_resizer { per_channel_pad_value: 3 }",
            "per_channel_pad_value",
        ),
    ],
)
def test_mistakes_name_the_field(text, words):
    with pytest.raises(errors.ConfigError, match=words):
        build(text)
