"""COCO detection metrics of a detector's output, image by image.

Boxes are in absolute pixels of the original image, corners (ymin, xmin, ymax,
xmax). Dimensions: G groundtruth box, D detection.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from object_detection.core import errors
from object_detection.core import standard_fields as fields
from object_detection.metrics import coco_tools
from object_detection.metrics.evaluator import CategoryResult, EvaluatorResult

_INPUT = fields.InputDataFields
_RESULT = fields.DetectionResultFields

METRIC_PREFIX = "DetectionBoxes_"
PER_CATEGORY_PREFIX = METRIC_PREFIX + "PerformanceByCategory/mAP/"


class _Groundtruth(NamedTuple):
    boxes_yxyx_G4: np.ndarray
    classes_G: np.ndarray
    area_G: np.ndarray
    is_crowd_G: np.ndarray


class _Detections(NamedTuple):
    boxes_yxyx_D4: np.ndarray
    classes_D: np.ndarray
    scores_D: np.ndarray


class CocoDetectionEvaluator:
    """Collects groundtruth and detections and computes COCO's box metrics.

    The order in which images are added does not matter: ties are settled by
    image id. Boxes of classes outside `categories` are left out and counted.
    """

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
        counts = Counter(category["id"] for category in categories)
        repeated = [str(id_) for id_, count in counts.items() if count > 1]
        if repeated or not categories:
            raise ValueError(
                "categories must be one or more with unique ids; "
                f"got {len(categories)}, repeated ids: {repeated}"
            )
        self._categories = sorted(categories, key=lambda item: item["id"])
        self._include_metrics_per_category = include_metrics_per_category
        self._backend = backend
        self.clear()

    def clear(self) -> None:
        """Forgets all images."""
        self._groundtruth: dict[int, _Groundtruth] = {}
        self._detections: dict[int, _Detections] = {}

    def add_single_ground_truth_image_info(
        self, image_id: int, groundtruth_dict: Mapping[str, np.ndarray]
    ) -> None:
        """Adds the boxes to find in one image.

        Args:
            image_id: unique number of the image.
            groundtruth_dict: `groundtruth_boxes` [G, 4] yxyx pixels and
                `groundtruth_classes` [G], category ids; optional
                `groundtruth_is_crowd` [G] and `groundtruth_area` [G] square
                pixels, where a negative area means that of the box.

        Raises:
            DataError: when the image has been added before.
            ValueError: for arrays whose lengths differ.
        """
        if image_id in self._groundtruth:
            raise errors.DataError(
                f"evaluation set: image id {image_id} was added before; "
                "expected every image once: make source ids unique"
            )
        boxes = _boxes(groundtruth_dict[_INPUT.groundtruth_boxes])
        box_area = _area(boxes)
        given_area = _column(
            groundtruth_dict.get(_INPUT.groundtruth_area),
            _INPUT.groundtruth_area,
            np.float64,
            len(boxes),
            default=-1,
        )
        self._groundtruth[image_id] = _Groundtruth(
            boxes,
            _column(
                groundtruth_dict[_INPUT.groundtruth_classes],
                _INPUT.groundtruth_classes,
                np.int64,
                len(boxes),
            ),
            np.where(given_area >= 0, given_area, box_area),
            _column(
                groundtruth_dict.get(_INPUT.groundtruth_is_crowd),
                _INPUT.groundtruth_is_crowd,
                bool,
                len(boxes),
                default=False,
            ),
        )

    def add_single_detected_image_info(
        self, image_id: int, detections_dict: Mapping[str, np.ndarray]
    ) -> None:
        """Adds the boxes found in one image.

        Args:
            image_id: an image whose groundtruth has been added.
            detections_dict: `detection_boxes` [D, 4] yxyx pixels,
                `detection_scores` [D] and `detection_classes` [D], category
                ids, which count from 1.

        Raises:
            DataError: when detections of the image have been added before.
            ValueError: without groundtruth of the image, or for arrays whose
                lengths differ.
        """
        if image_id not in self._groundtruth:
            raise ValueError(
                f"add the groundtruth of image {image_id} before its detections"
            )
        if image_id in self._detections:
            raise errors.DataError(
                f"evaluation set: detections of image id {image_id} were added "
                "before; expected every image once: make source ids unique"
            )
        boxes = _boxes(detections_dict[_RESULT.detection_boxes])
        self._detections[image_id] = _Detections(
            boxes,
            _column(
                detections_dict[_RESULT.detection_classes],
                _RESULT.detection_classes,
                np.int64,
                len(boxes),
            ),
            _column(
                detections_dict[_RESULT.detection_scores],
                _RESULT.detection_scores,
                np.float64,
                len(boxes),
            ),
        )

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
        groundtruth, detections = self._tables()
        self._warn_of_nothing_to_compare(groundtruth, detections)
        arrays = coco_tools.evaluate_boxes(
            groundtruth,
            detections,
            self._categories,
            len(self._groundtruth),
            self._backend,
        )
        categories = tuple(
            _category_result(row, category, arrays, groundtruth, detections)
            for row, category in enumerate(self._categories)
        )
        metrics = {
            METRIC_PREFIX + name: value
            for name, value in coco_tools.summarize(arrays).items()
        }
        if self._include_metrics_per_category:
            for category in categories:
                key = PER_CATEGORY_PREFIX + category.name
                metrics[key] = category.average_precision
        return EvaluatorResult(
            metrics, categories, coco_tools.summary_table(arrays)
        )

    def _tables(
        self,
    ) -> tuple[coco_tools.GroundtruthTable, coco_tools.DetectionTable]:
        """Joins the images, in the order of rising ids, and drops classes."""
        image_ids = sorted(self._groundtruth)
        gt = [self._groundtruth[image_id] for image_id in image_ids]
        nothing = _Detections(np.zeros((0, 4)), *np.zeros((2, 0)))
        found = [self._detections.get(id_, nothing) for id_ in image_ids]

        gt_classes = _join((image.classes_G for image in gt), np.int64)
        kept = self._known(gt_classes, "groundtruth")
        groundtruth = coco_tools.GroundtruthTable(
            image_index=_image_index([len(i.classes_G) for i in gt])[kept],
            category_id=gt_classes[kept],
            boxes_xywh=_xywh([image.boxes_yxyx_G4 for image in gt])[kept],
            area=_join((image.area_G for image in gt), np.float64)[kept],
            is_crowd=_join((image.is_crowd_G for image in gt), bool)[kept],
        )
        classes = _join((image.classes_D for image in found), np.int64)
        kept = self._known(classes, "detected")
        detections = coco_tools.DetectionTable(
            image_index=_image_index([len(i.classes_D) for i in found])[kept],
            category_id=classes[kept],
            boxes_xywh=_xywh([image.boxes_yxyx_D4 for image in found])[kept],
            scores=_join((image.scores_D for image in found), np.float64)[kept],
        )
        return groundtruth, detections

    def _known(self, classes: np.ndarray, kind: str) -> np.ndarray:
        """Marks classes of the label map, and warns of others with counts."""
        known = np.isin(classes, [item["id"] for item in self._categories])
        if not known.all():
            ids, counts = np.unique(classes[~known], return_counts=True)
            listed = ", ".join(
                f"{id_} ({count})"
                for id_, count in list(zip(ids, counts, strict=True))[:10]
            )
            logging.warning(
                "COCO evaluation leaves out %d of %d %s boxes: their class ids "
                "(number of boxes) are not in the label map: %s%s",
                np.count_nonzero(~known),
                len(known),
                kind,
                listed,
                ", ..." if len(ids) > 10 else "",
            )
        return known

    def _warn_of_nothing_to_compare(
        self,
        groundtruth: coco_tools.GroundtruthTable,
        detections: coco_tools.DetectionTable,
    ) -> None:
        num_images = len(self._groundtruth)
        if groundtruth.is_crowd.all():
            logging.warning(
                "COCO evaluation: no groundtruth boxes in %d images, so every "
                "value is -1 (not applicable).",
                num_images,
            )
        elif not len(detections.scores):
            logging.warning(
                "COCO evaluation: no detections in %d images, so every value "
                "is 0. Is the checkpoint trained, or the score threshold too "
                "high?",
                num_images,
            )
        elif not np.isin(detections.category_id, groundtruth.category_id).any():
            logging.warning(
                "COCO evaluation: no class is both in the groundtruth (%s) and "
                "in the detections (%s), so every value is 0. Does the label "
                "map fit the model?",
                np.unique(groundtruth.category_id)[:10],
                np.unique(detections.category_id)[:10],
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


def _boxes(values: np.ndarray) -> np.ndarray:
    boxes = np.asarray(values, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be [N, 4] yxyx, got {boxes.shape}")
    return boxes


def _column(
    values: np.ndarray | None,
    name: str,
    dtype: type,
    length: int,
    default: float | None = None,
) -> np.ndarray:
    if values is None:
        return np.full(length, default, dtype)
    column = np.asarray(values).astype(dtype)
    if column.shape != (length,):
        raise ValueError(f"{name} must be [{length}], got {column.shape}")
    return column


def _area(boxes_yxyx: np.ndarray) -> np.ndarray:
    height_width = boxes_yxyx[:, 2:] - boxes_yxyx[:, :2]
    return height_width[:, 0] * height_width[:, 1]


def _join(arrays: Iterable[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *arrays]).astype(dtype)


def _image_index(num_boxes: Sequence[int]) -> np.ndarray:
    return np.repeat(np.arange(len(num_boxes)), num_boxes)


def _xywh(boxes_yxyx: Sequence[np.ndarray]) -> np.ndarray:
    boxes = np.concatenate([np.zeros((0, 4)), *boxes_yxyx])
    ymin, xmin, ymax, xmax = boxes.T
    return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)
