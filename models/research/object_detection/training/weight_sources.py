"""Where first weights come from: checkpoints, and files of other frameworks.

All of them offer tensors by the names that TF1-slim gives them.
"""

import functools
import os

import numpy as np

from object_detection.core import errors
from object_detection.training import (
    checkpoints,
    keras_names,
    slim_names,
    torch_names,
    weight_files,
)


class WeightSource:
    """Tensors by name.

    Attributes:
        path: of the file or the checkpoint.
        shapes: name -> shape.
        notes: what a user should know of them, a line each.
    """

    def __init__(
        self,
        path: str,
        tensors: weight_files.Tensors,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self._tensors = slim_names.with_dilated_vgg(tensors)
        self.shapes = {n: t.shape for n, t in self._tensors.items()}
        self.notes = notes

    def read(self, name: str) -> np.ndarray:
        """Returns a tensor.

        Raises:
            CheckpointError: it is damaged.
        """
        return self._tensors[name].read()


def open_source(path: str, takes_bgr: bool = False) -> WeightSource:
    """Opens what a path means.

    Args:
        path: a TensorFlow checkpoint as `checkpoints.Reader` takes it, or a
            weight file as `weight_files.open_tensors` does.
        takes_bgr: whether the network is given blue, green and red. The
            weights of other frameworks are turned to that; a checkpoint's
            are taken as they are.

    Raises:
        CheckpointError: it is missing, damaged or of a kind that is refused.
    """
    is_checkpoint = os.path.isdir(path) or os.path.exists(f"{path}.index")
    if is_checkpoint or not weight_files.is_weight_file(path):
        reader = checkpoints.Reader(path)
        return WeightSource(
            reader.path,
            {
                name: weight_files.LazyTensor(
                    shape, functools.partial(reader.read, name)
                )
                for name, shape in reader.shapes.items()
            },
        )
    rename = torch_names.to_slim
    if weight_files.is_keras_file(path):
        rename = keras_names.to_slim
    opened = weight_files.open_tensors(path)
    try:
        found = rename(opened, path)
    except (IndexError, ValueError) as error:
        raise errors.CheckpointError(
            f"{path}: has the names of a known network, but tensors of other "
            f"shapes ({error}); use another file"
        ) from error
    tensors = found.tensors
    if takes_bgr and found.first_kernel is not None:
        tensors = slim_names.reverse_colours(tensors, found.first_kernel)
    return WeightSource(path, tensors, found.notes)
