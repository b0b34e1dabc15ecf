import dataclasses

import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from slim.nets import resnet_v1


@pytest.fixture(scope="module")
def network():
    """A network whose config asks for what it keeps to itself."""
    hyperparams = hyperparams_lib.ConvHyperparams(
        keras.initializers.TruncatedNormal(stddev=0.03),
        activation="relu6",
        batch_norm=hyperparams_lib.BatchNormParams(
            decay=0.5, epsilon=0.1, scale=False
        ),
    )
    return resnet_v1.ResNetV1("r", 50, hyperparams)


def test_endpoints_are_taken_before_the_stride(network):
    endpoints = network(np.zeros((1, 129, 161, 3), np.float32))
    assert {name: tuple(x.shape) for name, x in endpoints.items()} == {
        "block1": (1, 33, 41, 256),
        "block2": (1, 17, 21, 512),
        "block3": (1, 9, 11, 1024),
        "block4": (1, 5, 6, 2048),
    }
    assert network.endpoint_channels == {
        name: x.shape[-1] for name, x in endpoints.items()
    }


def test_normalisation_is_the_networks_own(network):
    """The original's decay, epsilon and gamma hold whatever a config says."""
    variables = naming.checkpoint_variables(network)
    assert "r/conv1/BatchNorm/gamma" in variables
    image = np.random.RandomState(0).uniform(size=(2, 129, 129, 3))
    network(image.astype(np.float32), training=True)
    conv1 = network._conv1
    norm = conv1._norms[0]
    batch_mean = np.asarray(conv1._conv(image.astype(np.float32))).mean(
        (0, 1, 2)
    )
    np.testing.assert_allclose(
        norm.moving_mean, 0.003 * batch_mean, rtol=1e-3, atol=1e-6
    )
    norm.moving_variance.assign(np.zeros(64))
    scale, _ = norm.scale_and_shift()
    np.testing.assert_allclose(scale, 1.001e-5**-0.5, rtol=1e-4)


def test_units_add_before_the_last_relu():
    hyperparams = hyperparams_lib.ConvHyperparams(
        keras.initializers.Zeros(), activation="relu6"
    )
    unit = resnet_v1.bottleneck("u", 8, 2, hyperparams)
    # Nothing comes of the convolutions, so the shortcut is left: it passes 6.
    inputs = np.linspace(-3, 9, 8, dtype=np.float32).reshape(1, 1, 1, 8)
    np.testing.assert_array_equal(unit(inputs), np.maximum(inputs, 0))


def test_first_unit_projects_its_shortcut_linearly():
    hyperparams = hyperparams_lib.ConvHyperparams(keras.initializers.Zeros())
    unit = resnet_v1.bottleneck("u", 1, 2, hyperparams)
    variables = naming.checkpoint_variables(unit)
    variables["u/bottleneck_v1/shortcut/weights"].assign(
        np.arange(-4, 4).reshape(1, 1, 1, 8)
    )
    inputs = np.full((1, 1, 1, 1), -2.0, np.float32)
    np.testing.assert_array_equal(
        np.ravel(unit(inputs)), [8, 6, 4, 2, 0, 0, 0, 0]
    )


@pytest.mark.parametrize(
    ("num_layers", "num_convolutions"), [(50, 53), (101, 104), (152, 155)]
)
def test_depth_counts_the_convolutions(num_layers, num_convolutions):
    units = resnet_v1.NUM_UNITS_PER_BLOCK[num_layers]
    # A stem, three in each unit, a shortcut in each block.
    assert 1 + 3 * sum(units) + len(units) == num_convolutions


def test_own_hyperparameters():
    own = resnet_v1.default_hyperparams(trains_batch_norm=False)
    assert not own.batch_norm.train
    assert own.activation == "relu"
    # TF1's weight 1e-4 is of half the sum of squares.
    assert own.regularizer.l2 == pytest.approx(5e-5)
    assert dataclasses.asdict(own.batch_norm)["scale"]
