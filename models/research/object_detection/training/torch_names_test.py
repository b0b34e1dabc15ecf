import numpy as np
import pytest

from object_detection.core import errors
from object_detection.training import torch_names
from object_detection.training.weight_files import LazyTensor

VGG_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def to_slim(values):
    tensors = {
        name: LazyTensor(value.shape, lambda value=value: value)
        for name, value in values.items()
    }
    return torch_names.to_slim(tensors, "net.npz")


def vgg_state():
    state = {}
    for index in VGG_CONVS:
        state[f"features.{index}.weight"] = numbers(4, 3, 3, 2) + index
        state[f"features.{index}.bias"] = numbers(4) + index
    for index, shape in ((0, (6, 98)), (3, (6, 6)), (6, (5, 6))):
        state[f"classifier.{index}.weight"] = numbers(*shape)
        state[f"classifier.{index}.bias"] = numbers(shape[0])
    return state


def test_layers_of_vgg_go_by_block_and_number():
    found = to_slim(vgg_state())
    names = [
        f"vgg_16/conv{block}/conv{block}_{number}"
        for block, number in (
            *((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)),
            *((4, 1), (4, 2), (4, 3), (5, 1), (5, 2), (5, 3)),
        )
    ]
    layers = [*names, "vgg_16/fc6", "vgg_16/fc7", "vgg_16/fc8"]
    assert set(found.tensors) == {
        f"{layer}/{leaf}" for layer in layers for leaf in ("weights", "biases")
    }
    for name, index in zip(names, VGG_CONVS, strict=True):
        weights = found.tensors[f"{name}/weights"]
        assert weights.shape == (3, 2, 3, 4)
        value = weights.read()
        # [4, 3, 3, 2] are outputs, inputs, rows and columns.
        for out, channel, row, column in np.ndindex(4, 3, 3, 2):
            expected = index + column + 2 * (row + 3 * (channel + 3 * out))
            assert value[row, column, channel, out] == expected
        biases = found.tensors[f"{name}/biases"].read()
        np.testing.assert_array_equal(biases, np.arange(4) + index)
    assert found.first_kernel == "vgg_16/conv1/conv1_1/weights"
    assert "stddev: [58.395, 57.12, 57.375]" in found.notes[0]


def test_the_first_fully_connected_layer_lies_channel_by_channel():
    found = to_slim(vgg_state()).tensors
    assert found["vgg_16/fc6/weights"].shape == (7, 7, 2, 6)
    weights = found["vgg_16/fc6/weights"].read()
    for row, column, channel, out in np.ndindex(7, 7, 2, 6):
        expected = 98 * out + 49 * channel + 7 * row + column
        assert weights[row, column, channel, out] == expected
    weights = found["vgg_16/fc7/weights"].read()
    np.testing.assert_array_equal(weights[0, 0], numbers(6, 6).T)
    assert found["vgg_16/fc8/weights"].shape == (1, 1, 6, 5)


@pytest.mark.parametrize(
    "indices", [(0, 1, 3, 4), (0, 3, 6, 8), (*VGG_CONVS, 30)]
)
def test_other_networks_of_the_kind_are_refused(indices):
    state = {f"features.{i}.weight": numbers(4, 3, 3, 3) for i in indices}
    with pytest.raises(errors.CheckpointError, match="net.npz: .* vgg16, got"):
        to_slim(state)


def resnet_state(num_units, num_convs):
    state = {"conv1.weight": numbers(5, 3, 1, 2), "fc.weight": numbers(3, 2)}
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        state[f"bn1.{leaf}"] = numbers(5)
    for layer, count in enumerate(num_units, start=1):
        for unit in range(count):
            for number in range(1, num_convs + 1):
                name = f"layer{layer}.{unit}.conv{number}.weight"
                state[name] = numbers(2, 1, 1, 1)
    return state


@pytest.mark.parametrize(
    ("num_units", "num_convs", "num_layers"),
    [
        ((2, 2, 2, 2), 2, 18),
        ((3, 4, 6, 3), 2, 34),
        ((3, 4, 6, 3), 3, 50),
        ((3, 4, 6), 3, 50),
        ((3, 4, 23, 3), 3, 101),
        ((3, 8, 36, 3), 3, 152),
    ],
)
def test_the_units_tell_the_resnet(num_units, num_convs, num_layers):
    found = to_slim(resnet_state(num_units, num_convs))
    scope = f"resnet_v1_{num_layers}"
    kind = "basic_v1" if num_layers < 50 else "bottleneck_v1"
    unit = f"{scope}/block3/unit_{num_units[2]}/{kind}"
    assert f"{unit}/conv{num_convs}/weights" in found.tensors
    assert found.first_kernel == f"{scope}/conv1/weights"


def test_leaves_of_a_resnet():
    state = resnet_state((2, 2, 2), 2)
    state["layer2.0.downsample.0.weight"] = numbers(2, 3, 1, 1)
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        state[f"layer2.0.downsample.1.{leaf}"] = numbers(2) + len(leaf)
        state[f"layer2.1.bn2.{leaf}"] = numbers(2) + 2 * len(leaf)
    state["bn1.num_batches_tracked"] = np.array(7)
    found = to_slim(state).tensors
    block = "resnet_v1_18/block2"
    shortcut = f"{block}/unit_1/basic_v1/shortcut"
    np.testing.assert_array_equal(
        found[f"{shortcut}/weights"].read()[0, 0], [[0, 3], [1, 4], [2, 5]]
    )
    for scope, factor in ((shortcut, 1), (f"{block}/unit_2/basic_v1/conv2", 2)):
        for leaf, length in (
            ("gamma", 6),
            ("beta", 4),
            ("moving_mean", 12),
            ("moving_variance", 11),
        ):
            value = found[f"{scope}/BatchNorm/{leaf}"].read()
            assert value[0] == factor * length
    np.testing.assert_array_equal(
        found["resnet_v1_18/conv1/BatchNorm/beta"].read(), np.arange(5)
    )
    # What TF1-slim does not have keeps its name.
    assert {"fc.weight", "bn1.num_batches_tracked"} <= set(found)
    assert len(found) == len(state)


def test_a_resnet_of_another_depth_is_refused():
    with pytest.raises(errors.CheckpointError, match="of 1, 1, 1 units"):
        to_slim(resnet_state((1, 1, 1), 2))


def test_names_of_others_stay():
    values = {"vgg_16/conv1/conv1_1/biases": numbers(3)}
    found = to_slim(values)
    assert list(found.tensors) == list(values)
    assert (found.first_kernel, found.notes) == (None, ())
