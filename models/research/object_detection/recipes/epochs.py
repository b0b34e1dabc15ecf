"""What the recipes do at each epoch: lines of a log, names of checkpoints."""

import glob
import os
import shutil
import time
from collections.abc import Container, Mapping
from typing import Any

from absl import logging

from object_detection.core import errors
from object_detection.training import listeners, step_in_flight, trainer


class EpochLog(listeners.TrainingListener):
    """Tells of steps and epochs; how it is written is a subclass's matter.

    Seconds are those of training: evaluations in between are not counted. An
    epoch that was resumed counts from there.

    Args:
        steps_per_epoch: 1 or more.
        log_steps: steps between two calls of `show_step`, within an epoch.
    """

    def __init__(self, steps_per_epoch: int, log_steps: int) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._log_steps = log_steps
        self._start_seconds: float | None = None
        self._seconds = 0.0
        self._num_steps = 0

    def show_step(
        self, epoch: int, step: int, losses: Mapping[str, float]
    ) -> None:
        """Called after every `log_steps` steps of an epoch.

        Args:
            epoch: counted from 0.
            step: of the epoch, counted from 0.
            losses: of that step, by the keys of `LossFields`.
        """

    def show_epoch(
        self,
        epoch: int,
        losses: Mapping[str, float],
        seconds: float,
        num_steps: int,
        images_per_step: int,
    ) -> None:
        """Called after the last step of an epoch.

        Args:
            epoch: counted from 0.
            losses: of its last step, by the keys of `LossFields`.
            seconds: of its training.
            num_steps: made in these seconds.
            images_per_step: over all processes.
        """

    def before_step(
        self, step: int, features: Mapping[str, Any], groundtruth: Any
    ) -> None:
        """Starts the clock; see `TrainingListener`."""
        if self._start_seconds is None:
            self._start_seconds = time.perf_counter()

    def after_step(self, current: step_in_flight.StepInFlight) -> None:
        """Calls what is due; see `TrainingListener`."""
        self._num_steps += 1
        epoch, step = divmod(current.step - 1, self._steps_per_epoch)
        if step % self._log_steps == 0:
            self.show_step(epoch, step, current.read()[0])
        if step == self._steps_per_epoch - 1:
            losses, _ = current.read()
            self._stop_clock()
            self.show_epoch(
                epoch,
                losses,
                self._seconds,
                self._num_steps,
                current.num_images,
            )
            self._seconds, self._num_steps = 0.0, 0

    def end(self) -> None:
        """Stops the clock; see `TrainingListener`."""
        self._stop_clock()

    def _stop_clock(self) -> None:
        if self._start_seconds is not None:
            self._seconds += time.perf_counter() - self._start_seconds
            self._start_seconds = None


class EpochCheckpoints(listeners.TrainingListener):
    """Gives the checkpoints of whole epochs names of their own.

    They are second names of the files of `model.ckpt-<step>`, which stay when
    those are removed as too many.

    Args:
        steps_per_epoch: 1 or more.
        pattern: their path, with `{epoch}` (epochs made) or `{last_epoch}`
            (the number of the last one, from 0) and perhaps
            `{steps_per_epoch}` in it.
        every_epochs: only every so many epochs have one.
        also_epochs: epochs that have one as well.
        max_to_keep: the oldest are removed beyond it; None keeps all.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        pattern: str,
        *,
        every_epochs: int = 1,
        also_epochs: Container[int] = (),
        max_to_keep: int | None = None,
    ) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._pattern = pattern
        self._every_epochs = every_epochs
        self._also_epochs = also_epochs
        self._max_to_keep = max_to_keep

    def show_checkpoint(self, epoch: int, name: str) -> None:
        """Called when a checkpoint has its name.

        Args:
            epoch: epochs made.
            name: its path.
        """
        logging.info("Checkpoint of epoch %d: %s", epoch, name)

    def after_save(self, step: int, path: str) -> None:
        """Names the checkpoint when it is due; see `TrainingListener`."""
        epoch, rest = divmod(step, self._steps_per_epoch)
        is_due = epoch % self._every_epochs == 0 or epoch in self._also_epochs
        if not step or rest or not is_due:
            return
        name_checkpoint(path, self._name(epoch))
        self.show_checkpoint(epoch, self._name(epoch))
        if self._max_to_keep is not None:
            too_old = epoch - self._max_to_keep * self._every_epochs
            if too_old > 0:
                for file in _files_of(self._name(too_old)):
                    os.remove(file)

    def _name(self, epoch: int) -> str:
        return self._pattern.format(
            epoch=epoch,
            last_epoch=epoch - 1,
            steps_per_epoch=self._steps_per_epoch,
        )


class StartAtStep(listeners.TrainingListener):
    """Lets a new run begin at a later step, as if it had made those before.

    The order of images and the learning rate are those of that step.

    Args:
        step: steps not made.
    """

    def __init__(self, step: int) -> None:
        self._step = step

    def begin(self, state: trainer.TrainState) -> None:
        """Leaves a run that has begun as it is; see `TrainingListener`."""
        if not int(state.global_step.value):
            state.global_step.assign(self._step)


def name_checkpoint(path: str, name: str) -> None:
    """Gives a checkpoint a second name, without copying where that works.

    Args:
        path: prefix of its files, such as `run/model.ckpt-200`.
        name: the other prefix; its folder is made.

    Raises:
        CheckpointError: there is no such checkpoint.
        ResourceError: the files cannot be written.
    """
    files = _files_of(path)
    if not files:
        raise errors.CheckpointError(
            f"{path}: there is no such checkpoint; expected {path}.index"
        )
    try:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        for file in files:
            target = name + file.removeprefix(path)
            if os.path.lexists(target):
                os.remove(target)
            try:
                os.link(file, target)
            except OSError:
                # Another file system, or one without links.
                shutil.copyfile(file, target)
    except OSError as error:
        raise errors.ResourceError(
            f"{name}: cannot be written ({error.strerror})"
        ) from error


def _files_of(prefix: str) -> list[str]:
    """Returns the files of a checkpoint, its index last."""
    escaped = glob.escape(prefix)
    return sorted(glob.glob(f"{escaped}.data-*")) + glob.glob(
        f"{escaped}.index"
    )
