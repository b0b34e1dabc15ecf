"""Networks give what those give that their weights come from."""

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

from object_detection.core import errors, naming
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.training import checkpoints, fine_tune, weight_sources
from object_detection.training.options import CLASSIFICATION, FineTune
from slim.nets import mobilenet_v2, numpy_networks, resnet_v1_5, vgg

SCOPE = "FeatureExtractor"
WITH_BIASES = hyperparams_lib.ConvHyperparams(keras.initializers.Zeros())
WITH_NORMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.Zeros(),
    batch_norm=hyperparams_lib.BatchNormParams(scale=True, epsilon=1e-5),
)
MOBILENET = mobilenet_v2.default_hyperparams(trains_batch_norm=True)


def start(network, path, **options):
    """Starts from a file as a configured training does."""
    return fine_tune.initialize(
        naming.checkpoint_variables(network),
        FineTune(str(path), CLASSIFICATION, **options),
    )


def refusal(network, path):
    with pytest.raises(errors.CheckpointError) as info:
        start(network, path)
    assert "\n" not in str(info.value)
    return str(info.value)


def images(height, width):
    rng = np.random.default_rng(height)
    return rng.normal(size=(2, height, width, 3)).astype("float32")


def resnet(num_layers):
    return resnet_v1_5.ResNetV15(
        f"{SCOPE}/resnet_v1_{num_layers}", num_layers, WITH_NORMS
    )


def randomized(network, seed=1):
    """Gives a Keras model weights of all kinds that differ."""
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        if len(variable.shape) > 1:
            # Of a depthwise kernel, the last two axes are one pixel's weights.
            fan_in = np.prod(variable.shape[:-1])
            if variable.path.endswith("depthwise_kernel"):
                fan_in = np.prod(variable.shape[:2])
            elif "kernel" in variable.path and variable.shape[-1] == 1:
                fan_in = np.prod(variable.shape[:2])
            value = rng.normal(0, (2 / fan_in) ** 0.5, variable.shape)
        else:
            value = rng.uniform(0.5, 1.0, variable.shape)
        variable.assign(value)
    return network


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize(
    ("num_layers", "size"), [(18, (65, 90)), (50, (68, 75))]
)
def test_torchvisions_resnet_computes_the_same(
    tmp_path, num_layers, size, suffix
):
    state = numpy_networks.resnet_state(num_layers, seed=num_layers)
    path = str(tmp_path / f"resnet{suffix}")
    if suffix == ".npz":
        np.savez(path, **state)
    else:
        safetensors.numpy.save_file(state, path)
    network = resnet(num_layers)
    report = start(network, path)
    assert (report.missing, report.mismatched) == ([], {})
    counters = [n for n in state if n.endswith("num_batches_tracked")]
    assert report.num_unused == len(counters)
    assert len(report.matched) == len(state) - len(counters)

    found = network(images(*size))["block3"]
    expected = numpy_networks.resnet_block3(
        images(*size).transpose(0, 3, 1, 2), state
    ).transpose(0, 2, 3, 1)
    assert found.shape[1:3] == (-(-size[0] // 8), -(-size[1] // 8))
    assert np.std(expected) > 0.1
    # torchvision's epsilon is 1e-8 below the least one here.
    np.testing.assert_allclose(
        found, expected, atol=1e-4 * np.abs(expected).max()
    )


def test_keras_mobilenet_computes_the_same(tmp_path):
    original = randomized(
        keras.applications.MobileNetV2(
            weights=None, include_top=False, input_shape=(65, 90, 3)
        )
    )
    path = str(tmp_path / "mobilenet.weights.h5")
    original.save_weights(path)
    network = mobilenet_v2.MobileNetV2(f"{SCOPE}/MobilenetV2", MOBILENET)
    report = start(network, path)
    assert (report.missing, report.mismatched, report.num_unused) == ([], {}, 0)

    inputs = images(65, 90)
    ends = [original.get_layer(n).output for n in ("block_12_add", "out_relu")]
    expected = keras.Model(original.input, ends)(inputs)
    endpoints = network(inputs)
    for name, value in zip(("layer_14", "layer_19"), expected, strict=True):
        assert np.std(value) > 0.1
        np.testing.assert_allclose(
            endpoints[name], value, atol=1e-4 * np.abs(value).max()
        )


def test_keras_resnet_computes_the_same_up_to_its_first_stride(tmp_path):
    original = randomized(
        keras.applications.ResNet50(
            weights=None, include_top=False, input_shape=(None, None, 3)
        )
    )
    path = str(tmp_path / "resnet50.h5")
    original.save(path)
    network = resnet(50)
    report = start(network, path)
    assert (report.missing, report.mismatched) == ([], {})
    last_stage = [n for n in original.weights if n.path.startswith("conv5")]
    # Its biases are in its means.
    assert report.num_unused == len(last_stage) * 5 // 6
    assert any("halve the resolution" in note for note in report.notes)

    # It takes blue, green and red.
    inputs = images(65, 90)
    end = original.get_layer("conv2_block3_out").output
    expected = keras.Model(original.input, end)(inputs[..., ::-1])
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(
        network(inputs)["block1"], expected, atol=1e-4 * np.max(expected)
    )


@pytest.mark.parametrize("takes_bgr", [False, True])
def test_keras_vgg_computes_the_same(tmp_path, takes_bgr):
    original = randomized(
        keras.applications.VGG16(
            weights=None, include_top=False, input_shape=(None, None, 3)
        )
    )
    path = str(tmp_path / "vgg16.keras")
    original.save(path)
    network = vgg.VGG16(f"{SCOPE}/vgg_16", WITH_BIASES)
    report = start(network, path, takes_bgr=takes_bgr)
    # No file without its top has the fully connected layers.
    assert report.missing == [
        f"vgg_16/{layer}/{leaf}"
        for layer in ("conv6", "conv7")
        for leaf in ("weights", "biases")
    ]
    assert len(report.matched) == 26

    inputs = images(32, 48)
    expected = keras.Model(
        original.input, original.get_layer("block5_conv3").output
    )(inputs if takes_bgr else inputs[..., ::-1])
    np.testing.assert_allclose(
        network(inputs)["conv5_3"], expected, atol=1e-4 * np.max(expected)
    )


def test_colours_are_turned_for_a_network_that_takes_them_reversed(tmp_path):
    state = numpy_networks.resnet_state(18, seed=2)
    path = str(tmp_path / "resnet18.npz")
    np.savez(path, **state)
    network = resnet(18)
    outputs = []
    for takes_bgr in (False, True):
        start(network, path, takes_bgr=takes_bgr)
        inputs = images(33, 40)
        outputs.append(network(inputs[..., ::-1] if takes_bgr else inputs))
    np.testing.assert_allclose(
        outputs[0]["block3"], outputs[1]["block3"], rtol=1e-3, atol=1e-3
    )


@pytest.fixture(scope="module")
def vgg_network():
    return vgg.VGG16(f"{SCOPE}/vgg_16", WITH_BIASES)


def test_a_checkpoints_vgg_is_thinned_out(tmp_path, vgg_network):
    """All but the weights of fc6, which are of 400 MB."""
    rng = np.random.default_rng(0)
    values = {
        "vgg_16/fc6/biases": rng.normal(size=4096).astype("f4"),
        "vgg_16/fc7/weights": rng.normal(size=(1, 1, 4096, 4096)).astype("f4"),
        "vgg_16/fc7/biases": rng.normal(size=4096).astype("f4"),
        "vgg_16/conv1/conv1_1/weights": rng.normal(size=(3, 3, 3, 64)).astype(
            "f4"
        ),
        "vgg_16/fc8/biases": np.zeros(1000, "f4"),
        "vgg_16/mean_rgb": np.zeros(3, "f4"),
    }
    prefix = str(tmp_path / "vgg_16.ckpt")
    checkpoints.save(prefix, values)
    report = start(vgg_network, prefix)
    assert set(report.matched.values()) == {
        "vgg_16/conv6/biases",
        "vgg_16/conv7/weights",
        "vgg_16/conv7/biases",
        "vgg_16/conv1/conv1_1/weights",
    }
    assert report.num_unused == 2
    variables = naming.checkpoint_variables(vgg_network)
    fc7 = values["vgg_16/fc7/weights"]
    for name, expected in {
        "conv6/biases": values["vgg_16/fc6/biases"][::4],
        "conv7/biases": values["vgg_16/fc7/biases"][::4],
        "conv7/weights": fc7[:, :, ::4, ::4],
        # Red, green and blue are what TF1-slim takes.
        "conv1/conv1_1/weights": values["vgg_16/conv1/conv1_1/weights"],
    }.items():
        np.testing.assert_array_equal(
            variables[f"{SCOPE}/vgg_16/{name}"].value, expected
        )


def test_conv6_has_each_third_pixel_of_fc6_in_full_size(tmp_path, vgg_network):
    """conv6[h, w, c, i] is fc6[3 h, 3 w, c, 4 i]."""
    path = str(tmp_path / "vgg16.h5")
    rng = np.random.default_rng(0)
    rows = {}
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"block1_conv1", b"fc1"]
        for layer in ("block1_conv1", "fc1"):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [b"kernel"]
        file.create_dataset("block1_conv1/kernel", (3, 3, 3, 64), "f4")
        # What is not written takes no room.
        kernel = file.create_dataset(
            "fc1/kernel", (25088, 4096), "f4", chunks=(1, 4096)
        )
        for row, column, channel in (
            (0, 0, 0),
            (0, 1, 5),
            (3, 6, 17),
            (6, 3, 511),
            (5, 6, 200),
        ):
            value = rng.uniform(1, 2, 4096).astype("f4")
            kernel[(7 * row + column) * 512 + channel] = value
            rows[row, column, channel] = value
    report = start(vgg_network, path)
    assert "vgg_16/conv6/weights" in report.matched.values()
    conv6 = naming.checkpoint_variables(vgg_network)[
        f"{SCOPE}/vgg_16/conv6/weights"
    ].numpy()
    expected = np.zeros((3, 3, 512, 1024), "f4")
    for (row, column, channel), value in rows.items():
        if row % 3 == 0 and column % 3 == 0:
            expected[row // 3, column // 3, channel] = value[::4]
    assert np.count_nonzero(expected) == 3 * 1024
    np.testing.assert_array_equal(conv6, expected)


def test_a_shape_that_no_memory_holds_is_reported(tmp_path, vgg_network):
    path = str(tmp_path / "bomb.h5")
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"block1_conv1", b"block1_conv2"]
        for layer, shape in (
            ("block1_conv1", (3, 3, 3, 10**12)),
            ("block1_conv2", (3, 3, 64, 64)),
        ):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [b"kernel"]
            group.create_dataset("kernel", shape, "f4", chunks=(1, 1, 1, 64))
    report = start(vgg_network, path)
    name = "vgg_16/conv1/conv1_1/weights"
    assert report.mismatched == {name: ((3, 3, 3, 10**12), (3, 3, 3, 64))}
    assert list(report.matched.values()) == ["vgg_16/conv1/conv1_2/weights"]


def test_what_is_refused(tmp_path, vgg_network):
    path = str(tmp_path / "other.npz")
    np.savez(path, **{"head.weight": np.zeros((4, 3), "f4")})
    message = refusal(vgg_network, path)
    assert "none of the 30 variables fits" in message
    assert "'vgg_16/conv1/conv1_1/weights'" in message
    assert "'head.weight'" in message
    np.savez(path, **{"features.0.weight": np.zeros((4, 3), "f4")})
    assert "expected torchvision's vgg16" in refusal(vgg_network, path)
    state = numpy_networks.resnet_state(18, seed=0)
    np.savez(path, **{**state, "layer1.0.conv1.weight": np.zeros(4, "f4")})
    assert "tensors of other shapes" in refusal(vgg_network, path)
    np.savez(path, **state)
    assert "none of the 30" in refusal(vgg_network, path)
    assert "weights_only" in refusal(vgg_network, tmp_path / "x.pth")


def test_a_detector_is_not_looked_for_in_a_weight_file(tmp_path, vgg_network):
    path = str(tmp_path / "vgg.npz")
    np.savez(path, **{"vgg_16/conv6/biases": np.zeros(1024, "f4")})
    with pytest.raises(errors.CheckpointError, match="type: 'classification'"):
        fine_tune.initialize(
            naming.checkpoint_variables(vgg_network),
            FineTune(path, "detection"),
        )


def test_a_checkpoint_may_be_called_like_a_weight_file(tmp_path):
    prefix = str(tmp_path / "backbone.h5")
    checkpoints.save(prefix, {"a/weights": np.ones(3, "f4")})
    source = weight_sources.open_source(prefix)
    assert source.shapes == {"a/weights": (3,)}
    np.testing.assert_array_equal(source.read("a/weights"), 1)


def test_notes_are_printed_in_one_piece(tmp_path, capsys):
    state = numpy_networks.resnet_state(18, seed=0)
    path = str(tmp_path / "resnet18.npz")
    np.savez(path, **state)
    start(resnet(18), path).print()
    printed = capsys.readouterr().err
    assert "mean: [123.675, 116.28, 103.53] stddev: [58.395," in printed
    assert "variables taken" in printed
