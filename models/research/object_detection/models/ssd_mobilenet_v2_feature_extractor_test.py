import dataclasses

import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from object_detection.models import (
    ssd_feature_extractor,
    ssd_mobilenet_v2_feature_extractor,
    ssd_mobilenet_v2_fpn_feature_extractor,
)
from slim.nets import mobilenet_v2

SCOPE = "FeatureExtractor/MobilenetV2"
HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.1), activation="relu6"
)
BACKBONE = dataclasses.replace(
    mobilenet_v2.default_hyperparams(trains_batch_norm=True),
    initializer=keras.initializers.RandomNormal(stddev=0.3),
)


def make(network=ssd_mobilenet_v2_feature_extractor, **options):
    options = {"depth_multiplier": 0.35, "min_depth": 8, **options}
    return network.build(
        ssd_feature_extractor.ExtractorOptions(HYPERPARAMS, BACKBONE, **options)
    )


def make_pyramid(**options):
    return make(ssd_mobilenet_v2_fpn_feature_extractor, **options)


@pytest.fixture(scope="module")
def plain():
    return make()


@pytest.fixture(scope="module")
def pyramid():
    return make_pyramid(min_level=2, max_level=6)


def image(height, width):
    random = np.random.RandomState(0)
    return random.uniform(-1, 1, (1, height, width, 3)).astype(np.float32)


def test_channels(plain):
    """The floor is of every layer but those that a bottleneck expands to."""
    assert plain.feature_map_channels == [192, 448, 179, 89, 89, 44]
    tiny = make(depth_multiplier=0.5**12, min_depth=32)
    assert tiny.feature_map_channels == [192, 32, 32, 32, 32, 32]


def test_maps_are_the_endpoints_and_what_follows_from_the_last(plain):
    images = image(65, 97)
    maps = plain(images)
    endpoints = plain._backbone(images)
    np.testing.assert_array_equal(
        maps[0], endpoints["layer_15/expansion_output"]
    )
    np.testing.assert_array_equal(maps[1], endpoints["layer_19"])
    variables = naming.checkpoint_variables(plain)
    blocks = [
        f"{SCOPE}/layer_19_1_Conv2d_2_1x1_89",
        f"{SCOPE}/layer_19_2_Conv2d_2_3x3_s2_179",
    ]
    expected = np.asarray(maps[1])
    for scope, stride in zip(blocks, (1, 2), strict=True):
        outputs = keras.ops.conv(
            expected,
            variables[f"{scope}/weights"].value,
            strides=stride,
            padding="same",
        )
        expected = keras.ops.relu6(outputs)
    assert np.any(expected)
    np.testing.assert_allclose(maps[2], expected, atol=1e-5)


def test_preprocessing_maps_to_unit_range(plain):
    images = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    found = np.ravel(plain.preprocess(images))
    np.testing.assert_allclose(found, [-1.0, -0.6, 1.0], atol=1e-6)


def test_explicit_padding_reaches_backbone_and_neck(plain):
    """Starting at another offset, every map keeps its size."""
    padded = make(use_explicit_padding=True)
    for own, other in zip(padded.variables, plain.variables, strict=True):
        own.assign(other.value)
    images = image(64, 96)
    maps = plain(images)
    padded_maps = padded(images)
    assert [m.shape for m in padded_maps] == [m.shape for m in maps]
    assert np.abs(padded_maps[0] - maps[0]).max() > 0.01
    endpoints = maps[:2]
    own_maps = [extractor._neck(endpoints)[2] for extractor in (plain, padded)]
    assert np.abs(own_maps[0] - own_maps[1]).max() > 0.01
    padded_pyramid = make_pyramid(use_explicit_padding=True)
    assert padded_pyramid._neck._pad_explicitly
    assert padded_pyramid.image_size_rule.doubling_levels is None


def test_least_image_size(plain, pyramid):
    for extractor in (plain, pyramid):
        extractor.check_image_size((64, None))
        with pytest.raises(ValueError, match="at least 33 px"):
            extractor.check_image_size((64, 32))


def test_separable_extra_layers_leave_the_backbone_alone():
    extractor = make(use_depthwise=True)
    names = set(naming.checkpoint_variables(extractor))
    strided = f"{SCOPE}/layer_19_2_Conv2d_3_3x3_s2_89"
    assert f"{strided}_depthwise/depthwise_weights" in names
    assert f"{strided}/weights" in names
    assert extractor.feature_map_channels[1] == 448


def test_levels_of_the_pyramid_are_endpoints(pyramid):
    """Level l has stride 2**l; what is projected says from which layer."""
    variables = naming.checkpoint_variables(pyramid)
    channels = [
        variables[f"{SCOPE}/fpn/projection_{i}/weights"].shape[2]
        for i in (1, 2, 3, 4)
    ]
    # 24, 32, 96 and 1280 at multiplier 1.
    assert channels == [8, 16, 32, 448]
    images = image(64, 96)
    maps = pyramid(images)
    endpoints = pyramid._backbone(images)
    expected = pyramid._neck(
        [endpoints[f"layer_{layer}"] for layer in (4, 7, 14, 19)]
    )
    for found, other in zip(maps, expected, strict=True):
        np.testing.assert_array_equal(found, other)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (16, 24, 89),
        (8, 12, 89),
        (4, 6, 89),
        (2, 3, 89),
        (1, 2, 89),
    ]


@pytest.mark.parametrize(
    ("levels", "coarse"),
    [
        ((5, 7), {"bottom_up_Conv2d_20", "bottom_up_Conv2d_21"}),
        ((3, 4), set()),
    ],
)
def test_coarse_layers_are_numbered_on_from_the_backbone(levels, coarse):
    extractor = make_pyramid(min_level=levels[0], max_level=levels[1])
    names = {
        name.split("/")[3]
        for name in naming.checkpoint_variables(extractor)
        if "/bottom_up" in name
    }
    assert names == coarse
    assert len(extractor.feature_map_channels) == levels[1] - levels[0] + 1


def test_a_separable_pyramid_has_a_lighter_last_layer():
    """256 channels, times the multiplier, in place of 1280."""
    variables = naming.checkpoint_variables(make_pyramid(use_depthwise=True))
    scope = f"{SCOPE}/fpn"
    assert variables[f"{SCOPE}/Conv_1/weights"].shape == (1, 1, 112, 88)
    assert variables[f"{scope}/projection_3/weights"].shape == (1, 1, 88, 89)
    assert f"{scope}/smoothing_1/pointwise_weights" in variables
