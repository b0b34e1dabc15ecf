import io
import os
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

from object_detection.core import errors
from object_detection.training import weight_files

VALUES = {
    "a.weight": np.arange(24, dtype="float32").reshape(4, 3, 2, 1),
    "b.bias": np.array([0.5, -2], "float64"),
    "half": np.array([1.5, 2.5, 3.5], "float16"),
    "count": np.array(7, "int64"),
}
WRITERS = {
    ".npz": lambda path: np.savez(path, **VALUES),
    ".safetensors": lambda path: safetensors.numpy.save_file(VALUES, path),
}


def refusal(path, *names):
    """Returns why a file, or tensors of it, cannot be had, in one line."""
    with pytest.raises(errors.CheckpointError) as info:
        tensors = weight_files.open_tensors(str(path))
        for name in names:
            tensors[name].read()
    message = str(info.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_tensors_of_a_state_dict(tmp_path, suffix):
    path = str(tmp_path / f"state{suffix}")
    WRITERS[suffix](path)
    tensors = weight_files.open_tensors(path)
    assert {n: t.shape for n, t in tensors.items()} == {
        n: v.shape for n, v in VALUES.items()
    }
    for name in ("a.weight", "b.bias", "half"):
        found = tensors[name].read()
        assert found.dtype == "float32"
        np.testing.assert_array_equal(found, VALUES[name])
    assert "int64, expected floating-point" in refusal(path, "count")
    assert not weight_files.is_keras_file(path)


def test_compressed_archives_are_read(tmp_path):
    path = tmp_path / "state.npz"
    np.savez_compressed(path, **VALUES)
    found = weight_files.open_tensors(str(path))["a.weight"].read()
    np.testing.assert_array_equal(found, VALUES["a.weight"])


def model():
    """Two layers of one kind, made in another order than they are applied."""
    keras.utils.set_random_seed(3)
    late = keras.layers.Conv2D(4, 1, use_bias=False, name="late")
    early = keras.layers.Conv2D(3, (2, 1), name="early")
    norm = keras.layers.BatchNormalization(name="norm")
    inputs = keras.Input((5, 6, 2))
    outputs = keras.layers.ReLU()(norm(early(inputs)))
    result = keras.Model(inputs, late(outputs))
    for number, variable in enumerate(result.weights):
        variable.assign(
            np.random.default_rng(number).uniform(size=variable.shape)
        )
    return result


def legacy_names(path, weights_of_layer):
    """Writes what older versions of Keras wrote, names as bytes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [n.encode() for n in weights_of_layer]
        for layer, weights in weights_of_layer.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [n.encode() for n in weights]
            for name, value in weights.items():
                group.create_dataset(name, data=value)


@pytest.mark.parametrize("name", ["x.weights.h5", "x.h5", "x.keras"])
def test_weights_of_keras_go_by_layer_and_number(tmp_path, name):
    original = model()
    path = str(tmp_path / name)
    save = original.save_weights if "weights" in name else original.save
    save(path)
    tensors = weight_files.open_tensors(path)
    expected = {
        f"{layer.name}/{number}": variable.numpy()
        for layer in original.layers
        for number, variable in enumerate(layer.weights)
    }
    assert len(expected) == 7
    assert {n: t.shape for n, t in tensors.items()} == {
        n: v.shape for n, v in expected.items()
    }
    for tensor_name, value in expected.items():
        np.testing.assert_array_equal(tensors[tensor_name].read(), value)
    assert weight_files.is_keras_file(path)


def test_lists_of_older_versions_keep_the_order_of_weights(tmp_path):
    path = str(tmp_path / "old.h5")
    kernel, bias = np.ones((1, 2), "f4"), np.zeros(3, "f4")
    legacy_names(
        path, {"z/W:0": {}, "conv": {"conv_W:0": kernel, "conv_B:0": bias}}
    )
    tensors = weight_files.open_tensors(path)
    assert {n: t.shape for n, t in tensors.items()} == {
        "conv/0": (1, 2),
        "conv/1": (3,),
    }


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PTH", ".pkl", ".bin"])
def test_pickled_files_are_refused_with_the_way_out(tmp_path, suffix):
    class Canary:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    path = tmp_path / f"net{suffix}"
    path.write_bytes(pickle.dumps(Canary()))
    assert weight_files.is_weight_file(str(path))
    message = refusal(path)
    assert "torch.load(" in message and "weights_only=True" in message
    assert f"{tmp_path / 'net'}.safetensors" in message
    assert not (tmp_path / "executed").exists()


def test_the_way_out_is_valid_python(tmp_path):
    message = refusal(tmp_path / "it's.pth")
    compile(message[message.index("import torch") :], "line", "exec")


def test_objects_in_an_archive_are_refused(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object))
    assert "Python objects" in refusal(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".h5", ".keras"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 9, b"PK\x03\x04"])
def test_damaged_files_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    assert f"a {suffix} file, it is damaged" in refusal(path)


@pytest.mark.parametrize(
    "name", ["no.npz", "no.h5", "no.keras", "no.safetensors"]
)
def test_a_missing_file_is_named(tmp_path, name):
    assert "no such file" in refusal(tmp_path / name)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_a_file_that_was_cut_is_refused(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    WRITERS[suffix](str(path))
    path.write_bytes(path.read_bytes()[:-20])
    refusal(path)


def test_a_flipped_byte_in_an_archive_is_found(tmp_path):
    path = tmp_path / "flipped.npz"
    np.savez(path, a=np.arange(1 << 16, dtype="float32"))
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(60_000).tobytes())] ^= 1
    path.write_bytes(bytes(content))
    assert "'a' is damaged" in refusal(path, "a")


def test_hdf5_files_of_others_are_refused(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("numbers", data=np.ones(3))
    assert "no weights of Keras layers" in refusal(path)


def test_weights_in_another_file_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(12))
    path = tmp_path / "external.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        group = file.create_group("conv")
        group.attrs["weight_names"] = [b"w"]
        group.create_dataset(
            "w", (3,), "f4", external=[(str(tmp_path / "secret"), 0, 12)]
        )
    assert "lies in another file" in refusal(path)


def test_links_to_another_file_are_not_followed(tmp_path):
    other = tmp_path / "other.h5"
    legacy_names(str(other), {"conv": {"w": np.ones(3, "f4")}})
    path = tmp_path / "link.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        file["conv"] = h5py.ExternalLink(str(other), "/conv")
    refusal(path)


def test_layers_without_names_are_refused(tmp_path):
    path = tmp_path / "unnamed.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=np.ones(3, "f4"))
    assert "does not name its layers" in refusal(path)


def test_what_describes_a_model_is_not_read(tmp_path):
    """A layer of code in the description changes nothing."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group.attrs["name"] = "conv"
        group.create_dataset("0", data=np.ones(3, "f4"))
    path = tmp_path / "code.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"class_name": "Lambda"')
        archive.writestr("../../escape", "x")
        archive.writestr("model.weights.h5", content.getvalue())
    tensors = weight_files.open_tensors(str(path))
    np.testing.assert_array_equal(tensors["conv/0"].read(), 1)
    assert not (tmp_path.parent.parent / "escape").exists()
