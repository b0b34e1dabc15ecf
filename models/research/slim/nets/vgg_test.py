import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from slim.nets import numpy_networks, vgg

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.VarianceScaling(scale=2.0)
)


@pytest.fixture(scope="module")
def network():
    network = vgg.VGG16("n/vgg_16", HYPERPARAMS)
    rng = np.random.default_rng(3)
    for variable in network.variables:
        if variable.name == "biases":
            variable.assign(rng.uniform(-0.1, 0.1, variable.shape))
    return network


def reference(images, variables):
    """Returns conv4_3, conv6 and conv7 of images [B, H, W, F]."""

    def conv(inputs, name, dilation=1):
        kernel = variables[f"n/vgg_16/{name}/weights"].numpy()
        padding = numpy_networks.same_padding(
            inputs.shape[2:], kernel.shape[0], dilation=dilation
        )
        outputs = numpy_networks.conv2d(
            inputs,
            kernel.transpose(3, 2, 0, 1),
            padding=padding,
            dilation=dilation,
        )
        biases = variables[f"n/vgg_16/{name}/biases"].numpy()
        return numpy_networks.relu(outputs + biases[:, None, None])

    def pool(inputs, side, stride):
        return numpy_networks.max_pool(
            inputs,
            side,
            stride,
            numpy_networks.same_padding(inputs.shape[2:], side, stride),
        )

    found, outputs = {}, images.transpose(0, 3, 1, 2)
    for block, num_convs in enumerate((2, 2, 3, 3, 3), start=1):
        if block > 1:
            outputs = pool(outputs, 2, 2)
        for number in range(1, num_convs + 1):
            name = f"conv{block}_{number}"
            outputs = found[name] = conv(outputs, f"conv{block}/{name}")
    found["conv6"] = conv(pool(outputs, 3, 1), "conv6", dilation=6)
    found["conv7"] = conv(found["conv6"], "conv7")
    return {n: found[n].transpose(0, 2, 3, 1) for n in found}


def test_endpoints_equal_the_definition(network):
    """Odd and even sides on the way, and maps that the holes fit into."""
    images = np.random.default_rng(0).normal(size=(1, 99, 126, 3)).astype("f4")
    found = network(images)
    expected = reference(images, naming.checkpoint_variables(network))
    assert set(found) == set(expected) == set(network.endpoint_channels)
    assert found["conv7"].shape == (1, 7, 8, 1024)
    for name in expected:
        np.testing.assert_allclose(
            found[name], expected[name], rtol=1e-3, atol=1e-3, err_msg=name
        )
        assert found[name].shape[-1] == network.endpoint_channels[name]
        assert np.mean(expected[name] > 0) > 0.1


def test_names_and_shapes_are_slims(network):
    shapes = {
        name.removeprefix("n/"): tuple(variable.shape)
        for name, variable in naming.checkpoint_variables(network).items()
    }
    assert len(shapes) == 30
    assert shapes["vgg_16/conv1/conv1_1/weights"] == (3, 3, 3, 64)
    assert shapes["vgg_16/conv3/conv3_1/weights"] == (3, 3, 128, 256)
    assert shapes["vgg_16/conv5/conv5_3/biases"] == (512,)
    assert shapes["vgg_16/conv6/weights"] == (3, 3, 512, 1024)
    assert shapes["vgg_16/conv7/weights"] == (1, 1, 1024, 1024)
    trunk = sum(
        np.prod(shape)
        for name, shape in shapes.items()
        if not name.startswith(("vgg_16/conv6", "vgg_16/conv7"))
    )
    assert trunk == 14_714_688


def test_gray_images_have_one_channel():
    network = vgg.VGG16("v", HYPERPARAMS, in_channels=1)
    assert network(np.zeros((1, 32, 48, 1), "f4"))["conv7"].shape == (
        1,
        2,
        3,
        1024,
    )
