import dataclasses

import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from slim.nets import mobilenet_v2

HYPERPARAMS = mobilenet_v2.default_hyperparams(trains_batch_norm=True)


@pytest.fixture(scope="module")
def small_network():
    return mobilenet_v2.MobileNetV2("m", HYPERPARAMS, 0.35, min_depth=16)


# The depths of the published networks.
@pytest.mark.parametrize(
    ("multiplier", "expected"),
    [
        (1.0, [32, 16, 24, 32, 64, 96, 160, 320, 1280]),
        (0.35, [16, 8, 8, 16, 24, 32, 56, 112, 448]),
        (0.75, [24, 16, 24, 24, 48, 72, 120, 240, 960]),
        (1.4, [48, 24, 32, 48, 88, 136, 224, 448, 1792]),
    ],
)
def test_depths_are_multiples_of_eight(multiplier, expected):
    found = [
        mobilenet_v2.scaled_depth(depth, multiplier, 8)
        for depth in (32, 16, 24, 32, 64, 96, 160, 320, 1280)
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("depth", "multiplier", "min_depth", "expected"),
    [
        (16, 0.35, 16, 16),
        (16, 0.35, 20, 20),
        # 16 is nearest to 18, but below 90 % of it.
        (24, 0.75, 8, 24),
        # As is 20 of 24.
        (24, 1.0, 20, 24),
    ],
)
def test_depth_has_a_floor_and_loses_ten_percent_at_most(
    depth, multiplier, min_depth, expected
):
    found = mobilenet_v2.scaled_depth(depth, multiplier, min_depth)
    assert found == expected


def test_endpoints_of_a_small_network(small_network):
    endpoints = small_network(np.zeros((1, 64, 97, 3), np.float32))
    sizes = {
        "layer_1": (32, 49, 16),
        "layer_2": (32, 49, 16),
        "layer_3/expansion_output": (32, 49, 96),
        "layer_3": (16, 25, 16),
        "layer_4": (16, 25, 16),
        "layer_7": (8, 13, 16),
        "layer_14": (4, 7, 32),
        "layer_15/expansion_output": (4, 7, 192),
        "layer_15": (2, 4, 56),
        "layer_18": (2, 4, 112),
        "layer_19": (2, 4, 448),
    }
    assert {n: tuple(endpoints[n].shape[1:]) for n in sizes} == sizes
    assert len([name for name in endpoints if "/" not in name]) == 19
    assert small_network.endpoint_channels == {
        name: x.shape[-1] for name, x in endpoints.items()
    }


def test_names_and_shapes():
    network = mobilenet_v2.MobileNetV2("m", HYPERPARAMS, last_depth=256)
    shapes = {
        name: tuple(variable.shape)
        for name, variable in naming.checkpoint_variables(network).items()
    }
    assert len(shapes) == 5 * 52
    assert shapes["m/Conv/weights"] == (3, 3, 3, 32)
    assert shapes["m/Conv_1/weights"] == (1, 1, 320, 256)
    found = {
        name: shape
        for name, shape in shapes.items()
        if "/expanded_conv_13/" in name and name.endswith(("weights", "gamma"))
    }
    assert found == {
        "m/expanded_conv_13/expand/weights": (1, 1, 96, 576),
        "m/expanded_conv_13/expand/BatchNorm/gamma": (576,),
        "m/expanded_conv_13/depthwise/depthwise_weights": (3, 3, 576, 1),
        "m/expanded_conv_13/depthwise/BatchNorm/gamma": (576,),
        "m/expanded_conv_13/project/weights": (1, 1, 576, 160),
        "m/expanded_conv_13/project/BatchNorm/gamma": (160,),
    }
    first = {n.split("/")[2] for n in shapes if "/expanded_conv/" in n}
    assert first == {"depthwise", "project"}


def name_in_keras(name):
    """Returns what `keras.applications` calls the variable `name`."""
    *parts, leaf = name.removeprefix("m/").split("/")
    is_norm = parts[-1] == "BatchNorm"
    parts = parts[:-1] if is_norm else parts
    layer = "_".join(parts).replace("expanded_conv_", "block_")
    if layer.startswith(("block_depthwise", "block_project")):
        layer = layer.replace("block_", "expanded_conv_")
    if layer == "Conv":
        layer = "bn_Conv1" if is_norm else "Conv1"
    elif is_norm:
        layer += "_bn" if layer == "Conv_1" else "_BN"
    return f"{layer}/{leaf if is_norm else 'kernel'}"


def test_computes_what_the_network_of_keras_does():
    """With the same weights, on sides that are odd and even on their way."""
    theirs = keras.applications.MobileNetV2(
        input_shape=(70, 129, 3), include_top=False, weights=None
    )
    theirs = keras.Model(
        theirs.input,
        [theirs.get_layer("block_13_expand_relu").output, theirs.output],
    )
    ours = mobilenet_v2.MobileNetV2("m", HYPERPARAMS)
    variables = {
        name_in_keras(name): variable
        for name, variable in naming.checkpoint_variables(ours).items()
    }
    assert {weight.path for weight in theirs.weights} == set(variables)
    random = np.random.RandomState(0)
    for name, variable in variables.items():
        spread = 1.0 if name.endswith("kernel") else 0.1
        fan_in = np.prod(variable.shape[:-1]) if spread == 1.0 else 1
        if "depthwise/" in name:
            fan_in = 9
        value = random.normal(0.0, spread / np.sqrt(fan_in), variable.shape)
        if name.endswith(("gamma", "variance")):
            value = 1.0 + np.abs(value)
        variable.assign(value)
    for weight in theirs.weights:
        weight.assign(variables[weight.path].value)
    images = random.uniform(-1, 1, (2, 70, 129, 3)).astype(np.float32)
    endpoints = ours(images)
    for name, expected in zip(
        ("layer_15/expansion_output", "layer_19"), theirs(images), strict=True
    ):
        expected = np.asarray(expected)
        assert expected.std() > 0.1
        np.testing.assert_allclose(endpoints[name], expected, atol=1e-4)


def make_bottleneck(
    in_channels, out_channels, hyperparams=HYPERPARAMS, **arguments
):
    arguments = {"expansion": 6, "stride": 1, **arguments}
    return mobilenet_v2.Bottleneck(
        "b",
        in_channels,
        out_channels,
        hyperparams,
        pad_explicitly=False,
        dtype=None,
        **arguments,
    )


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride", "has_shortcut"),
    [(16, 16, 1, True), (16, 24, 1, False), (16, 16, 2, False)],
)
def test_shortcut_where_inputs_and_outputs_have_one_shape(
    in_channels, out_channels, stride, has_shortcut
):
    bottleneck = make_bottleneck(in_channels, out_channels, stride=stride)
    variables = naming.checkpoint_variables(bottleneck)
    variables["b/project/weights"].assign(
        np.zeros((1, 1, 6 * in_channels, out_channels))
    )
    inputs = np.random.RandomState(0).normal(size=(2, 4, 6, in_channels))
    expanded, outputs = bottleneck(inputs)
    assert expanded.shape == (2, 4, 6, 6 * in_channels)
    if has_shortcut:
        np.testing.assert_allclose(outputs, inputs, atol=1e-6)
    else:
        assert outputs.shape == (2, 4 // stride, 6 // stride, out_channels)
        assert not np.any(outputs)


def test_projections_are_linear():
    bottleneck = make_bottleneck(8, 16, expansion=1)
    variables = naming.checkpoint_variables(bottleneck)
    beta = np.linspace(-9, 9, 16)
    variables["b/project/BatchNorm/beta"].assign(beta)
    _, outputs = bottleneck(np.zeros((1, 2, 3, 8)))
    np.testing.assert_allclose(outputs[0, 1, 2], beta, rtol=1e-6)


def test_explicit_padding_shifts_what_strides_over_an_even_side(
    small_network,
):
    """On an odd side 'same' pads as much before as after, too."""
    padded_network = mobilenet_v2.MobileNetV2(
        "m", HYPERPARAMS, 0.35, min_depth=16, pad_explicitly=True
    )
    for own, other in zip(
        padded_network.variables, small_network.variables, strict=True
    ):
        own.assign(other.value)
    # The widths after the first two strides are 34 and 17.
    image = np.random.RandomState(0).normal(size=(1, 33, 67, 3))
    same, padded = small_network(image), padded_network(image)
    equal = [
        name
        for name in same
        # Ever deeper layers have ever smaller outputs.
        if np.abs(same[name] - padded[name]).max()
        < 1e-4 * np.abs(same[name]).max()
    ]
    assert equal == [
        "layer_1",
        "layer_2/expansion_output",
        "layer_2",
        "layer_3/expansion_output",
    ]
    assert {n: x.shape for n, x in same.items()} == {
        n: x.shape for n, x in padded.items()
    }


def test_own_hyperparameters(small_network):
    own = mobilenet_v2.default_hyperparams(trains_batch_norm=False)
    assert own.activation == "relu6"
    assert own.initializer.stddev == pytest.approx(0.09)
    assert own.batch_norm == hyperparams_lib.BatchNormParams(
        decay=0.9997, epsilon=0.001, center=True, scale=True, train=False
    )
    regularized = {
        name: variable.regularizer.l2
        for name, variable in naming.checkpoint_variables(small_network).items()
        if variable.regularizer is not None
    }
    # Conv, Conv_1, 16 expansions and 17 projections; not what is depthwise.
    assert len(regularized) == 2 + 16 + 17
    assert all(name.endswith("/weights") for name in regularized)
    assert set(regularized.values()) == {2e-5}


CONFIG = hyperparams_lib.ConvHyperparams(
    initializer=keras.initializers.RandomNormal(stddev=0.5),
    regularizer=keras.regularizers.L2(0.25),
    activation="relu",
    batch_norm=hyperparams_lib.BatchNormParams(
        decay=0.75, epsilon=0.125, center=False, scale=False
    ),
)


def test_a_config_overrides_all_but_the_architecture():
    found = mobilenet_v2.overridden_hyperparams(HYPERPARAMS, CONFIG)
    assert found == dataclasses.replace(
        CONFIG,
        activation="relu6",
        batch_norm=hyperparams_lib.BatchNormParams(
            decay=0.75, epsilon=0.125, center=True, scale=True
        ),
    )
    bottleneck = make_bottleneck(8, 16, hyperparams=found)
    variables = naming.checkpoint_variables(bottleneck)
    regularized = [n for n, v in variables.items() if v.regularizer is not None]
    assert regularized == [
        "b/expand/weights",
        "b/depthwise/depthwise_weights",
        "b/project/weights",
    ]


@pytest.mark.parametrize("trains", [False, True])
def test_normalisation_stays_where_the_config_has_none(trains):
    own = mobilenet_v2.default_hyperparams(trains)
    found = mobilenet_v2.overridden_hyperparams(own, CONFIG.without_norm())
    assert found.batch_norm == own.batch_norm
    assert found.batch_norm.train == trains
    assert found.regularizer is CONFIG.regularizer
