"""The loop around the training step: batches in, checkpoints and news out."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.core.containers import Groundtruth
from object_detection.core.standard_fields import InputDataFields
from object_detection.training import (
    checkpoint_manager,
    checkpoints,
    distributed,
    initial_state,
    progress,
    signals,
    step_in_flight,
    summaries,
    trainer,
)
from object_detection.training.listeners import TrainingListener
from object_detection.training.options import TrainOptions
from object_detection.utils import exp_utils

Tensor = Any
Batch = step_in_flight.Batch

# Gives the dataset of (features, labels) that begins at the batch of a step.
TrainInputFn = Callable[[int], tf.data.Dataset]


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Where a run writes, how often and how much.

    Attributes:
        model_dir: made when it does not exist.
        save_checkpoints_secs: seconds between two checkpoints, or None.
        save_checkpoints_steps: steps between two checkpoints, or None.
        keep_checkpoint_max: how many checkpoints stay.
        keep_checkpoint_every_n_hours: of the others one stays this often.
        log_steps: steps between two lines of progress.
        save_summary_steps: steps between two points in TensorBoard.
        listeners: are told of every step and checkpoint.
        summary_dir: TensorBoard's events go to `train` and to the sets
            measured in it; None for model_dir.
        progress_label: from a step to what stands before the progress.
    """

    model_dir: str
    save_checkpoints_secs: float | None = 600.0
    save_checkpoints_steps: int | None = None
    keep_checkpoint_max: int = 5
    keep_checkpoint_every_n_hours: float = 10_000.0
    log_steps: int = 100
    save_summary_steps: int = 100
    listeners: tuple[TrainingListener, ...] = ()
    summary_dir: str | None = None
    progress_label: Callable[[int], str] | None = None


class TrainingLoop:
    """A model in training, from the newest checkpoint of a directory on.

    Args:
        model: a detector.
        options: how to train it.
        config: where and how often to write.
        groundtruth_from_labels: turns the labels of a batch into the
            detector's Groundtruth.

    Raises:
        CheckpointError: the run cannot be continued, or not be started from
            `options.fine_tune`.
        ConfigError: no variable is left to train, or `options.fine_tune` lies
            in model_dir.
    """

    def __init__(
        self,
        model: Any,
        options: TrainOptions,
        config: RunConfig,
        groundtruth_from_labels: Callable[[Mapping[str, Tensor]], Groundtruth],
    ) -> None:
        self._config = config
        self._groundtruth_from_labels = groundtruth_from_labels
        # Files are the main process's.
        self._manager = None
        self._writer = None
        if distributed.is_main_process():
            self._manager = checkpoint_manager.CheckpointManager(
                config.model_dir,
                max_to_keep=config.keep_checkpoint_max,
                keep_every_n_hours=config.keep_checkpoint_every_n_hours,
            )
            self._writer = summaries.SummaryWriter(
                os.path.join(config.summary_dir or config.model_dir, "train")
            )
        self.state = initial_state.restored_or_new_state(
            model, options, config.model_dir, self._manager
        )
        self._step_fn = trainer.make_train_step(self.state)
        for listener in config.listeners:
            listener.begin(self.state)
        self.throughput = exp_utils.ThroughputMeter()
        self._last_save_seconds = time.monotonic()
        self._num_truncated_boxes = 0
        # A stream that stands at the right batch is used again; a new one
        # would begin with the same batch, only later.
        self._stream: tuple[TrainInputFn, int, Iterator[Batch]] | None = None

    @property
    def step(self) -> int:
        """Number of steps made so far."""
        return int(self.state.global_step.value)

    def run(
        self,
        input_fn: TrainInputFn,
        max_steps: int,
        stop: signals.StopRequest,
        total_steps: int | None = None,
    ) -> int:
        """Trains until `max_steps` steps were made; see `Estimator.train`."""
        total_steps = total_steps or max_steps
        step = self.step
        if step >= max_steps:
            logging.info("Step %d of %d is already reached", step, total_steps)
            return step
        if step == 0:
            self.save()
        if step > 0 and self._stream is None:
            logging.info("Resuming from step %d of %d", step, total_steps)
        batches = self._batches_from(step, input_fn)
        self.throughput.start_step()
        rate = progress.StepRate(step)
        with (
            self._listeners_told_of_end(),
            progress.Progress(
                step,
                max_steps,
                total_steps,
                self._config.log_steps,
                is_shown=distributed.is_main_process(),
                label=self._config.progress_label,
            ) as bar,
        ):
            for current in self._launched_steps(batches, step, max_steps, stop):
                step = current.step
                for listener in self._config.listeners:
                    listener.after_step(current)
                self.throughput.end_step(current.num_images)
                if bar.is_due(step):
                    bar.show(step, current.num_images, *current.read())
                if (
                    step % self._config.save_summary_steps == 0
                    or step == max_steps
                ):
                    self._write_summaries(current, rate.restart(step))
                if self._is_save_due(step):
                    current.wants_stop()
                    self.save()
                    self.throughput.start_step()
        self._stream = (input_fn, step, batches)
        if step < max_steps and stop.agreed_signum() is None:
            logging.warning(
                "The training input ends at step %d of %d: its num_epochs are "
                "over; raise train_input_reader.num_epochs or set it to 0 to "
                "train on",
                step,
                max_steps,
            )
        self.save()
        if self._writer is not None:
            self._writer.flush()
        return step

    def save(self) -> None:
        """Writes a checkpoint of the present step unless it is there."""
        self._last_save_seconds = time.monotonic()
        if self._manager is None:
            return
        step = self.step
        latest = self._manager.latest
        if latest is not None and checkpoints.step_of(latest) == step:
            return
        path = self._manager.save(step, self.state.checkpoint_variables())
        logging.info("Saved checkpoint for step %d: %s", step, path)
        for listener in self._config.listeners:
            listener.after_save(step, path)

    @contextlib.contextmanager
    def _listeners_told_of_end(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for listener in self._config.listeners:
                stack.callback(listener.end)
            yield

    def _launched_steps(
        self,
        batches: Iterator[Batch],
        step: int,
        max_steps: int,
        stop: signals.StopRequest,
    ) -> Iterator[step_in_flight.StepInFlight]:
        """Launches steps one by one until the end or a stop.

        A step tells all processes what one of them wants, so they stop after
        the same step; a process that is alone stops at once.
        """
        previous = None
        upcoming = step_in_flight.upcoming(batches, max_steps - step)
        while stop.signum is None or distributed.size() > 1:
            try:
                batch, is_end = next(upcoming, (None, True))
            except (tf.errors.OpError, UnicodeDecodeError):
                # What bad input stops goes on from here once it is mended.
                if previous is not None:
                    previous.wants_stop()
                self.save()
                raise
            if batch is None:
                break
            step += 1
            self._count_truncated_boxes(step, batch[1])
            wants_stop = is_end or stop.signum is not None
            current = self._launch(step, *batch, wants_stop)
            # Looking at the step before keeps the device busy with this one.
            is_last = previous is not None and previous.finish()
            yield current
            previous = current
            if is_last:
                break
        if previous is not None:
            previous.finish()

    def _launch(
        self,
        step: int,
        features: dict[str, Tensor],
        labels: dict[str, Tensor],
        wants_stop: bool,
    ) -> step_in_flight.StepInFlight:
        groundtruth = self._groundtruth_from_labels(labels)
        for listener in self._config.listeners:
            listener.before_step(step, features, groundtruth)
        # On CPUs the step is made here, with what it takes from the others.
        with distributed.waiting():
            result = self._step_fn(
                features[InputDataFields.image],
                features[InputDataFields.true_image_shape],
                groundtruth,
                tf.constant(wants_stop),
            )
        return step_in_flight.StepInFlight(step, features, labels, result)

    def _count_truncated_boxes(
        self, step: int, labels: Mapping[str, Tensor]
    ) -> None:
        """Warns of boxes beyond the reader's limit, at every power of two."""
        num_new = int(
            np.sum(labels.get(InputDataFields.num_truncated_boxes, 0))
        )
        before = self._num_truncated_boxes
        self._num_truncated_boxes += num_new
        if self._num_truncated_boxes.bit_length() > before.bit_length():
            logging.warning(
                "%d groundtruth boxes left out up to step %d of this run, "
                "beyond the training reader's max_number_of_boxes: raise it to "
                "train on all",
                self._num_truncated_boxes,
                step,
            )

    def _batches_from(
        self, step: int, input_fn: TrainInputFn
    ) -> Iterator[Batch]:
        if self._stream is not None:
            stream_input_fn, stream_step, batches = self._stream
            if stream_input_fn is input_fn and stream_step == step:
                return batches
        return iter(input_fn(step))

    def _is_save_due(self, step: int) -> bool:
        every_steps = self._config.save_checkpoints_steps
        every_seconds = self._config.save_checkpoints_secs
        if every_steps and step % every_steps == 0:
            return True
        elapsed_seconds = time.monotonic() - self._last_save_seconds
        return bool(every_seconds) and elapsed_seconds >= every_seconds

    def _write_summaries(
        self, current: step_in_flight.StepInFlight, steps_per_second: float
    ) -> None:
        if self._writer is None:
            return
        result = current.result
        assignment = self.state.model.assignment_summaries(
            self._groundtruth_from_labels(current.labels)
        )
        scalars = {
            **result.losses,
            "learning_rate": result.learning_rate,
            "global_norm/gradient_norm": result.gradient_norm,
            "global_step/sec": steps_per_second,
            "images/s": steps_per_second * current.num_images,
            **{f"TargetAssignment/{n}": v for n, v in assignment.items()},
            **{f"Loss/{n}": v for n, v in result.summaries.items()},
            **{f"gradients/{n}": v for n, v in result.gradient_norms.items()},
        }
        if self.state.loss_scale is not None:
            scalars["loss_scale"] = self.state.loss_scale.scale.value
        self._writer.scalars(current.step, scalars)
