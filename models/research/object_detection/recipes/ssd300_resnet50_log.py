"""What NVIDIA's SSD300 prints, and writes to its JSON summary.

Lines of standard output are `DLL <time> - <step> <name> : <value>`, as its
DLLogger prints them, those of the summary `DLLL {json}`.
"""

import argparse
import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf import text_format

from object_detection.core.standard_fields import LossFields
from object_detection.recipes import epochs, step_times
from object_detection.training import trainer
from object_detection.utils import (
    atomic_file,
    detection_results,
    exp_utils,
    label_map_util,
)

_SPEEDS = ("avg_img/sec", "med_img/sec", "min_img/sec", "max_img/sec")
_UNITS = {
    "loss": None,
    "mAP": None,
    "time": "s",
    "total time": "s",
    **dict.fromkeys(_SPEEDS, "images/s"),
}
_MAP = "Precision/mAP"
_LABEL_MAP_NAME = "label_map.pbtxt"


class RunLog:
    """Prints values and writes them to the summary, in the main process.

    Args:
        summary_path: of the JSON summary; None for none.
        is_main_process: only the main process prints and writes.

    Raises:
        ConfigError: the summary cannot be written.
    """

    def __init__(self, summary_path: str | None, is_main_process: bool) -> None:
        self._is_main_process = is_main_process
        self._summary = exp_utils.setup_dllogger(
            summary_path or "",
            is_main_process=is_main_process,
            units=_UNITS,
            flag="--json-summary",
        )

    def log(
        self, data: Mapping[str, Any], step: tuple[int, ...] | str = ()
    ) -> None:
        """Logs values of a step, (epoch, iteration), or of an epoch."""
        values = "  ".join(f"{name} : {value}" for name, value in data.items())
        self.say(f"DLL {datetime.datetime.now()} - {step} {values}")
        self._summary.log(data, step)

    def log_prediction(
        self, results: Sequence[detection_results.ImageResult], seconds: float
    ) -> None:
        """Says in what time all was predicted; see `eval_util.evaluate`."""
        del results
        self.say(f"Predicting Ended, total time: {seconds:.2f} s")

    def say(self, text: str) -> None:
        """Prints a line."""
        if self._is_main_process:
            print(text, flush=True)

    def log_flags(self, arguments: argparse.Namespace, **others: Any) -> None:
        """Logs what was asked for, under the names that NVIDIA gives it.

        Args:
            arguments: what was parsed.
            **others: what became of it, spaces for underscores.
        """
        named = {
            "dataset path": arguments.data,
            "epochs": arguments.epochs,
            "batch size": arguments.batch_size,
            "eval batch size": arguments.eval_batch_size,
            "no cuda": arguments.no_cuda,
            "checkpoint path": arguments.checkpoint,
            "mode": arguments.mode,
            "eval on epochs": arguments.evaluation,
            "lr decay epochs": arguments.multistep,
            "learning rate": arguments.learning_rate,
            "momentum": arguments.momentum,
            "weight decay": arguments.weight_decay,
            "lr warmup": arguments.warmup,
            "backbone": arguments.backbone,
            "backbone path": arguments.backbone_path,
            "AMP": arguments.amp,
            "TF32": arguments.allow_tf32,
            "data layout": arguments.data_layout,
            "save": arguments.save,
        }
        named |= {name.replace("_", " "): v for name, v in others.items()}
        self.log(named, "PARAMETER")

    def log_speed(self, speed: step_times.Speed) -> None:
        """Logs what a benchmark measured."""
        values = (speed.average, speed.median, speed.least, speed.greatest)
        self.log(dict(zip(_SPEEDS, values, strict=True)))
        self.say(
            f"Done benchmarking. Total images: {speed.num_images}\t"
            f"total time: {speed.seconds:.3f}\t"
            f"Average images/sec: {speed.average:.3f}\t"
            f"Median images/sec: {speed.median:.3f}"
        )


class EpochLines(epochs.EpochLog):
    """Logs losses by iteration, and the seconds of each epoch.

    Args:
        log: where to.
        steps_per_epoch: 1 or more.
        log_steps: see `EpochLog`.
    """

    def __init__(
        self, log: RunLog, steps_per_epoch: int, log_steps: int
    ) -> None:
        super().__init__(steps_per_epoch, log_steps)
        self._log = log
        self._num_iterations = steps_per_epoch
        self.total_seconds = 0.0

    def show_step(
        self, epoch: int, step: int, losses: Mapping[str, float]
    ) -> None:
        """Iterations are counted over all epochs; see `EpochLog`."""
        iteration = epoch * self._num_iterations + step
        loss = losses[LossFields.total_loss]
        self._log.log({"loss": loss}, (epoch, iteration))

    def show_epoch(
        self,
        epoch: int,
        losses: Mapping[str, float],
        seconds: float,
        num_steps: int,
        images_per_step: int,
    ) -> None:
        """See `EpochLog`."""
        self.total_seconds += seconds
        self._log.log({"time": seconds}, (epoch,))


class Checkpoints(epochs.EpochCheckpoints):
    """Names the checkpoints of epochs, with the label map beside them.

    Args:
        log: where to.
        directory: of the training.
        steps_per_epoch: 1 or more.
        label_map_path: of the label map to write there.
    """

    def __init__(
        self,
        log: RunLog,
        directory: str,
        steps_per_epoch: int,
        label_map_path: str,
    ) -> None:
        # Braces in it are of its name.
        folder = directory.replace("{", "{{").replace("}", "}}")
        pattern = os.path.join(folder, "epoch_{last_epoch}")
        super().__init__(steps_per_epoch, pattern)
        self._log = log
        self._directory = directory
        self._num_iterations = steps_per_epoch
        self._label_map_path = label_map_path

    def begin(self, state: trainer.TrainState) -> None:
        """Writes the label map; see `TrainingListener`."""
        label_map = label_map_util.load_labelmap(self._label_map_path)
        path = os.path.join(self._directory, _LABEL_MAP_NAME)
        with atomic_file.replacing(path) as temporary:
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(text_format.MessageToString(label_map))

    def show_checkpoint(self, epoch: int, name: str) -> None:
        """Logs its path; see `EpochCheckpoints`."""
        step = (epoch - 1, epoch * self._num_iterations)
        self._log.log({"model path": name}, step)


class Evaluations(exp_utils.DLLogger):
    """Takes the report of evaluations, and logs the mAP.

    Args:
        log: where to.
        epoch: gives the epoch that was evaluated, from 0; None where there is
            none.

    Attributes:
        precision: the mAP of the last one, None before.
    """

    def __init__(
        self, log: RunLog, epoch: Callable[[], int] | None = None
    ) -> None:
        super().__init__(None)
        self._log = log
        self._epoch = epoch
        self.precision: float | None = None

    def log(
        self, data: Mapping[str, Any], step: Sequence[int] | str = ()
    ) -> None:
        """See `DLLogger`; all but the mAP was printed as a table."""
        if _MAP not in data:
            return
        self.precision = data[_MAP]
        self._log.say(f"Current AP: {self.precision:.5f}")
        epoch = () if self._epoch is None else (self._epoch(),)
        self._log.log({"mAP": self.precision}, epoch)
