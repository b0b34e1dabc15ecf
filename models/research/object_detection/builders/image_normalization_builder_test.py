import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    feature_extractor_builder,
    image_normalization_builder,
)
from object_detection.core import errors
from object_detection.protos import ssd_pb2

INITIALIZER = "initializer { truncated_normal_initializer { stddev: 0.1 } }"
NORMS = "batch_norm { scale: true }"
OVERRIDE = "override_base_feature_extractor_hyperparams: true"
SMALL = "type: 'ssd_mobilenet_v1' depth_multiplier: 0.25"
PIXEL = np.array([10, 100, 200], np.uint8).reshape(1, 1, 1, 3)
PATH = "model.ssd.feature_extractor.image_normalization"


def build(text, hyperparams=INITIALIZER, **arguments):
    config = text_format.Parse(
        f"{text} {OVERRIDE} conv_hyperparams {{ {hyperparams} }}",
        ssd_pb2.SsdFeatureExtractor(),
    )
    return feature_extractor_builder.build(config, True, **arguments)


def normalized(extractor, pixels=PIXEL):
    found = extractor.preprocess(pixels)
    assert found.dtype == "float32"
    assert found.shape == pixels.shape
    return np.ravel(found)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", [10, 100, 200]),
        ("mean: [1, 2, 3]", [9, 98, 197]),
        ("stddev: [2, 4, 5]", [5, 25, 40]),
        ("mean: [10, 20, 50] stddev: [2, 4, 5]", [0, 20, 30]),
        ("channel_order: BGR", [200, 100, 10]),
        ("channel_order: BGR mean: [10, 20, 5] stddev: [2, 4, 5]", [95, 20, 1]),
    ],
)
def test_a_config_decides(settings, expected):
    extractor = build(f"{SMALL} image_normalization {{ {settings} }}")
    np.testing.assert_allclose(normalized(extractor), expected, rtol=1e-6)


def test_floats_are_taken_too():
    extractor = build(f"{SMALL} image_normalization {{ mean: [1, 2, 3] }}")
    np.testing.assert_allclose(
        normalized(extractor, PIXEL.astype("f4") + 0.5), [9.5, 98.5, 197.5]
    )


@pytest.mark.parametrize(
    ("kind", "hyperparams", "expected"),
    [
        (
            "type: 'ssd300_vgg16'",
            INITIALIZER,
            [10 - 123.68, 100 - 116.779, 200 - 103.939],
        ),
        (
            "type: 'ssd300_resnet18'",
            f"{INITIALIZER} {NORMS}",
            [
                (10 / 255 - 0.485) / 0.229,
                (100 / 255 - 0.456) / 0.224,
                (200 / 255 - 0.406) / 0.225,
            ],
        ),
        (
            "type: 'ssd300_mobilenet_v2' use_depthwise: true",
            f"{INITIALIZER} {NORMS} activation: RELU_6",
            [
                (10 / 255 - 0.485) / 0.229,
                (100 / 255 - 0.456) / 0.224,
                (200 / 255 - 0.406) / 0.225,
            ],
        ),
        (
            SMALL,
            INITIALIZER,
            [10 / 127.5 - 1, 100 / 127.5 - 1, 200 / 127.5 - 1],
        ),
    ],
)
def test_what_is_usual_for_a_type(kind, hyperparams, expected):
    np.testing.assert_allclose(
        normalized(build(kind, hyperparams)), expected, rtol=1e-5
    )


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_channels_beside_the_colours_keep_their_place(order):
    extractor = build(
        f"""{SMALL} image_normalization {{
          mean: [1, 2, 3, 4] channel_order: {order}
        }}""",
        in_channels=4,
    )
    pixels = np.array([10, 20, 30, 40], "f4").reshape(1, 1, 1, 4)
    expected = [9, 18, 27, 36] if order == "RGB" else [29, 18, 7, 36]
    np.testing.assert_allclose(normalized(extractor, pixels), expected)


def test_gray_images_have_one_mean():
    extractor = build(
        f"{SMALL} image_normalization {{ mean: 20 stddev: 4 }}", in_channels=1
    )
    pixels = np.array([10, 40], "f4").reshape(2, 1, 1, 1)
    np.testing.assert_allclose(normalized(extractor, pixels), [-2.5, 5])


@pytest.mark.parametrize(
    ("settings", "num_channels", "message"),
    [
        ("mean: [1, 2]", 3, f"{PATH}.mean: expected 3 values.*got 2"),
        ("stddev: 1", 3, f"{PATH}.stddev: expected 3 values.*got 1"),
        ("mean: [1, 2, 3]", 4, f"{PATH}.mean: expected 4 values.*got 3"),
        (
            "stddev: [1, 0, 2]",
            3,
            rf"{PATH}.stddev\[1\]: expected more than 0, got 0",
        ),
        ("stddev: [1, 2, -3]", 3, rf"{PATH}.stddev\[2\]: .* got -3"),
        ("stddev: [nan, 2, 3]", 3, rf"{PATH}.stddev\[0\]: .* got nan"),
        ("channel_order: BGR", 1, f"{PATH}.channel_order: BGR needs 3 colours"),
    ],
)
def test_what_cannot_be_is_refused(settings, num_channels, message):
    with pytest.raises(errors.ConfigError, match=message) as info:
        build(
            f"{SMALL} image_normalization {{ {settings} }}",
            in_channels=num_channels,
        )
    assert "\n" not in str(info.value)


def test_a_usual_normalization_of_colours_takes_no_other_images():
    with pytest.raises(errors.ConfigError, match="normalizes 3 .* of 4; add"):
        build("type: 'ssd300_vgg16'", in_channels=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("image_normalization {}", False),
        ("image_normalization { channel_order: BGR }", True),
    ],
)
def test_who_takes_blue_first(text, expected):
    config = text_format.Parse(text, ssd_pb2.SsdFeatureExtractor())
    assert image_normalization_builder.takes_bgr(config) == expected
