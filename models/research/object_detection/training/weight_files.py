"""The tensors in files that other frameworks save weights in.

Nothing in them is executed, and a tensor is read when it is asked for, so what
nobody asks for costs nothing.
"""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np
import safetensors

from object_detection.core import errors

# Largest member of a .keras file; VGG-16 has 0.6 GB.
_MAX_MEMBER_BYTES = 1 << 32
_KERAS_MEMBER = "model.weights.h5"
# What the readers of damaged files raise.
_READ_ERRORS = (
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
    zipfile.BadZipFile,
)
_PICKLED = (".bin", ".pickle", ".pkl", ".pt", ".pth")


class LazyTensor(NamedTuple):
    """A tensor that is read when it is needed.

    Attributes:
        shape: of the value.
        read: returns the value.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    def then(
        self,
        change: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, ...],
    ) -> "LazyTensor":
        """Returns what `change` makes of the value, which has `shape`."""
        return LazyTensor(shape, lambda: change(self.read()))


Tensors = dict[str, LazyTensor]


def is_weight_file(path: str) -> bool:
    """Returns whether a path names such a file, by its suffix."""
    return _suffix(path) in (*_OPENERS, *_PICKLED)


def is_keras_file(path: str) -> bool:
    """Returns whether its tensors are named by Keras' layers."""
    return _OPENERS.get(_suffix(path)) in (_open_hdf5, _open_keras)


def open_tensors(path: str) -> Tensors:
    """Returns the tensors of a file by name; its suffix says the format.

    Those of Keras are named `<layer>/<number>`, in the order of the layer's
    own weights.

    Args:
        path: ends in .safetensors, .npz, .h5, .hdf5 or .keras.

    Raises:
        CheckpointError: there is no such file, it is damaged or not to be
            trusted, or it is pickled, which is said with the way out.
    """
    suffix = _suffix(path)
    if suffix in _PICKLED:
        raise errors.CheckpointError(_pickled(path))
    if not os.path.isfile(path):
        raise errors.CheckpointError(f"{path}: no such file")
    try:
        return _OPENERS[suffix](path)
    except _READ_ERRORS as error:
        raise errors.CheckpointError(
            f"{path}: cannot be read as a {suffix} file, it is damaged or of "
            f"another kind ({_first_line(error)}); use another file"
        ) from error


def _open_safetensors(path: str) -> Tensors:
    file = safetensors.safe_open(path, "numpy")
    return {
        name: _tensor(
            path,
            name,
            tuple(file.get_slice(name).get_shape()),
            lambda name=name: file.get_tensor(name),
        )
        for name in file.keys()
    }


def _open_npz(path: str) -> Tensors:
    archive = np.load(path, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it holds one array, not an archive of several")
    tensors = {}
    for member in archive.zip.namelist():
        with archive.zip.open(member) as file:
            version = np.lib.format.read_magic(file)
            read_header = np.lib.format.read_array_header_2_0
            if version == (1, 0):
                read_header = np.lib.format.read_array_header_1_0
            shape, _, dtype = read_header(file)
        name = member.removesuffix(".npy")
        if dtype.hasobject:
            raise ValueError(f"{name!r} holds Python objects")
        tensors[name] = _tensor(
            path, name, shape, lambda name=name: archive[name]
        )
    return tensors


def _open_hdf5(path: str) -> Tensors:
    return _hdf5_tensors(path, h5py.File(path, "r"))


def _open_keras(path: str) -> Tensors:
    """Opens the weights in an archive; its description of layers is left."""
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(_KERAS_MEMBER).file_size
        if size > _MAX_MEMBER_BYTES:
            raise ValueError(f"{_KERAS_MEMBER} has {size} bytes")
        content = archive.read(_KERAS_MEMBER)
    return _hdf5_tensors(path, h5py.File(io.BytesIO(content), "r"))


def _hdf5_tensors(path: str, file: h5py.File) -> Tensors:
    """Returns `<layer>/<number>` -> tensor, for both ways of saving.

    Keras 3 saves the weights of a layer as `.../vars/<number>` and its name
    beside them; before, layers and weights were listed by name.
    """
    root = file.get("model_weights", file)
    # Links into other files are not followed by a visit.
    found: dict[str, h5py.Dataset | h5py.Group] = {}
    root.visititems(found.__setitem__)
    weights_of_layer = (
        _listed_weights(root, found)
        if "layer_names" in root.attrs
        else _numbered_weights(found)
    )
    tensors = {}
    for layer, datasets in weights_of_layer.items():
        for number, dataset in enumerate(datasets):
            if dataset.is_virtual or dataset.external:
                raise ValueError(f"{dataset.name} lies in another file")
            name = f"{layer}/{number}"
            tensors[name] = _tensor(
                path, name, dataset.shape, lambda dataset=dataset: dataset[()]
            )
    if not tensors:
        raise ValueError("it holds no weights of Keras layers")
    return tensors


def _listed_weights(
    root: h5py.Group, found: Mapping[str, Any]
) -> dict[str, list[h5py.Dataset]]:
    return {
        layer: [
            found[f"{layer}/{_text(weight)}"]
            for weight in found[layer].attrs["weight_names"]
        ]
        for layer in map(_text, root.attrs["layer_names"])
    }


def _numbered_weights(
    found: Mapping[str, Any],
) -> dict[str, list[h5py.Dataset]]:
    weights = {}
    for group_path, group in found.items():
        if os.path.basename(group_path) != "vars":
            continue
        children = [found[f"{group_path}/{n}"] for n in sorted(group, key=int)]
        if not children:
            continue
        if "name" not in group.attrs:
            raise ValueError(
                "it does not name its layers, as files of an older Keras 3; "
                "load it there and save the model as .h5"
            )
        layer = _text(group.attrs["name"])
        if layer in weights:
            raise ValueError(f"two layers are called {layer!r}")
        weights[layer] = children
    return weights


def _tensor(
    path: str,
    name: str,
    shape: tuple[int, ...],
    read: Callable[[], np.ndarray],
) -> LazyTensor:
    """Makes a tensor whose failures are one line, and floats float32."""

    def checked() -> np.ndarray:
        try:
            value = np.asarray(read())
        except _READ_ERRORS as error:
            raise errors.CheckpointError(
                f"{path}: tensor {name!r} is damaged ({_first_line(error)}); "
                "use another file"
            ) from error
        if value.dtype.kind != "f" and value.dtype.name != "bfloat16":
            raise errors.CheckpointError(
                f"{path}: tensor {name!r} holds {value.dtype.name}, expected "
                "floating-point numbers; save it as float32"
            )
        return value.astype("float32", copy=False)

    return LazyTensor(tuple(shape), checked)


_OPENERS = {
    ".safetensors": _open_safetensors,
    ".npz": _open_npz,
    ".h5": _open_hdf5,
    ".hdf5": _open_hdf5,
    ".keras": _open_keras,
}


def _suffix(path: str) -> str:
    return os.path.splitext(os.fspath(path))[1].lower()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pickled(path: str) -> str:
    stem = os.path.splitext(path)[0]
    return (
        f"{path}: a pickled file is not read, because that can run any code; "
        "where PyTorch is installed, convert its state dict once: "
        "import torch, safetensors.torch; "
        f"state = torch.load({path!r}, map_location='cpu', "
        "weights_only=True); safetensors.torch.save_file({k: v.contiguous() "
        f"for k, v in state.items()}}, {stem + '.safetensors'!r})"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().split("\n")
    return lines[0] or type(error).__name__
