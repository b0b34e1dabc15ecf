import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from object_detection.models import feature_pyramid

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.4),
    activation="relu6",
    batch_norm=hyperparams_lib.BatchNormParams(scale=True),
)


def numbers(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def upsampled(maps):
    return maps.repeat(2, axis=1).repeat(2, axis=2)


def test_adds_each_coarse_pixel_to_the_four_it_covers():
    coarse, fine = numbers(2, 2, 3, 5), numbers(2, 4, 6, 5, seed=1)
    found = np.asarray(feature_pyramid.add_upsampled(coarse, fine))
    np.testing.assert_array_equal(found, upsampled(coarse) + fine)


def test_maps_that_are_not_twice_the_next_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 6\) above \(2, 3\)"):
        feature_pyramid.add_upsampled(numbers(1, 2, 3, 4), numbers(1, 5, 6, 4))


def make(**arguments):
    return feature_pyramid.FeaturePyramid(
        "f/fpn", [3, 4, 5], 6, ["down_5", "down_6"], HYPERPARAMS, **arguments
    )


def endpoints(sizes):
    return [
        numbers(2, *size, channels, seed=channels)
        for size, channels in zip(sizes, (3, 4, 5), strict=True)
    ]


def test_coarsest_map_is_its_bare_projection_and_the_sums_go_down():
    """What is smoothed is an output only; the next sum takes what is not."""
    pyramid = make()
    variables = naming.checkpoint_variables(pyramid)
    for name, variable in variables.items():
        if name.endswith("biases"):
            variable.assign(numbers(*variable.shape, seed=len(name)))
    inputs = endpoints([(8, 12), (4, 6), (2, 3)])
    projected = [
        x @ np.asarray(variables[f"f/fpn/projection_{i}/weights"].value)[0, 0]
        + np.asarray(variables[f"f/fpn/projection_{i}/biases"].value)
        for i, x in enumerate(inputs, start=1)
    ]
    middle = projected[1] + upsampled(projected[2])
    finest = projected[0] + upsampled(middle)
    maps = pyramid(inputs)
    np.testing.assert_allclose(maps[2], projected[2], atol=1e-5)
    smoothing_1, smoothing_2 = pyramid._smoothings
    np.testing.assert_allclose(maps[1], smoothing_2(middle), atol=1e-4)
    np.testing.assert_allclose(maps[0], smoothing_1(finest), atol=1e-4)
    assert [tuple(m.shape[1:3]) for m in maps] == [
        (8, 12),
        (4, 6),
        (2, 3),
        (1, 2),
        (1, 1),
    ]


def test_names():
    names = {
        n.split("/BatchNorm")[0] for n in naming.checkpoint_variables(make())
    }
    plain = ["smoothing_1", "smoothing_2", "down_5", "down_6"]
    assert names == {f"f/fpn/{name}/weights" for name in plain} | {
        f"f/fpn/{name}" for name in plain
    } | {
        f"f/fpn/projection_{i}/{leaf}"
        for i in (1, 2, 3)
        for leaf in ("weights", "biases")
    }


def test_separable_maps_have_two_kernels():
    names = naming.checkpoint_variables(make(separable=True))
    assert "f/fpn/smoothing_1/depthwise_weights" in names
    assert "f/fpn/down_6/pointwise_weights" in names
    assert "f/fpn/projection_1/weights" in names


def test_explicit_padding_crops_where_sizes_do_not_double():
    maps = make(pad_explicitly=True)(endpoints([(7, 5), (4, 3), (2, 2)]))
    assert [tuple(m.shape[1:3]) for m in maps] == [
        (7, 5),
        (4, 3),
        (2, 2),
        (1, 1),
        (1, 1),
    ]
