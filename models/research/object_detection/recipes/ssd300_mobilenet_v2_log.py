"""What MindSpore's SSD300 prints, in the main process alone."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from object_detection.core.standard_fields import (
    DetectionResultFields,
    LossFields,
)
from object_detection.metrics import coco_results
from object_detection.recipes import epochs
from object_detection.training import distributed
from object_detection.utils import (
    atomic_file,
    detection_results,
    exp_utils,
)

PREDICTIONS_NAME = "predictions.json"

_MAP = "Precision/mAP"
_SEPARATOR = "=" * 40


def say(text: str) -> None:
    """Prints a line."""
    if distributed.is_main_process():
        print(text, flush=True)


class EpochLines(epochs.EpochLog):
    """Prints a loss after each step, or after each epoch, and times in ms.

    Args:
        steps_per_epoch: 1 or more.
        shows_steps: whether it is after each step.
    """

    def __init__(self, steps_per_epoch: int, shows_steps: bool) -> None:
        log_steps = 1 if shows_steps else steps_per_epoch
        super().__init__(steps_per_epoch, log_steps)
        self._steps_per_epoch = steps_per_epoch
        self._shows_steps = shows_steps

    def show_step(
        self, epoch: int, step: int, losses: Mapping[str, float]
    ) -> None:
        """See `EpochLog`."""
        if self._shows_steps:
            _say_loss(epoch, step, losses)

    def show_epoch(
        self,
        epoch: int,
        losses: Mapping[str, float],
        seconds: float,
        num_steps: int,
        images_per_step: int,
    ) -> None:
        """See `EpochLog`."""
        if not self._shows_steps:
            _say_loss(epoch, self._steps_per_epoch - 1, losses)
        milliseconds = 1000.0 * seconds
        say(
            f"epoch time: {milliseconds:.3f}, per step time: "
            f"{milliseconds / num_steps:.3f}"
        )


def _say_loss(epoch: int, step: int, losses: Mapping[str, float]) -> None:
    loss = losses[LossFields.total_loss]
    say(f"epoch: {epoch + 1} step: {step + 1}, loss is {loss:.7g}")


class Predictions:
    """Writes what an evaluation found, and says in how many images.

    Args:
        directory: gets predictions.json, in COCO's result format.
        category_ids: what the file calls classes, where it is not their id.
        image_ids: what it calls images, by source id; by default the number
            that it is, or its text.
    """

    def __init__(
        self,
        directory: str,
        category_ids: Mapping[int, int],
        image_ids: Mapping[str, int],
    ) -> None:
        self._path = os.path.join(directory, PREDICTIONS_NAME)
        self._category_ids = category_ids
        self._image_ids = image_ids

    def look_at(
        self,
        results: Sequence[detection_results.ImageResult],
        seconds: float,
    ) -> None:
        """See `eval_util.evaluate`."""
        num_images = len(results)
        num_of_subset = sum(_is_of_subset(result) for result in results)
        say(f"total images num: {num_images}")
        say(f"images with boxes and without crowds: {num_of_subset}")
        say(f"100% [{num_images}/{num_images}] cost {1000.0 * seconds:.0f} ms")
        rows = [row for result in results for row in self._rows(result)]
        with (
            atomic_file.replacing(self._path) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            json.dump(rows, file)
        say(f"{len(rows)} predictions: {self._path}")

    def _rows(
        self, result: detection_results.ImageResult
    ) -> Sequence[dict[str, Any]]:
        image_id = self._image_ids.get(
            result.source_id, coco_results.image_id_of(result.source_id)
        )
        found = result.detections
        return list(
            coco_results.rows_of_image(
                image_id,
                found[DetectionResultFields.detection_boxes],
                found[DetectionResultFields.detection_scores],
                found[DetectionResultFields.detection_classes],
                self._category_ids,
            )
        )


def _is_of_subset(result: detection_results.ImageResult) -> bool:
    num_boxes = len(result.groundtruth["groundtruth_boxes"])
    return num_boxes > 0 and not result.has_crowd


class Report(exp_utils.DLLogger):
    """Passes a report on, and prints the mAP.

    Args:
        report: gets all.
    """

    def __init__(self, report: exp_utils.DLLogger) -> None:
        super().__init__(None)
        self._report = report

    def log(
        self, data: Mapping[str, Any], step: Sequence[int] | str = ()
    ) -> None:
        """See `DLLogger`."""
        self._report.log(data, step)
        if _MAP in data:
            say(_SEPARATOR)
            say(f"mAP: {data[_MAP]}")


def setup_report(path: str | None) -> Report:
    """Starts a report.

    Args:
        path: of the file; None for none.

    Raises:
        ConfigError: it cannot be written.
    """
    return Report(
        exp_utils.setup_dllogger(
            path or "",
            is_main_process=distributed.is_main_process(),
            flag="--json_summary",
        )
    )
