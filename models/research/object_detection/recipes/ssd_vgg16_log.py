"""What the training of SSD-VGG prints: in the words of the original."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.core.standard_fields import (
    DetectionResultFields,
    InputDataFields,
    LossFields,
)
from object_detection.metrics.evaluator import CategoryResult, Evaluator
from object_detection.recipes import epochs
from object_detection.training import (
    distributed,
    listeners,
    step_in_flight,
    summaries,
    trainer,
)
from object_detection.utils import (
    detection_results,
    evaluation_files,
    exp_utils,
)

_MAP_MARK = "Precision/mAP"


def say(text: str) -> None:
    """Prints a line, in the main process."""
    if distributed.is_main_process():
        print(text, flush=True)


def say_all(values: Mapping[str, Any]) -> None:
    """Prints a block of names and values, below each other."""
    width = max(map(len, values)) + 2
    for name, value in values.items():
        say(f"[i] {name + ':':{width}}{value}")


def mean_average_precision(categories: Sequence[CategoryResult]) -> float:
    """Returns the mean over the classes with boxes to find, or NaN."""
    found = [c.average_precision for c in categories if c.num_groundtruth]
    return float(np.mean(found)) if found else math.nan


def say_average_precisions(categories: Sequence[CategoryResult]) -> float:
    """Prints a line for each class with boxes to find; returns their mean."""
    for category in categories:
        if category.num_groundtruth:
            say(f"[i] AP [{category.name}]: {category.average_precision:.3f}")
    mean = mean_average_precision(categories)
    say(f"[i] mAP: {mean:.3f}")
    return mean


class TrainAccuracy(listeners.TrainingListener):
    """Measures what the network finds in batches that it is about to learn.

    That is what the original measures, of one batch in so many: augmented
    images, by the weights that the step changes.

    Args:
        every_steps: of so many batches the first one is measured.
        min_score: of detections that count.
        make_evaluator: makes an empty evaluator.
    """

    def __init__(
        self,
        every_steps: int,
        min_score: float,
        make_evaluator: Callable[[], Evaluator],
    ) -> None:
        self._every_steps = every_steps
        self._min_score = min_score
        self._make_evaluator = make_evaluator
        # Groundtruth and detections of each image.
        self._found: list[tuple[dict, dict]] = []

    def begin(self, state: trainer.TrainState) -> None:
        """Takes the network; see `TrainingListener`."""
        self._detect = detection_results.make_predict_function(state.model)

    def before_step(
        self, step: int, features: Mapping[str, Any], groundtruth: Any
    ) -> None:
        """Detects in the batch when it is due; see `TrainingListener`."""
        if (step - 1) % self._every_steps:
            return
        found = self._detect(
            features[InputDataFields.image],
            features[InputDataFields.true_image_shape],
        )
        found = {name: np.asarray(value) for name, value in found.items()}
        boxes, classes, num_boxes = (
            np.asarray(part)
            for part in (
                groundtruth.boxes,
                groundtruth.classes,
                groundtruth.num_boxes,
            )
        )
        for row, count in enumerate(num_boxes):
            expected = {
                InputDataFields.groundtruth_boxes: boxes[row, :count],
                # Label maps count from 1.
                InputDataFields.groundtruth_classes: 1
                + np.argmax(classes[row, :count], axis=-1),
            }
            self._found.append((expected, self._detections(found, row)))

    def take(self) -> Sequence[CategoryResult] | None:
        """Returns the accuracy of all processes, and forgets the batches.

        Returns:
            None in all processes but the main one, and without a batch.
        """
        found, self._found = self._found, []
        images = [
            one for part in distributed.gather_objects(found) for one in part
        ]
        if not images or not distributed.is_main_process():
            return None
        evaluator = self._make_evaluator()
        for number, (expected, detections) in enumerate(images):
            evaluator.add_single_ground_truth_image_info(number, expected)
            evaluator.add_single_detected_image_info(number, detections)
        return evaluator.compute().categories

    def _detections(
        self, found: Mapping[str, np.ndarray], row: int
    ) -> dict[str, np.ndarray]:
        names = DetectionResultFields
        scores = found[names.detection_scores][row]
        is_counted = scores >= self._min_score
        is_counted &= np.arange(len(scores)) < found[names.num_detections][row]
        classes = found[names.detection_classes][row][is_counted]
        return {
            names.detection_boxes: found[names.detection_boxes][row][
                is_counted
            ],
            names.detection_scores: scores[is_counted],
            names.detection_classes: 1 + classes.astype(np.int64),
        }


class EpochLines(epochs.EpochLog):
    """Prints loss, speed and accuracy of each epoch, counted from 1.

    Args:
        steps_per_epoch: 1 or more.
        report: gets the same.
        accuracy: is told of the same steps; None for no accuracy.
        summary_dir: of TensorBoard, gets the accuracy.
    """

    def __init__(
        self,
        steps_per_epoch: int,
        report: exp_utils.DLLogger,
        accuracy: TrainAccuracy | None,
        summary_dir: str,
    ) -> None:
        super().__init__(steps_per_epoch, log_steps=steps_per_epoch)
        self._num_steps_of_epoch = steps_per_epoch
        self._report = report
        self._accuracy = accuracy
        # A folder of its own, of which TensorBoard follows one file.
        self._writer = summaries.SummaryWriter(
            os.path.join(summary_dir, "train_accuracy")
        )
        self._total_loss: Any = 0.0

    def after_step(self, current: step_in_flight.StepInFlight) -> None:
        """Adds the loss, without waiting for it; see `TrainingListener`."""
        losses = current.result.losses
        self._total_loss = self._total_loss + losses[LossFields.total_loss]
        super().after_step(current)

    def show_epoch(
        self,
        epoch: int,
        losses: Mapping[str, float],
        seconds: float,
        num_steps: int,
        images_per_step: int,
    ) -> None:
        """The loss is the mean of the steps; see `EpochLog`."""
        loss, self._total_loss = float(self._total_loss) / num_steps, 0.0
        rate = num_steps / seconds
        number = epoch + 1
        say(f"epoch:{number} loss:{loss:.6f} perf = {rate:.6f} global_ste/sec")
        values = {
            "loss": loss,
            "steps/s": rate,
            "images/s": rate * images_per_step,
        }
        categories = None if self._accuracy is None else self._accuracy.take()
        if categories is not None:
            mean = mean_average_precision(categories)
            say(f"epoch:{number} train mAP: {mean:.6f}")
            values["train mAP"] = mean
            self._summarize(number, mean, categories)
        self._report.log(values, (number,))

    def _summarize(
        self, epoch: int, mean: float, categories: Sequence[CategoryResult]
    ) -> None:
        of_classes = {
            f"training_AP_{category.name}": category.average_precision
            for category in categories
            if category.num_groundtruth
        }
        step = epoch * self._num_steps_of_epoch
        self._writer.scalars(step, {"training_mAP": mean, **of_classes})
        self._writer.flush()


class WeightHistograms(listeners.TrainingListener):
    """Shows TensorBoard the kernels and the scale of the L2 norm.

    They are those of each checkpoint.

    Args:
        summary_dir: of TensorBoard.
    """

    def __init__(self, summary_dir: str) -> None:
        # A folder of its own, of which TensorBoard follows one file.
        self._writer = summaries.SummaryWriter(
            os.path.join(summary_dir, "train_weights")
        )
        self._variables: Mapping[str, Any] = {}

    def begin(self, state: trainer.TrainState) -> None:
        """Takes note of the variables; see `TrainingListener`."""
        self._variables = {
            name: variable
            for name, variable in state.model.checkpoint_variables().items()
            if name.endswith(("/weights", "/scale"))
        }

    def after_save(self, step: int, path: str) -> None:
        """Writes what they are; see `TrainingListener`."""
        self._writer.histograms(
            step, {n: np.asarray(v.value) for n, v in self._variables.items()}
        )
        self._writer.flush()


class Evaluations(exp_utils.DLLogger):
    """Takes the report of a run, and prints each evaluation in it.

    Args:
        report: gets everything.
        eval_dir: where evaluations are written.
        steps_per_epoch: 1 or more.
    """

    def __init__(
        self, report: exp_utils.DLLogger, eval_dir: str, steps_per_epoch: int
    ) -> None:
        super().__init__(None)
        self._report = report
        self._eval_dir = eval_dir
        self._steps_per_epoch = steps_per_epoch

    def log(
        self, data: Mapping[str, Any], step: Sequence[int] | str = ()
    ) -> None:
        """Prints the evaluation that was written last; see `DLLogger`."""
        self._report.log(data, step)
        if any(_MAP_MARK in name for name in data):
            record = evaluation_files.read_records(self._eval_dir)[-1]
            mean = say_average_precisions(record.categories)
            epoch = record.step // self._steps_per_epoch
            say(f"epoch:{epoch} validation mAP: {mean:.6f}")
