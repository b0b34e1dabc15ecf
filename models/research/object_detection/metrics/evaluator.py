"""What every evaluator takes and returns, whatever its metric is."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np


class CategoryResult(NamedTuple):
    """How well one category is detected.

    Attributes:
        category_id: the id in the label map.
        name: the name in the label map.
        num_groundtruth: boxes to find, without those that the metric excuses,
            such as crowds or difficult ones.
        num_detections: boxes found, at any score.
        average_precision: the metric's own; -1 (COCO) or NaN without
            groundtruth.
        average_precision_50: at IoU .50; the same without groundtruth.
        precision_50: interpolated precision at IoU .50 at recall 0, 0.01 ...
            1; empty without groundtruth.
    """

    category_id: int
    name: str
    num_groundtruth: int
    num_detections: int
    average_precision: float
    average_precision_50: float
    precision_50: tuple[float, ...]


class EvaluatorResult(NamedTuple):
    """What an evaluator says about all images it was given.

    Attributes:
        metrics: name in TensorBoard to value.
        categories: one entry a category, in the order of rising ids.
        table: lines for people, as the metric's reference tool prints them.
    """

    metrics: dict[str, float]
    categories: tuple[CategoryResult, ...]
    table: str


class Evaluator(Protocol):
    """Collects groundtruth and detections of images and measures them.

    Boxes are in absolute pixels of the original image, corners (ymin, xmin,
    ymax, xmax). Classes are category ids, which count from 1.
    """

    def add_single_ground_truth_image_info(
        self, image_id: int, groundtruth_dict: Mapping[str, np.ndarray]
    ) -> None:
        """Adds the boxes to find in one image, keyed by InputDataFields."""

    def add_single_detected_image_info(
        self, image_id: int, detections_dict: Mapping[str, np.ndarray]
    ) -> None:
        """Adds the boxes found, keyed by DetectionResultFields."""

    def compute(self) -> EvaluatorResult:
        """Measures the images added so far."""

    def clear(self) -> None:
        """Forgets all images."""
