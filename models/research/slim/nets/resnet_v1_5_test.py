import keras
import numpy as np
import pytest

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import naming
from slim.nets import resnet_v1_5

HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.VarianceScaling(scale=2.0),
    batch_norm=hyperparams_lib.BatchNormParams(
        decay=0.9, epsilon=1e-5, scale=True
    ),
)


@pytest.mark.parametrize(
    ("num_layers", "channels"), [(18, (64, 128, 256)), (50, (256, 512, 1024))]
)
def test_the_third_block_keeps_the_resolution(num_layers, channels):
    network = resnet_v1_5.ResNetV15("r", num_layers, HYPERPARAMS)
    found = network(np.zeros((1, 75, 66, 3), "f4"))
    assert {n: tuple(x.shape) for n, x in found.items()} == {
        "block1": (1, 19, 17, channels[0]),
        "block2": (1, 10, 9, channels[1]),
        "block3": (1, 10, 9, channels[2]),
    }
    assert network.endpoint_channels == {
        f"block{i}": c for i, c in enumerate(channels, start=1)
    }


def test_a_shortcut_is_a_convolution_where_shapes_differ():
    names = naming.checkpoint_variables(
        resnet_v1_5.ResNetV15("r", 18, HYPERPARAMS)
    )
    shortcuts = {n for n in names if n.endswith("shortcut/weights")}
    assert shortcuts == {
        "r/block2/unit_1/basic_v1/shortcut/weights",
        "r/block3/unit_1/basic_v1/shortcut/weights",
    }
    assert names["r/block2/unit_1/basic_v1/conv1/weights"].shape == (
        (3, 3, 64, 128)
    )


@pytest.mark.parametrize(
    ("num_layers", "num_parameters"),
    [
        (18, 2_782_784),
        (34, 8_170_304),
        (50, 8_543_296),
        (101, 27_535_424),
        (152, 43_179_072),
    ],
)
def test_parameters(num_layers, num_parameters):
    """torchvision's, without its fourth layer and its classifier."""
    num_units = resnet_v1_5.NUM_UNITS_PER_BLOCK[num_layers]
    expansion, sides = (1, (3, 3)) if num_layers < 50 else (4, (1, 3, 1))
    total, channels = 7 * 7 * 3 * 64 + 2 * 64, 64
    for block, units in enumerate(num_units):
        depth = 64 * 2**block
        for _ in range(units):
            depths = [depth] * (len(sides) - 1) + [expansion * depth]
            ins = [channels, *depths[:-1]]
            if channels != depths[-1]:
                total += channels * depths[-1] + 2 * depths[-1]
            for side, before, after in zip(sides, ins, depths, strict=True):
                total += side * side * before * after + 2 * after
            channels = depths[-1]
    assert total == num_parameters
    if num_layers in (18, 50):
        network = resnet_v1_5.ResNetV15("r", num_layers, HYPERPARAMS)
        found = sum(np.prod(v.shape) for v in network.trainable_variables)
        assert found == total


def test_the_first_norm_moves_by_the_configs_decay():
    network = resnet_v1_5.ResNetV15("r", 18, HYPERPARAMS)
    images = np.random.default_rng(0).normal(size=(2, 33, 34, 3)).astype("f4")
    variables = naming.checkpoint_variables(network)
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
    kernel = variables["r/conv1/weights"].numpy()
    outputs = keras.ops.conv(padded, kernel, strides=2, padding="valid")
    network(images, training=True)
    np.testing.assert_allclose(
        variables["r/conv1/BatchNorm/moving_mean"].value,
        0.1 * np.mean(outputs, (0, 1, 2)),
        rtol=1e-3,
        atol=1e-5,
    )
