"""Reading and writing TensorFlow's name-based checkpoints.

A checkpoint `model.ckpt-<step>` is a pair of files, `.index` and
`.data-00000-of-00001`, that maps names to tensors (TF1's format V2). The
older single-file format V1 can be read too. Nothing is pickled, and reading
executes nothing.

A checkpoint appears under its name only when it is complete on the disk, and
is loaded only when every tensor that is asked for was read, with a right
checksum and a right shape.
"""

import glob
import os
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.core import errors, naming, quantization

GLOBAL_STEP = naming.GLOBAL_STEP
MOVING_AVERAGE_SUFFIX = "/ExponentialMovingAverage"
PREFIX = "model.ckpt"
STATE_FILE = "checkpoint"

_TEMPORARY = ".tmp-"
_INDEX = ".index"
_DATA = ".data-00000-of-00001"

# TensorFlow's reader turns its status codes into these, code by code.
_READ_ERRORS = (
    tf.errors.OpError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    OSError,
)


class Restorable(Protocol):
    """A model whose variables can be named."""

    def checkpoint_variables(self) -> Mapping[str, keras.Variable]:
        """Returns the variables by checkpoint name."""


class Reader:
    """The tensors of one checkpoint file, by name.

    Args:
        path: `.../model.ckpt-123`, a V1 file, or a directory, which means its
            latest checkpoint.

    Raises:
        CheckpointError: there is no readable checkpoint.
    """

    def __init__(self, path: str) -> None:
        self.path = resolve(path)
        try:
            self._reader = tf.train.load_checkpoint(self.path)
            self.shapes = {
                name: tuple(shape)
                for name, shape in (
                    self._reader.get_variable_to_shape_map().items()
                )
            }
        except _READ_ERRORS as error:
            raise errors.CheckpointError(
                f"{self.path}: cannot be read as a checkpoint, the file is "
                f"damaged or of another kind ({_first_line(error)}); use "
                "another checkpoint"
            ) from error

    def read(self, name: str) -> np.ndarray:
        """Returns one tensor, whose checksum was compared.

        Raises:
            CheckpointError: there is no such tensor, or it is damaged.
        """
        if name not in self.shapes:
            raise errors.CheckpointError(
                f"{self.path}: holds no tensor {name!r}"
            )
        try:
            return self._reader.get_tensor(name)
        except _READ_ERRORS as error:
            raise errors.CheckpointError(
                f"{self.path}: tensor {name!r} is damaged "
                f"({_first_line(error)}); use another checkpoint"
            ) from error


def restore(
    model: Restorable, path: str, *, use_moving_averages: bool = False
) -> int:
    """Loads every variable of a model from a checkpoint, or none.

    Args:
        model: has `checkpoint_variables()`.
        path: a checkpoint, or a directory with checkpoints.
        use_moving_averages: whether to take the running means of the weights
            where the checkpoint has them; without it, only of what the
            checkpoint does not hold itself.

    Returns:
        The checkpoint's global_step, 0 when it has none.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another
            model. The model keeps its weights then.
    """
    reader = Reader(path)
    if use_moving_averages and not any(
        name.endswith(MOVING_AVERAGE_SUFFIX) for name in reader.shapes
    ):
        raise errors.CheckpointError(
            f"{reader.path}: holds no moving averages, which "
            "eval_config.use_moving_averages asks for; it was trained or "
            "exported without them: set that to false"
        )
    variables, averages_alone = {}, []
    for name, variable in model.checkpoint_variables().items():
        average = name + MOVING_AVERAGE_SUFFIX
        is_alone = average in reader.shapes and name not in reader.shapes
        if is_alone and not use_moving_averages:
            averages_alone.append(name)
        use_average = use_moving_averages and average in reader.shapes
        variables[average if use_average or is_alone else name] = variable
    if averages_alone:
        logging.warning(
            "%s: holds the moving average alone of %s (%d such variables), so "
            "that is used",
            reader.path,
            averages_alone[0],
            len(averages_alone),
        )
    missing = load(variables, reader, optional=[GLOBAL_STEP])
    if missing:
        logging.warning(
            "%s: has no %s (%d such variables), which quantization needs; "
            "activations of unknown range are not rounded, and a step is 0",
            reader.path,
            missing[0],
            len(missing),
        )
    return global_step(reader)


def load(
    variables: Mapping[str, keras.Variable],
    reader: Reader,
    optional: Container[str] = (),
) -> list[str]:
    """Assigns each named variable, after all have been read and compared.

    Args:
        variables: by checkpoint name.
        reader: of the checkpoint.
        optional: names that may be missing, and those of quantization ranges
            may be, too.

    Returns:
        Names of what is missing. The ranges among them are unknown now, a
        step is 0, and the other variables are as they were.

    Raises:
        CheckpointError: a tensor is missing, damaged or of another shape; no
            variable was changed.
    """
    missing = [name for name in variables if name not in reader.shapes]
    needed = [
        name
        for name in missing
        if name not in optional and not quantization.is_range_name(name)
    ]
    if needed:
        raise errors.CheckpointError(
            f"{reader.path}: {len(needed)} of {len(variables)} tensors are "
            f"not in it, the first is {needed[0]!r}; it belongs to another "
            "model"
        )
    found = {n: v for n, v in variables.items() if n in reader.shapes}
    for name, variable in found.items():
        if reader.shapes[name] != tuple(variable.shape):
            raise errors.CheckpointError(
                f"{reader.path}: tensor {name!r} has shape "
                f"{list(reader.shapes[name])} in the file and "
                f"{list(variable.shape)} in the model; it belongs to another "
                "model"
            )
    values = {name: reader.read(name) for name in found}
    for name, variable in found.items():
        variable.assign(values[name])
    for name in missing:
        if quantization.is_range_name(name) or name == GLOBAL_STEP:
            variables[name].assign(0)
    return missing


def global_step(reader: Reader) -> int:
    """Returns the step that a checkpoint was saved at, 0 if it has none."""
    if GLOBAL_STEP not in reader.shapes:
        return 0
    return int(reader.read(GLOBAL_STEP))


def save(prefix: str, variables: Mapping[str, Any]) -> None:
    """Writes a checkpoint that appears complete or not at all.

    Args:
        prefix: path without suffix, `.../model.ckpt-123`.
        variables: Keras variables, tensors or arrays by checkpoint name.

    Raises:
        OSError or tf.errors.OpError: the disk is full, read-only or gone;
            what was there before is still there.
    """
    names = sorted(variables)
    tensors = [
        tf.convert_to_tensor(getattr(variables[name], "value", variables[name]))
        for name in names
    ]
    directory, base = os.path.split(prefix)
    temporary = os.path.join(directory, f"{_TEMPORARY}{os.getpid()}-{base}")
    try:
        with tf.device("/cpu:0"):
            tf.raw_ops.SaveV2(
                prefix=temporary,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=tensors,
            )
        # The index comes last: a checkpoint exists when its index does.
        for suffix in (_DATA, _INDEX):
            _flush_to_disk(temporary + suffix)
            os.replace(temporary + suffix, prefix + suffix)
        _flush_to_disk(directory or ".")
    finally:
        for leftover in glob.glob(glob.escape(temporary) + "*"):
            os.remove(leftover)


def delete(prefix: str) -> None:
    """Removes a checkpoint, the index first, so that no half is left."""
    for suffix in (_INDEX, _DATA):
        if os.path.exists(prefix + suffix):
            os.remove(prefix + suffix)


def write_text(path: str, text: str) -> None:
    """Writes a small file that appears complete or not at all."""
    directory, base = os.path.split(path)
    temporary = os.path.join(directory, f"{_TEMPORARY}{os.getpid()}-{base}")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _flush_to_disk(directory or ".")


def sweep(model_dir: str) -> list[str]:
    """Removes what a writer that was killed has left; returns the paths.

    Only the process that holds the directory's lock may call it.
    """
    leftovers = glob.glob(
        os.path.join(glob.escape(model_dir), _TEMPORARY + "*")
    )
    for data in glob.glob(
        os.path.join(glob.escape(model_dir), f"{PREFIX}-*{_DATA}")
    ):
        if not os.path.exists(data.removesuffix(_DATA) + _INDEX):
            leftovers.append(data)
    for path in leftovers:
        os.remove(path)
    return leftovers


def resolve(path: str) -> str:
    """Returns the prefix of the checkpoint that a path means.

    Args:
        path: a prefix, one of the pair's files, a V1 file, or a directory.

    Raises:
        CheckpointError: there is none.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        latest = latest_checkpoint(path)
        if latest is None:
            raise errors.CheckpointError(
                f"{path}: holds no checkpoint ({PREFIX}-<step>{_INDEX})"
            )
        return latest
    prefix = re.sub(r"(\.index|\.data-\d{5}-of-\d{5})$", "", path)
    if exists(prefix):
        return prefix
    raise errors.CheckpointError(
        f"{path}: no such checkpoint (neither {os.path.basename(prefix)}"
        f"{_INDEX} nor a single file of that name); found in the directory: "
        f"{_describe_directory(os.path.dirname(prefix) or '.')}"
    )


def exists(prefix: str) -> bool:
    """Returns whether a complete pair of files, or a V1 file, is there."""
    return os.path.exists(prefix + _INDEX) or os.path.isfile(prefix)


def latest_checkpoint(directory: str) -> str | None:
    """Returns the newest complete checkpoint of a directory, or None.

    That is the one which the `checkpoint` file names, and without such a file
    the one with the highest step, or one without a step as exports have it.
    """
    # The state file is read as text here because TensorFlow's own reader
    # answers None alike for no file and for one that cannot be parsed.
    state = read_state(directory)
    if state is not None and exists(state.model_checkpoint_path):
        return state.model_checkpoint_path
    found = checkpoints_in(directory)
    if found:
        return found[-1]
    exported = os.path.join(directory, PREFIX)
    return exported if exists(exported) else None


def read_state(directory: str) -> Any | None:
    """Returns the parsed `checkpoint` file with absolute paths, or None."""
    try:
        return tf.train.get_checkpoint_state(directory)
    except (ValueError, UnicodeDecodeError):
        return None


def checkpoints_in(directory: str) -> list[str]:
    """Returns the complete checkpoints in a directory by rising step."""
    prefixes = [
        path.removesuffix(_INDEX)
        for path in glob.glob(
            os.path.join(glob.escape(directory), f"{PREFIX}-*{_INDEX}")
        )
    ]
    return sorted((p for p in prefixes if step_of(p) is not None), key=step_of)


def step_of(prefix: str) -> int | None:
    """Returns the step in a checkpoint's file name, or None."""
    match = re.search(r"-(\d+)$", prefix)
    return int(match.group(1)) if match else None


def state_text(
    latest: str, kept: Sequence[str], timestamps: Sequence[float]
) -> str:
    """Returns the content of a `checkpoint` file, oldest checkpoint first."""
    lines = [f'model_checkpoint_path: "{os.path.basename(latest)}"']
    lines += [
        f'all_model_checkpoint_paths: "{os.path.basename(prefix)}"'
        for prefix in kept
    ]
    lines += [
        f"all_model_checkpoint_timestamps: {seconds!r}"
        for seconds in timestamps
    ]
    return "\n".join(lines) + "\n"


def _flush_to_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _describe_directory(directory: str) -> str:
    if not os.path.isdir(directory):
        return f"{directory} is no directory"
    found = [os.path.basename(prefix) for prefix in checkpoints_in(directory)]
    return ", ".join(found) if found else "no checkpoint"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
