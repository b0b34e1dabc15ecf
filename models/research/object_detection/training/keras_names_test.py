import keras
import numpy as np
import pytest

from object_detection.core import errors
from object_detection.training import keras_names
from object_detection.training.weight_files import LazyTensor


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def to_slim(values):
    tensors = {
        name: LazyTensor(value.shape, lambda value=value: value)
        for name, value in values.items()
    }
    return keras_names.to_slim(tensors, "net.h5")


def layers_of(network):
    """Returns zeros by the names that a file of the network has."""
    return {
        f"{layer.name}/{number}": np.zeros(variable.shape, "f4")
        for layer in network.layers
        for number, variable in enumerate(layer.weights)
    }


def test_vgg16():
    values = {
        "block1_conv1/0": numbers(3, 3, 3, 2),
        "block1_conv1/1": numbers(2),
        "block4_conv3/0": numbers(1, 1, 2, 2),
        "fc1/0": numbers(98, 6),
        "fc1/1": numbers(6),
        "fc2/0": numbers(6, 6),
        "predictions/0": numbers(6, 4),
    }
    found = to_slim(values).tensors
    assert {n: t.shape for n, t in found.items()} == {
        "vgg_16/conv1/conv1_1/weights": (3, 3, 3, 2),
        "vgg_16/conv1/conv1_1/biases": (2,),
        "vgg_16/conv4/conv4_3/weights": (1, 1, 2, 2),
        "vgg_16/fc6/weights": (7, 7, 2, 6),
        "vgg_16/fc6/biases": (6,),
        "vgg_16/fc7/weights": (1, 1, 6, 6),
        "vgg_16/fc8/weights": (1, 1, 6, 4),
    }
    # Blue, green and red come in; they lie pixel by pixel.
    np.testing.assert_array_equal(
        found["vgg_16/conv1/conv1_1/weights"].read(),
        numbers(3, 3, 3, 2)[:, :, ::-1],
    )
    weights = found["vgg_16/fc6/weights"].read()
    for row, column, channel, out in np.ndindex(7, 7, 2, 6):
        expected = out + 6 * (channel + 2 * (column + 7 * row))
        assert weights[row, column, channel, out] == expected
    np.testing.assert_array_equal(
        found["vgg_16/fc7/weights"].read()[0, 0], numbers(6, 6)
    )


def test_vgg19_is_refused():
    values = {"block1_conv1/0": numbers(3), "block3_conv4/0": numbers(3)}
    with pytest.raises(errors.CheckpointError, match="VGG16, got VGG19"):
        to_slim(values)


def resnet_values(num_units=(3, 4, 6)):
    values = {
        "conv1_conv/0": numbers(1, 1, 3, 2),
        "conv1_conv/1": np.array([3, 5], "f4"),
        "probs/0": numbers(2, 2),
    }
    for number in range(4):
        values[f"conv1_bn/{number}"] = numbers(2) + 10 * number
    for stage, count in enumerate(num_units, start=2):
        for unit in range(1, count + 1):
            scope = f"conv{stage}_block{unit}"
            for number in range(0 if unit == 1 else 1, 4):
                values[f"{scope}_{number}_conv/0"] = numbers(1, 1, 1, 1) + unit
                values[f"{scope}_{number}_conv/1"] = numbers(1) + 2
                for leaf in range(4):
                    value = numbers(1) + 10 * number + leaf
                    values[f"{scope}_{number}_bn/{leaf}"] = value
    return values


@pytest.mark.parametrize(
    ("num_units", "num_layers"),
    [((3, 4, 6, 3), 50), ((3, 4, 23, 3), 101), ((3, 8, 36), 152)],
)
def test_resnets(num_units, num_layers):
    found = to_slim(resnet_values(num_units))
    scope = f"resnet_v1_{num_layers}"
    assert found.first_kernel == f"{scope}/conv1/weights"
    tensors = found.tensors
    np.testing.assert_array_equal(
        tensors[f"{scope}/conv1/weights"].read()[0, 0],
        [[4, 5], [2, 3], [0, 1]],
    )
    # Means of 20 and 21, from which biases of 3 and 5 are taken.
    np.testing.assert_array_equal(
        tensors[f"{scope}/conv1/BatchNorm/moving_mean"].read(), [17, 16]
    )
    unit = f"{scope}/block3/unit_1/bottleneck_v1"
    for part, number in (("shortcut", 0), ("conv1", 1), ("conv3", 3)):
        leaves = [
            float(tensors[f"{unit}/{part}/BatchNorm/{leaf}"].read()[0])
            for leaf in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
        first = 10 * number
        assert leaves == [first, first + 1, first + 2 - 2, first + 3]
    assert tensors[f"{scope}/block2/unit_4/bottleneck_v1/conv2/weights"].read()
    assert "probs/0" in tensors
    assert not [n for n in tensors if n.endswith("biases")]
    assert any("first convolution of a block" in n for n in found.notes)
    assert any("mean: [123.68, 116.779, 103.939]" in n for n in found.notes)


@pytest.mark.parametrize(
    "change",
    [{"post_bn/0": numbers(2)}, {"conv2_block9_1_conv/0": numbers(1)}],
)
def test_other_networks_of_the_kind_are_refused(change):
    with pytest.raises(errors.CheckpointError, match="Keras' ResNet50, ResNet"):
        to_slim({**resnet_values(), **change})


def test_every_weight_of_keras_mobilenet_is_known():
    network = keras.applications.MobileNetV2(
        weights=None, include_top=False, alpha=0.35, input_shape=(96, 96, 3)
    )
    found = to_slim(layers_of(network))
    assert all(n.startswith("MobilenetV2/") for n in found.tensors)
    assert len(found.tensors) == len(network.weights) == 260
    shapes = {
        n.removeprefix("MobilenetV2/"): t.shape
        for n, t in found.tensors.items()
    }
    assert shapes["Conv/weights"] == (3, 3, 3, 16)
    assert shapes["expanded_conv/depthwise/depthwise_weights"] == (3, 3, 16, 1)
    assert shapes["expanded_conv_1/expand/weights"] == (1, 1, 8, 48)
    assert shapes["expanded_conv_16/project/BatchNorm/gamma"] == (112,)
    assert shapes["Conv_1/BatchNorm/moving_variance"] == (1280,)
    assert found.notes


def test_names_of_others_stay():
    values = {"dense/0": numbers(3)}
    found = to_slim(values)
    assert list(found.tensors) == ["dense/0"]
    assert (found.first_kernel, found.notes) == (None, ())
