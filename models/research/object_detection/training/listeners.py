"""What looks on while a model trains, and may write of it."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields
from object_detection.training import (
    backward,
    distributed,
    step_in_flight,
    trainer,
)

Tensor = Any


class TrainingListener:
    """Is told of each step in every process; does nothing itself."""

    def begin(self, state: trainer.TrainState) -> None:
        """Called once, with what will be trained, restored if it was."""

    def before_step(
        self, step: int, features: Mapping[str, Tensor], groundtruth: Any
    ) -> None:
        """Called before a step begins, with this process's batch.

        Args:
            step: number of the step, from 1.
            features: of the batch.
            groundtruth: of the batch, as the detector's loss takes it.
        """

    def after_step(self, current: step_in_flight.StepInFlight) -> None:
        """Called when a step was launched; reading its result waits for it."""

    def after_save(self, step: int, path: str) -> None:
        """Called in the main process when a checkpoint was written."""

    def end(self) -> None:
        """Called when the training pauses or stops, for whatever reason."""


class Profiler(TrainingListener):
    """Writes a trace of some steps for TensorBoard's profiler.

    Args:
        log_dir: of TensorBoard; the trace goes to `plugins/profile` in it.
        first_step: the first step that is traced, from 1.
        last_step: the last one.
    """

    def __init__(self, log_dir: str, first_step: int, last_step: int) -> None:
        if not 1 <= first_step <= last_step:
            raise errors.ConfigError(
                "--profile_steps: expected FIRST,LAST with 1 <= FIRST <= LAST, "
                f"got {first_step},{last_step}"
            )
        self._log_dir = log_dir
        self._first_step = first_step
        self._last_step = last_step
        self._is_running = False

    def before_step(
        self, step: int, features: Mapping[str, Tensor], groundtruth: Any
    ) -> None:
        """Starts the trace; see `TrainingListener`."""
        is_due = self._first_step <= step <= self._last_step
        if is_due and not self._is_running and distributed.is_main_process():
            tf.profiler.experimental.start(self._log_dir)
            self._is_running = True

    def after_step(self, current: step_in_flight.StepInFlight) -> None:
        """Ends the trace; see `TrainingListener`."""
        if self._is_running and current.step >= self._last_step:
            current.read()
            self.end()

    def end(self) -> None:
        """Writes what was traced, if a trace is on."""
        if self._is_running:
            self._is_running = False
            tf.profiler.experimental.stop()
            logging.info("Wrote a profile to %s", self._log_dir)


class TensorDump(TrainingListener):
    """Writes the tensors of a step to a file, to see where numbers go wrong.

    The file `step-<step>-rank-<rank>.npz` holds the batch, the predictions,
    the losses, the gradients and the weights that they were computed with.

    Args:
        directory: made when it is needed.
        at_step: the step to dump, from 1; None for none.
        at_overflow: whether to dump the first step whose loss or gradient is
            NaN or infinite. Every step is waited for then.
    """

    def __init__(
        self,
        directory: str,
        *,
        at_step: int | None = None,
        at_overflow: bool = False,
    ) -> None:
        self._directory = directory
        self._at_step = at_step
        self._at_overflow = at_overflow
        self._batch: tuple[Mapping[str, Tensor], Any] | None = None

    def begin(self, state: trainer.TrainState) -> None:
        """Keeps what is trained; see `TrainingListener`."""
        self._state = state
        self._backward = tf.function(
            backward.make_backward(
                state.model,
                state.trained_variables,
                state.options,
                state.loss_scale,
            ),
            autograph=False,
        )

    def before_step(
        self, step: int, features: Mapping[str, Tensor], groundtruth: Any
    ) -> None:
        """Writes the step that was chosen; see `TrainingListener`."""
        self._batch = features, groundtruth
        if step == self._at_step:
            self._write(step)

    def after_step(self, current: step_in_flight.StepInFlight) -> None:
        """Writes the first overflow; see `TrainingListener`."""
        if self._at_overflow and not bool(current.result.is_applied):
            # The weights are those that the step used: it did not move them.
            self._at_overflow = False
            self._write(current.step)

    def _write(self, step: int) -> None:
        arrays = {n: _array(t) for n, t in self._tensors().items()}
        path = os.path.join(
            self._directory, f"step-{step}-rank-{distributed.rank()}.npz"
        )
        try:
            os.makedirs(self._directory, exist_ok=True)
            np.savez(path, **arrays)
        except OSError as error:
            raise errors.ResourceError(
                f"{path}: cannot be written ({error.strerror})"
            ) from error
        logging.info(
            "Dumped %d tensors of step %d to %s; %s",
            len(arrays),
            step,
            path,
            describe_first_not_finite(arrays),
        )

    def _tensors(self) -> dict[str, Tensor]:
        """Returns tensors by name, in the order in which they are computed."""
        model = self._state.model
        features, groundtruth = self._batch
        images = features[InputDataFields.image]
        shapes = features[InputDataFields.true_image_shape]
        weights = {
            name: tf.identity(variable.value)
            for name, variable in self._state.checkpoint_variables().items()
        }
        statistics = backward.running_statistics(model)
        predictions = model.predict(
            model.normalize(tf.cast(images, tf.float32)), shapes, training=True
        )
        found = self._backward(images, shapes, groundtruth)
        for name, variable in statistics.items():
            variable.assign(weights[name])
        return {
            **{f"inputs/{name}": value for name, value in features.items()},
            **{
                f"groundtruth/{name}": value
                for name, value in groundtruth._asdict().items()
                if value is not None
            },
            **{f"weights/{name}": value for name, value in weights.items()},
            **{f"predictions/{n}": value for n, value in predictions.items()},
            **{f"losses/{name}": value for name, value in found.losses.items()},
            **{f"gradients/{n}": value for n, value in found.gradients.items()},
        }


def _array(tensor: Tensor) -> np.ndarray:
    """Returns an array that a file can hold without pickle."""
    array = np.asarray(tensor)
    return array.astype(bytes) if array.dtype == object else array


def describe_first_not_finite(arrays: Mapping[str, np.ndarray]) -> str:
    """Says which tensor is the first with a NaN or an infinity.

    Args:
        arrays: by name, in the order in which they were computed.
    """
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating):
            continue
        num_bad = int(np.sum(~np.isfinite(array)))
        if num_bad:
            return (
                f"the first that is not finite is {name}, {num_bad} of its "
                f"{array.size} values"
            )
    return "all are finite"
