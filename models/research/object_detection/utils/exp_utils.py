"""DLLogger's report lines, and the throughput that is reported in them.

The report is a text file of lines `DLLL {json}`, as NVIDIA's DLLogger writes
them, so that scripts which read it need not change.
"""

import datetime
import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from object_detection.core import errors

_COCO_PREFIX = "DetectionBoxes_"
_MAP_OF_OTHER_SETS = "_Precision/mAP@"
_PER_CATEGORY = "PerformanceByCategory"
_UNITS = {"infer_throughput": "images/s", "train_throughput": "images/s"}


class DLLogger:
    """Writes report lines, or nothing.

    Args:
        file: opened for writing, or None on every process but the main one.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._start = datetime.datetime.now()

    def metadata(self, metric: str, metadata: Mapping[str, Any]) -> None:
        """Says what a metric is, such as its unit."""
        self._write("METADATA", {"metric": metric, "metadata": metadata})

    def log(
        self, data: Mapping[str, Any], step: Sequence[int] | str = ()
    ) -> None:
        """Reports values; an empty step means the whole run."""
        step = step if isinstance(step, str) else list(step)
        self._write("LOG", {"step": step, "data": dict(data)})

    def _write(self, line_type: str, content: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        now = datetime.datetime.now()
        line = {
            "timestamp": str(now.timestamp()),
            "elapsedtime": str((now - self._start).total_seconds()),
            "datetime": str(now),
            "type": line_type,
            **content,
        }
        self._file.write(f"DLLL {json.dumps(line)}\n")
        self._file.flush()


def setup_dllogger(
    filename: str,
    *,
    is_main_process: bool = True,
    units: Mapping[str, str | None] = _UNITS,
    flag: str = "--raport_file",
) -> DLLogger:
    """Starts a new report with the units of its metrics.

    Args:
        filename: the report, overwritten; empty for none.
        is_main_process: only the main process writes.
        units: by metric; None for a number without one.
        flag: that names the file, for errors.

    Raises:
        ConfigError: the file cannot be written.
    """
    file = None
    if filename and is_main_process:
        try:
            file = open(filename, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise errors.ConfigError(
                f"{flag} {filename}: cannot be written ({error.strerror})"
            ) from error
    logger = DLLogger(file)
    for metric, unit in units.items():
        logger.metadata(metric, {"unit": unit})
    return logger


def evaluation_report(
    metrics: Mapping[str, float],
) -> dict[str, float | None]:
    """Returns what the report says of an evaluation.

    COCO's twelve values have the keys of the original, without prefix; of
    other sets of metrics it is the mAP, under its whole name. None, which is
    null in the file, stands for NaN: there was nothing to find.
    """
    values: dict[str, float | None] = {}
    for name, value in metrics.items():
        if _PER_CATEGORY in name:
            continue
        if name.startswith(_COCO_PREFIX):
            values[name.removeprefix(_COCO_PREFIX)] = value
        elif _MAP_OF_OTHER_SETS in name:
            values[name] = None if math.isnan(value) else value
    return values


class ThroughputMeter:
    """Images per second: all images over all seconds, after a warm-up.

    A mean of the rates of single steps would always say more than was done.

    Args:
        num_warmup_steps: steps that are not counted. A run that is not longer
            is measured from its second step on: the first one compiles.
    """

    def __init__(self, num_warmup_steps: int = 100) -> None:
        self._num_warmup_steps = num_warmup_steps
        self._num_steps = 0
        self._num_images = 0
        self._seconds = 0.0
        self._step_start_seconds = time.perf_counter()

    def start_step(self) -> None:
        """Begins a step now; time since the last one is not counted."""
        self._step_start_seconds = time.perf_counter()

    def end_step(self, num_images: int) -> None:
        """Counts the step that ends now; the next one begins with it."""
        now = time.perf_counter()
        self._num_steps += 1
        if self._num_steps == self._num_warmup_steps + 1:
            self._num_images, self._seconds = 0, 0.0
        if self._num_steps > min(self._num_warmup_steps, 1):
            self._num_images += num_images
            self._seconds += now - self._step_start_seconds
        self._step_start_seconds = now

    @property
    def images_per_second(self) -> float:
        """The rate so far, 0 before a step counts."""
        return self._num_images / self._seconds if self._num_images else 0.0
