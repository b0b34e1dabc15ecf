import numpy as np
import pytest

from object_detection.core import naming
from slim.nets import mobilenet_v1

HYPERPARAMS = mobilenet_v1.default_hyperparams(trains_batch_norm=True)


@pytest.mark.parametrize(
    ("depth", "multiplier", "min_depth", "expected"),
    [
        (64, 1.0, 16, 64),
        (64, 0.5, 16, 32),
        (64, 0.1, 16, 16),
        (100, 0.333, 8, 33),
        (32, 1.4, 16, 44),
    ],
)
def test_depth_is_cut_off_and_has_a_floor(
    depth, multiplier, min_depth, expected
):
    found = mobilenet_v1.scaled_depth(depth, multiplier, min_depth)
    assert found == expected


def test_endpoints_of_a_quarter_network():
    network = mobilenet_v1.MobileNetV1("m", HYPERPARAMS, 0.25, min_depth=16)
    endpoints = network(np.zeros((1, 64, 97, 3), np.float32))
    sizes = {
        "Conv2d_0": (32, 49, 16),
        "Conv2d_1_pointwise": (32, 49, 16),
        "Conv2d_3_pointwise": (16, 25, 32),
        "Conv2d_5_pointwise": (8, 13, 64),
        "Conv2d_11_pointwise": (4, 7, 128),
        "Conv2d_13_pointwise": (2, 4, 256),
    }
    found = {name: tuple(endpoints[name].shape[1:]) for name in sizes}
    assert found == sizes
    assert len(endpoints) == 14
    assert network.endpoint_channels == {
        name: x.shape[-1] for name, x in endpoints.items()
    }


def test_light_layers_end_with_512_and_256_channels():
    network = mobilenet_v1.MobileNetV1(
        "m", HYPERPARAMS, 0.5, layers=mobilenet_v1.LIGHT_LAYERS
    )
    channels = network.endpoint_channels
    assert channels["Conv2d_12_pointwise"] == 256
    assert channels["Conv2d_13_pointwise"] == 128


def test_names_and_shapes_of_a_layer():
    network = mobilenet_v1.MobileNetV1("m", HYPERPARAMS, 0.25, min_depth=8)
    shapes = {
        name: tuple(v.shape)
        for name, v in naming.checkpoint_variables(network).items()
        if name.startswith("m/Conv2d_2_") and "/moving_" not in name
    }
    assert shapes == {
        "m/Conv2d_2_depthwise/depthwise_weights": (3, 3, 16, 1),
        "m/Conv2d_2_depthwise/BatchNorm/gamma": (16,),
        "m/Conv2d_2_depthwise/BatchNorm/beta": (16,),
        "m/Conv2d_2_pointwise/weights": (1, 1, 16, 32),
        "m/Conv2d_2_pointwise/BatchNorm/gamma": (32,),
        "m/Conv2d_2_pointwise/BatchNorm/beta": (32,),
    }


def test_explicit_padding_shifts_strided_layers():
    """On an even side 'same' pads after only, the explicit one before too."""
    networks = [
        mobilenet_v1.MobileNetV1("m", HYPERPARAMS, 0.25, pad_explicitly=pads)
        for pads in (False, True)
    ]
    for pair in zip(*(net.variables for net in networks), strict=True):
        pair[1].assign(pair[0].value)
    image = np.random.RandomState(0).normal(size=(1, 9, 9, 3))
    first = [np.asarray(net(image)["Conv2d_0"]) for net in networks]
    np.testing.assert_allclose(first[0], first[1], atol=1e-6)
    image = np.pad(image, ((0, 0), (0, 1), (0, 1), (0, 0)))
    even = [np.asarray(net(image)["Conv2d_0"]) for net in networks]
    assert np.abs(even[0] - even[1]).max() > 0.01


def test_own_hyperparameters():
    own = mobilenet_v1.default_hyperparams(trains_batch_norm=False)
    assert own.activation == "relu6"
    assert own.initializer.stddev == pytest.approx(0.09)
    assert own.regularizer.l2 == pytest.approx(2e-5)
    assert own.batch_norm.decay == pytest.approx(0.9997)
    assert own.batch_norm.epsilon == pytest.approx(0.001)
    assert own.batch_norm.scale and not own.batch_norm.train
