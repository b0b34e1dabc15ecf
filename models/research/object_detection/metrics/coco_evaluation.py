"""COCO detection metrics of a detector's output, image by image.

Boxes are in absolute pixels of the original image, corners (ymin, xmin, ymax,
xmax).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from object_detection.metrics import box_rows, category_names, coco_tools
from object_detection.metrics.collecting_evaluator import CollectingEvaluator
from object_detection.metrics.evaluator import CategoryResult, EvaluatorResult

METRIC_PREFIX = "DetectionBoxes_"
PER_CATEGORY_PREFIX = METRIC_PREFIX + "PerformanceByCategory/mAP/"


class CocoDetectionEvaluator(CollectingEvaluator):
    """Collects groundtruth and detections and computes COCO's box metrics."""

    def __init__(
        self,
        categories: Sequence[Mapping[str, Any]],
        include_metrics_per_category: bool = False,
        backend: str = coco_tools.BACKENDS[0],
    ) -> None:
        """Starts without images.

        Args:
            categories: mappings with a unique positive int 'id' and a 'name'.
            include_metrics_per_category: also report each category's mAP.
            backend: one of `coco_tools.BACKENDS`.

        Raises:
            ValueError: when an id occurs twice, or there is no category.
        """
        super().__init__(categories, "COCO")
        self._include_metrics_per_category = include_metrics_per_category
        self._backend = backend

    def evaluate(self) -> dict[str, float]:
        """Computes the metrics, and prints pycocotools' twelve lines.

        Returns:
            The twelve values, and with `include_metrics_per_category` one for
            each category; -1 where there is no groundtruth of that kind.
        """
        result = self.compute()
        print(result.table, flush=True)
        return result.metrics

    def compute(self) -> EvaluatorResult:
        """Computes the metrics of the images added so far."""
        collection = self._collected()
        self._warn_of_nothing_to_compare(
            collection,
            ~collection.groundtruth.is_crowd,
            f"{coco_tools.NO_GROUNDTRUTH:g}",
        )
        groundtruth = _groundtruth_table(collection.groundtruth)
        detections = _detection_table(collection.detections)
        arrays = coco_tools.evaluate_boxes(
            groundtruth,
            detections,
            self.categories,
            collection.num_images,
            self._backend,
        )
        categories = tuple(
            _category_result(row, category, arrays, groundtruth, detections)
            for row, category in enumerate(self.categories)
        )
        metrics = {
            METRIC_PREFIX + name: value
            for name, value in coco_tools.summarize(arrays).items()
        }
        if self._include_metrics_per_category:
            names = category_names.distinct(self.categories)
            for category in categories:
                key = PER_CATEGORY_PREFIX + names[category.category_id]
                metrics[key] = category.average_precision
        return EvaluatorResult(
            metrics, categories, coco_tools.summary_table(arrays)
        )


def _category_result(
    row: int,
    category: Mapping[str, Any],
    arrays: coco_tools.CocoArrays,
    groundtruth: coco_tools.GroundtruthTable,
    detections: coco_tools.DetectionTable,
) -> CategoryResult:
    # All sizes, 100 detections: [T, R], -1 throughout without groundtruth.
    precision = arrays.precision[:, :, row, 0, -1]
    is_of_category = groundtruth.category_id == category["id"]
    num_groundtruth = int(
        np.count_nonzero(is_of_category & ~groundtruth.is_crowd)
    )
    return CategoryResult(
        category_id=int(category["id"]),
        name=str(category["name"]),
        num_groundtruth=num_groundtruth,
        num_detections=int(
            np.count_nonzero(detections.category_id == category["id"])
        ),
        average_precision=coco_tools.mean_of_measured(precision),
        average_precision_50=coco_tools.mean_of_measured(precision[0]),
        precision_50=tuple(precision[0].tolist()) if num_groundtruth else (),
    )


def _groundtruth_table(
    rows: box_rows.GroundtruthRows,
) -> coco_tools.GroundtruthTable:
    return coco_tools.GroundtruthTable(
        image_index=rows.image_index,
        category_id=rows.category_id,
        boxes_xywh=_xywh(rows.boxes_yxyx),
        area=rows.area,
        is_crowd=rows.is_crowd,
    )


def _detection_table(rows: box_rows.DetectionRows) -> coco_tools.DetectionTable:
    return coco_tools.DetectionTable(
        image_index=rows.image_index,
        category_id=rows.category_id,
        boxes_xywh=_xywh(rows.boxes_yxyx),
        scores=rows.scores,
    )


def _xywh(boxes_yxyx: np.ndarray) -> np.ndarray:
    ymin, xmin, ymax, xmax = boxes_yxyx.T
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)
