"""COCO's box evaluation on plain arrays, by either of two backends.

`faster_coco_eval` does the matching in C++ and takes seconds where
`pycocotools`, the reference, takes minutes. Both return the same bits.

Dimensions: N box (of all images), T IoU threshold, R recall threshold, C
category, S size range (all, small, medium, large), M limit on detections.
"""

import contextlib
import gc
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval.core.coco import COCO as FasterCoco
from faster_coco_eval.core.faster_eval_api import COCOeval_faster
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BACKENDS = ("faster_coco_eval", "pycocotools")

# Axes of the result arrays, in pycocotools' order.
SIZE_NAMES = ("all", "small", "medium", "large")
MAX_DETECTIONS = (1, 10, 100)
IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())

# Value where there is no groundtruth to find.
NO_GROUNDTRUTH = -1.0

# pycocotools adds this to the denominator of a precision, which shows only
# in the precision of a single detection: 1 / (1 + 2**-52) instead of 1.
_PRECISION_EPSILON = np.spacing(1)


class GroundtruthTable(NamedTuple):
    """Groundtruth boxes of all images, one row a box.

    Attributes:
        image_index: int64 [N], position of the image, from 0.
        category_id: int64 [N].
        boxes_xywh: float64 [N, 4], absolute pixels.
        area: float64 [N], square pixels; decides small, medium, large.
        is_crowd: bool [N].
    """

    image_index: np.ndarray
    category_id: np.ndarray
    boxes_xywh: np.ndarray
    area: np.ndarray
    is_crowd: np.ndarray


class DetectionTable(NamedTuple):
    """Detected boxes of all images, one row a box.

    Attributes:
        image_index: int64 [N], position of the image, from 0.
        category_id: int64 [N].
        boxes_xywh: float64 [N, 4], absolute pixels.
        scores: float64 [N].
    """

    image_index: np.ndarray
    category_id: np.ndarray
    boxes_xywh: np.ndarray
    scores: np.ndarray


class CocoArrays(NamedTuple):
    """What the evaluation measures, -1 where there is no groundtruth.

    Attributes:
        precision: float64 [T, R, C, S, M], interpolated precision.
        recall: float64 [T, C, S, M], the highest recall reached.
    """

    precision: np.ndarray
    recall: np.ndarray


def evaluate_boxes(
    groundtruth: GroundtruthTable,
    detections: DetectionTable,
    categories: Sequence[Mapping[str, Any]],
    num_images: int,
    backend: str = BACKENDS[0],
) -> CocoArrays:
    """Matches detections to groundtruth at every threshold, as COCO does.

    Ties in score are settled by row order, then image order.

    Args:
        groundtruth: boxes to find; category ids must be in `categories`.
        detections: boxes found; category ids must be in `categories`.
        categories: mappings with a unique positive 'id' and a 'name'. The C
            axis of the result is in the order of rising ids.
        num_images: how many images there are; `image_index` is below it.
        backend: one of `BACKENDS`.

    Returns:
        The arrays that all of COCO's numbers are means of.

    Raises:
        ValueError: for an unknown backend or no categories.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    if not categories:
        raise ValueError("COCO evaluation needs at least one category")
    dataset = {
        "images": [{"id": index} for index in range(1, num_images + 1)],
        "categories": [dict(category) for category in categories],
    }
    # Both libraries talk on stdout about what they are doing.
    with (
        _without_garbage_collection(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        annotations = (
            _groundtruth_annotations(groundtruth),
            _detection_annotations(detections),
        )
        if backend == "pycocotools":
            return _evaluate_with_pycocotools(dataset, *annotations)
        return _evaluate_with_faster_coco_eval(dataset, *annotations)


def summarize(arrays: CocoArrays) -> dict[str, float]:
    """Computes COCO's twelve numbers.

    Returns:
        Name without prefix, such as 'Precision/mAP (small)', to value in 0
        to 1, or -1 without groundtruth of that kind; in COCO's order.
    """
    return {row.name: row.value(arrays) for row in _SUMMARY_ROWS}


def summary_table(arrays: CocoArrays) -> str:
    """Formats the twelve numbers as the twelve lines pycocotools prints."""
    return "\n".join(row.line(row.value(arrays)) for row in _SUMMARY_ROWS)


def mean_of_measured(values: np.ndarray) -> float:
    """Mean over the entries that are not -1; -1 when there are none."""
    measured = values[values > NO_GROUNDTRUTH]
    return float(np.mean(measured)) if measured.size else NO_GROUNDTRUTH


class _SummaryRow(NamedTuple):
    """One of COCO's twelve numbers, by where it is found in the arrays."""

    name: str
    is_precision: bool
    iou_threshold: float | None = None
    size_name: str = "all"
    max_detections: int = 100

    def value(self, arrays: CocoArrays) -> float:
        values = arrays.precision if self.is_precision else arrays.recall
        if self.iou_threshold is not None:
            values = values[np.isclose(IOU_THRESHOLDS, self.iou_threshold)]
        size = SIZE_NAMES.index(self.size_name)
        limit = MAX_DETECTIONS.index(self.max_detections)
        return mean_of_measured(values[..., size, limit])

    def line(self, value: float) -> str:
        kind = (
            ("Precision", "(AP)") if self.is_precision else ("Recall", "(AR)")
        )
        iou = "0.50:0.95"
        if self.iou_threshold is not None:
            iou = f"{self.iou_threshold:.2f}"
        return (
            f" {'Average ' + kind[0]:<18} {kind[1]} @[ IoU={iou:<9} | "
            f"area={self.size_name:>6} | "
            f"maxDets={self.max_detections:>3d} ] = {value:0.3f}"
        )


_SUMMARY_ROWS = (
    _SummaryRow("Precision/mAP", True),
    _SummaryRow("Precision/mAP@.50IOU", True, iou_threshold=0.5),
    _SummaryRow("Precision/mAP@.75IOU", True, iou_threshold=0.75),
    _SummaryRow("Precision/mAP (small)", True, size_name="small"),
    _SummaryRow("Precision/mAP (medium)", True, size_name="medium"),
    _SummaryRow("Precision/mAP (large)", True, size_name="large"),
    _SummaryRow("Recall/AR@1", False, max_detections=1),
    _SummaryRow("Recall/AR@10", False, max_detections=10),
    _SummaryRow("Recall/AR@100", False),
    _SummaryRow("Recall/AR@100 (small)", False, size_name="small"),
    _SummaryRow("Recall/AR@100 (medium)", False, size_name="medium"),
    _SummaryRow("Recall/AR@100 (large)", False, size_name="large"),
)


# Ids count from 1 in both lists: the libraries read id 0 as "not matched".


def _groundtruth_annotations(table: GroundtruthTable) -> list[dict[str, Any]]:
    columns = zip(
        (table.image_index + 1).tolist(),
        table.category_id.tolist(),
        table.boxes_xywh.tolist(),
        table.area.tolist(),
        table.is_crowd.astype(int).tolist(),
        strict=True,
    )
    return [
        {
            "id": row_id,
            "image_id": image_id,
            "category_id": category_id,
            "bbox": box,
            "area": area,
            "iscrowd": is_crowd,
        }
        for row_id, (image_id, category_id, box, area, is_crowd) in enumerate(
            columns, start=1
        )
    ]


def _detection_annotations(table: DetectionTable) -> list[dict[str, Any]]:
    areas = table.boxes_xywh[:, 2] * table.boxes_xywh[:, 3]
    columns = zip(
        (table.image_index + 1).tolist(),
        table.category_id.tolist(),
        table.boxes_xywh.tolist(),
        areas.tolist(),
        table.scores.tolist(),
        strict=True,
    )
    return [
        {
            "id": row_id,
            "image_id": image_id,
            "category_id": category_id,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
            "score": score,
        }
        for row_id, (image_id, category_id, box, area, score) in enumerate(
            columns, start=1
        )
    ]


def _evaluate_with_pycocotools(
    dataset: dict[str, Any],
    groundtruth: list[dict[str, Any]],
    detections: list[dict[str, Any]],
) -> CocoArrays:
    evaluation = COCOeval(
        _indexed(COCO(), dataset, groundtruth),
        _indexed(COCO(), dataset, detections),
        "bbox",
    )
    evaluation.evaluate()
    evaluation.accumulate()
    return CocoArrays(evaluation.eval["precision"], evaluation.eval["recall"])


def _evaluate_with_faster_coco_eval(
    dataset: dict[str, Any],
    groundtruth: list[dict[str, Any]],
    detections: list[dict[str, Any]],
) -> CocoArrays:
    evaluation = COCOeval_faster(
        _indexed(FasterCoco(), dataset, groundtruth),
        _indexed(FasterCoco(), dataset, detections),
        "bbox",
        print_function=_say_nothing,
    )
    num_boxes_CS = _count_boxes(
        groundtruth, evaluation.params.catIds, evaluation.params.areaRng
    )
    thresholds_R = evaluation.params.recThrs
    second_CS = 2.0 / np.maximum(num_boxes_CS, 1)
    evaluation.params.recThrs = np.union1d(thresholds_R, second_CS)
    evaluation.evaluate()
    evaluation.accumulate()
    precision = _add_precision_epsilon(
        np.asarray(evaluation.eval["precision"]),
        evaluation.params.recThrs,
        second_CS,
    )
    kept_R = np.searchsorted(evaluation.params.recThrs, thresholds_R)
    return CocoArrays(
        np.ascontiguousarray(precision[:, kept_R]),
        np.asarray(evaluation.eval["recall"]),
    )


def _say_nothing(*_: Any) -> None:
    """Takes what faster_coco_eval would log."""


def _add_precision_epsilon(
    precision: np.ndarray, thresholds_R: np.ndarray, second_CS: np.ndarray
) -> np.ndarray:
    """Turns the precision 1 of a lone detection into pycocotools' 1 - 2**-52.

    The interpolated precision is 1 up to the last of an unbroken run of true
    positives. pycocotools says 1 when that run is two or longer, so that the
    precision at the recall of the second true positive is 1 as well.

    Args:
        precision: float64 [T, R, C, S, M], computed without the epsilon.
        thresholds_R: recall thresholds that contain all of `second_CS`.
        second_CS: recall at the second true positive; above 1 where there is
            only one box, whose precision at that recall reads 0.
    """
    at_R = np.searchsorted(thresholds_R, second_CS)
    category_C1 = np.arange(second_CS.shape[0])[:, None]
    size_1S = np.arange(second_CS.shape[1])[None, :]
    # Index arrays broadcast to [C, S] and come first: [C, S, T, M].
    precision_TRCSM = np.moveaxis(precision, (1, 2, 3), (0, 1, 2))
    second_CSTM = precision_TRCSM[at_R, category_C1, size_1S]
    is_lone_TCSM = np.moveaxis(second_CSTM, (0, 1), (1, 2)) < 1.0
    return np.where(
        (precision == 1.0) & is_lone_TCSM[:, None],
        1.0 / (1.0 + _PRECISION_EPSILON),
        precision,
    )


def _count_boxes(
    groundtruth: list[dict[str, Any]],
    category_ids: Sequence[int],
    size_ranges: Sequence[Sequence[float]],
) -> np.ndarray:
    """Counts the boxes that are no crowds: int64 [C, S]."""
    boxes = [box for box in groundtruth if not box["iscrowd"]]
    row_N = np.searchsorted(category_ids, [box["category_id"] for box in boxes])
    area_N = np.array([box["area"] for box in boxes])
    return np.stack(
        [
            np.bincount(
                row_N[(area_N >= low) & (area_N <= high)].astype(int),
                minlength=len(category_ids),
            )
            for low, high in size_ranges
        ],
        axis=1,
    )


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spares the collector half a million dictionaries without cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _indexed(
    coco: COCO | FasterCoco,
    dataset: dict[str, Any],
    annotations: list[dict[str, Any]],
) -> COCO | FasterCoco:
    coco.dataset = {**dataset, "annotations": annotations}
    coco.createIndex()
    return coco
