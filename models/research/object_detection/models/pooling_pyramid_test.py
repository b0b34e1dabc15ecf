import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from object_detection.models import pooling_pyramid, ssd_feature_extractor

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.4), activation="relu6"
)


def make(in_channels, base_depth, num_maps, **options):
    return pooling_pyramid.PoolingPyramid(
        "f/net",
        in_channels,
        base_depth,
        ssd_feature_extractor.ExtractorOptions(
            HYPERPARAMS, HYPERPARAMS, **options
        ),
        num_maps,
    )


def test_each_pixel_is_the_maximum_of_up_to_four():
    inputs = np.arange(15, dtype=np.float32).reshape(1, 3, 5, 1)
    inputs[0, 1, 0] = 20.0
    pyramid = make(1, None, 4)
    maps = [np.asarray(m)[0, :, :, 0].tolist() for m in pyramid([inputs])]
    assert maps == [
        [[0, 1, 2, 3, 4], [20, 6, 7, 8, 9], [10, 11, 12, 13, 14]],
        [[20, 8, 9], [11, 13, 14]],
        [[20, 14]],
        [[20]],
    ]
    assert not pyramid.variables
    assert pyramid.feature_map_channels == [1] * 4


def test_pads_with_nothing_rather_than_zeros():
    inputs = np.full((2, 3, 5, 2), -7.0, np.float32)
    for found in make(2, None, 3)([inputs]):
        np.testing.assert_array_equal(found, np.full(found.shape, -7.0))


# The depth is that of the published network, whatever the multiplier.
@pytest.mark.parametrize("multiplier", [1.0, 0.5])
def test_projects_first_where_there_is_a_base_depth(multiplier):
    pyramid = make(3, 4, 3, depth_multiplier=multiplier)
    variables = naming.checkpoint_variables(pyramid)
    assert set(variables) == {
        "f/net/Base_Conv2d_1x1_4/weights",
        "f/net/Base_Conv2d_1x1_4/biases",
    }
    inputs = np.random.RandomState(0).normal(size=(2, 3, 5, 3))
    kernel = np.asarray(variables["f/net/Base_Conv2d_1x1_4/weights"].value)
    maps = pyramid([inputs.astype(np.float32)])
    np.testing.assert_allclose(
        maps[0], np.clip(inputs @ kernel[0, 0], 0, 6), atol=1e-5
    )
    assert [tuple(m.shape) for m in maps] == [
        (2, 3, 5, 4),
        (2, 2, 3, 4),
        (2, 1, 2, 4),
    ]
    left, right = np.split(np.asarray(maps[0]), [4], axis=2)
    np.testing.assert_array_equal(maps[2][:, 0, 0], left.max((1, 2)))
    np.testing.assert_array_equal(maps[2][:, 0, 1], right.max((1, 2)))
    assert pyramid.feature_map_channels == [4] * 3
