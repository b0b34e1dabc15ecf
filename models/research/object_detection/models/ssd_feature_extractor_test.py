import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import ssd_feature_extractor
from object_detection.models import (
    ssd_mobilenet_v1_fpn_feature_extractor as mobilenet_v1_fpn,
)
from object_detection.models import (
    ssd_resnet_v1_fpn_feature_extractor as resnet_v1_fpn,
)

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.1),
    keras.regularizers.L2(0.5),
    activation="relu6",
)


def make_mobilenet(**arguments):
    arguments = {"depth_multiplier": 0.25, "min_depth": 4, **arguments}
    return mobilenet_v1_fpn.build(
        ssd_feature_extractor.ExtractorOptions(
            HYPERPARAMS, HYPERPARAMS, **arguments
        )
    )


def make_resnet(**arguments):
    return resnet_v1_fpn.build(
        50,
        ssd_feature_extractor.ExtractorOptions(
            HYPERPARAMS, HYPERPARAMS, additional_layer_depth=16, **arguments
        ),
    )


@pytest.fixture(scope="module")
def resnet():
    return make_resnet(min_level=2, max_level=6)


def test_zeros_fill_up_to_the_multiple():
    images = np.ones((2, 5, 8, 3), np.float32)
    padded = np.asarray(ssd_feature_extractor.pad_to_multiple(images, 4))
    assert padded.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(padded[:, :5], images)
    assert not padded[:, 5:].any()


def test_mobilenet_scales_to_unit_range():
    images = np.array([0, 51, 255], np.float32).reshape(1, 1, 1, 3)
    found = np.ravel(make_mobilenet().preprocess(images))
    np.testing.assert_allclose(found, [-1.0, -0.6, 1.0], atol=1e-6)


def test_resnet_subtracts_the_mean_colour(resnet):
    images = np.array([123.68, 100, 105], np.float32).reshape(1, 1, 1, 3)
    found = np.ravel(resnet.preprocess(images))
    np.testing.assert_allclose(found, [0, -16.779, 1.061], atol=1e-4)


def test_resnet_leaves_other_numbers_of_channels_alone(resnet):
    images = np.array([7, 8], np.uint8).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(np.ravel(resnet.preprocess(images)), [7, 8])


@pytest.mark.parametrize(
    ("levels", "sizes"),
    [
        ((3, 7), [(8, 12), (4, 6), (2, 3), (1, 2), (1, 1)]),
        ((2, 4), [(16, 24), (8, 12), (4, 6)]),
        ((5, 6), [(2, 3), (1, 2)]),
    ],
)
def test_a_level_has_stride_two_to_its_power(levels, sizes):
    min_level, max_level = levels
    extractor = make_mobilenet(min_level=min_level, max_level=max_level)
    maps = extractor(np.zeros((1, 64, 96, 3), np.float32))
    assert [tuple(m.shape[1:3]) for m in maps] == sizes
    assert [m.shape[-1] for m in maps] == extractor.feature_map_channels
    # 256 channels times 0.25.
    assert set(extractor.feature_map_channels) == {64}


def test_resnet_maps(resnet):
    maps = resnet(np.zeros((1, 160, 192, 3), np.float32))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (40, 48, 16),
        (20, 24, 16),
        (10, 12, 16),
        (5, 6, 16),
        (3, 3, 16),
    ]
    assert resnet.feature_map_channels == [16] * 5


def test_inputs_are_padded_inside():
    extractor = make_mobilenet(pad_to_multiple=32)
    maps = extractor(np.zeros((1, 33, 65, 3), np.float32))
    assert tuple(maps[0].shape[1:3]) == (8, 12)


@pytest.mark.parametrize("size", [(32, 64), (64, 32)])
def test_small_images_are_refused_with_the_field_to_change(size):
    with pytest.raises(ValueError, match="at least 33 px.*image_resizer"):
        make_mobilenet()(np.zeros((1, *size, 3), np.float32))


def test_resnet_needs_129_px(resnet):
    with pytest.raises(ValueError, match="at least 129 px"):
        resnet(np.zeros((1, 128, 160, 3), np.float32))


def test_gray_images_have_one_channel():
    extractor = make_mobilenet(in_channels=1)
    assert extractor(np.zeros((1, 64, 64, 1), np.float32))


def test_depthwise_makes_the_last_layers_lighter():
    def backbone_end(**arguments):
        return make_mobilenet(**arguments)._backbone.endpoint_channels[
            "Conv2d_13_pointwise"
        ]

    assert backbone_end() == 256
    assert backbone_end(use_depthwise=True) == 64


def test_regularization_counts_kernels_of_both_parts():
    extractor = make_mobilenet()
    expected = sum(
        0.5 * np.sum(np.asarray(v.value) ** 2)
        for v in extractor.variables
        if v.name.endswith("weights")
    )
    found = float(extractor.regularization_loss())
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_mixed_precision_gives_maps_of_low_precision():
    maps = make_mobilenet(dtype="mixed_bfloat16")(
        np.zeros((1, 64, 64, 3), np.float32)
    )
    dtypes = {keras.backend.standardize_dtype(m.dtype) for m in maps}
    assert dtypes == {"bfloat16"}
