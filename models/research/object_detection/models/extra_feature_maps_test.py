import dataclasses

import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import l2_norm, naming
from object_detection.models import extra_feature_maps, ssd_feature_extractor

ExtraLayer = extra_feature_maps.ExtraLayer

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.4), activation="relu6"
)
NORMALISED = dataclasses.replace(
    HYPERPARAMS, batch_norm=hyperparams_lib.BatchNormParams(scale=True)
)


def make(in_channels, layers, hyperparams=HYPERPARAMS, **options):
    options = {"min_depth": 1, **options}
    return extra_feature_maps.ExtraFeatureMaps(
        "f/last",
        in_channels,
        layers,
        ssd_feature_extractor.ExtractorOptions(
            hyperparams, hyperparams, **options
        ),
    )


def numbers(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape).astype(np.float32)


def shapes(layer):
    return {
        name: tuple(variable.shape)
        for name, variable in naming.checkpoint_variables(layer).items()
    }


def test_names_and_shapes_count_on_from_the_endpoints():
    """The second convolution halves the size; the first the depth."""
    maps = make([5, 7], [ExtraLayer(12), ExtraLayer(9, 2)])
    assert shapes(maps) == {
        "f/last_1_Conv2d_2_1x1_6/weights": (1, 1, 7, 6),
        "f/last_1_Conv2d_2_1x1_6/biases": (6,),
        "f/last_2_Conv2d_2_3x3_s2_12/weights": (3, 3, 6, 12),
        "f/last_2_Conv2d_2_3x3_s2_12/biases": (12,),
        "f/last_1_Conv2d_3_1x1_4/weights": (1, 1, 12, 4),
        "f/last_1_Conv2d_3_1x1_4/biases": (4,),
        "f/last_2_Conv2d_3_2x2_s2_9/weights": (2, 2, 4, 9),
        "f/last_2_Conv2d_3_2x2_s2_9/biases": (9,),
    }
    assert maps.feature_map_channels == [5, 7, 12, 9]


def test_endpoints_pass_as_they_are_and_sizes_are_rounded_up():
    maps = make([5, 7], [ExtraLayer(12), ExtraLayer(9, 2), ExtraLayer(8)])
    endpoints = [numbers(2, 11, 18, 5), numbers(2, 6, 9, 7)]
    found = maps(endpoints)
    for endpoint, same in zip(endpoints, found[:2], strict=True):
        np.testing.assert_array_equal(same, endpoint)
    assert [tuple(x.shape) for x in found[2:]] == [
        (2, 3, 5, 12),
        (2, 2, 3, 9),
        (2, 1, 2, 8),
    ]


# (kernel size, explicit padding) -> rows and columns of zeros before a map of
# 4 x 5. 'same' pads what is missing, one more after than before; the explicit
# padding one less than the kernel, whatever the size.
@pytest.mark.parametrize(
    ("kernel_size", "pads", "before"),
    [
        (3, False, (0, 1)),
        (3, True, (1, 1)),
        (2, False, (0, 0)),
        (2, True, (0, 0)),
        (5, True, (2, 2)),
    ],
)
def test_padding_of_the_strided_convolution(kernel_size, pads, before):
    maps = make([3], [ExtraLayer(4, kernel_size)], use_explicit_padding=pads)
    weights = naming.checkpoint_variables(maps)
    strided = f"f/last_2_Conv2d_1_{kernel_size}x{kernel_size}_s2_4"
    kernel = np.asarray(weights[f"{strided}/weights"].value)
    half = np.asarray(weights["f/last_1_Conv2d_1_1x1_2/weights"].value)
    inputs = numbers(1, 4, 5, 3)
    reduced = np.clip(inputs @ half[0, 0], 0, 6)[0]
    padded = np.zeros((20, 20, 2), np.float32)
    top, left = before
    padded[top : top + 4, left : left + 5] = reduced
    found = np.asarray(maps([inputs])[1])[0]
    assert found.shape == (2, 3, 4)
    for y, x in np.ndindex(found.shape[:2]):
        window = padded[2 * y :, 2 * x :][:kernel_size, :kernel_size]
        expected = np.clip(np.tensordot(window, kernel, 3), 0, 6)
        np.testing.assert_allclose(found[y, x], expected, atol=1e-5)


@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("pad_end_px", [0, 1])
def test_a_layer_without_stride_or_padding(pad_end_px, pads):
    """Explicit padding takes the place of 'same' alone."""
    layer = ExtraLayer(
        4, stride=1, padding="valid", pad_end_px=pad_end_px, middle_depth=3
    )
    maps = make([2], [layer], use_explicit_padding=pads)
    weights = naming.checkpoint_variables(maps)
    kernel = np.asarray(weights["f/last_2_Conv2d_1_3x3_s1_4/weights"].value)
    first = np.asarray(weights["f/last_1_Conv2d_1_1x1_3/weights"].value)
    inputs = numbers(1, 3, 4, 2)
    reduced = np.clip(inputs @ first[0, 0], 0, 6)[0]
    padded = np.pad(reduced, ((0, pad_end_px), (0, pad_end_px), (0, 0)))
    found = np.asarray(maps([inputs])[1])[0]
    assert found.shape == (1 + pad_end_px, 2 + pad_end_px, 4)
    for y, x in np.ndindex(found.shape[:2]):
        window = padded[y : y + 3, x : x + 3]
        expected = np.clip(np.tensordot(window, kernel, 3), 0, 6)
        np.testing.assert_allclose(found[y, x], expected, atol=1e-5)


def test_the_first_map_is_what_a_layer_makes_of_the_first_endpoint():
    layer = l2_norm.L2Norm("f/norm", 2, 5.0)
    maps = extra_feature_maps.ExtraFeatureMaps(
        "f/last",
        [2, 3],
        [ExtraLayer(4)],
        ssd_feature_extractor.ExtractorOptions(HYPERPARAMS, HYPERPARAMS),
        first_layer=layer,
    )
    assert "f/norm/scale" in shapes(maps)
    endpoints = [np.full((1, 4, 5, 2), 7, "f4"), numbers(1, 2, 3, 3)]
    found = maps(endpoints)
    np.testing.assert_allclose(found[0], 5 / 2**0.5, rtol=1e-5)
    np.testing.assert_array_equal(found[1], endpoints[1])


def test_separable_layers_normalise_between_their_convolutions():
    maps = make(
        [7],
        [ExtraLayer(12)],
        NORMALISED,
        use_depthwise=True,
    )
    weights = {n: s for n, s in shapes(maps).items() if "/moving" not in n}
    strided = "f/last_2_Conv2d_1_3x3_s2_12"
    assert weights == {
        "f/last_1_Conv2d_1_1x1_6/weights": (1, 1, 7, 6),
        "f/last_1_Conv2d_1_1x1_6/BatchNorm/gamma": (6,),
        "f/last_1_Conv2d_1_1x1_6/BatchNorm/beta": (6,),
        f"{strided}_depthwise/depthwise_weights": (3, 3, 6, 1),
        f"{strided}_depthwise/BatchNorm/gamma": (6,),
        f"{strided}_depthwise/BatchNorm/beta": (6,),
        f"{strided}/weights": (1, 1, 6, 12),
        f"{strided}/BatchNorm/gamma": (12,),
        f"{strided}/BatchNorm/beta": (12,),
    }
    variables = naming.checkpoint_variables(maps)
    # What the depthwise convolution makes is replaced by -1 and 9, and so by
    # 0 and 6 after its activation.
    offsets = np.array([-1, 9, 9, -1, 9, -1], np.float32)
    variables[f"{strided}_depthwise/BatchNorm/gamma"].assign(np.zeros(6))
    variables[f"{strided}_depthwise/BatchNorm/beta"].assign(offsets)
    pointwise = np.asarray(variables[f"{strided}/weights"].value)[0, 0]
    expected = np.clip(np.clip(offsets, 0, 6) @ pointwise, 0, 6)
    found = np.asarray(maps([numbers(2, 3, 5, 7)])[1])
    assert found.shape == (2, 2, 3, 12)
    # Fresh moving statistics divide by the root of 1 + epsilon.
    np.testing.assert_allclose(
        found, np.broadcast_to(expected, found.shape), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "channels"),
    [
        ({}, (25, 50)),
        ({"depth_multiplier": 0.3}, (7, 15)),
        ({"depth_multiplier": 0.3, "min_depth": 10}, (10, 15)),
        ({"depth_multiplier": 0.3, "min_depth": 40}, (40, 40)),
    ],
)
def test_depths_are_cut_off_and_have_a_floor(options, channels):
    """Half of the depth first, then the multiplier."""
    maps = make([3], [ExtraLayer(50)], **options)
    half, depth = channels
    assert shapes(maps)[f"f/last_2_Conv2d_1_3x3_s2_{depth}/weights"] == (
        3,
        3,
        half,
        depth,
    )
    assert f"f/last_1_Conv2d_1_1x1_{half}/weights" in shapes(maps)
    assert maps.feature_map_channels == [3, depth]


def test_training_moves_the_statistics():
    maps = make([3], [ExtraLayer(4)], NORMALISED)
    means = [
        variable
        for name, variable in naming.checkpoint_variables(maps).items()
        if name.endswith("moving_mean")
    ]
    maps([numbers(2, 4, 5, 3)])
    assert not any(np.any(mean.value) for mean in means)
    maps([numbers(2, 4, 5, 3)], training=True)
    assert len(means) == 2 and all(np.any(mean.value) for mean in means)
