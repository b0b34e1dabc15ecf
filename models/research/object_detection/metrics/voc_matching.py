"""Which detections are right by Pascal VOC's rules, and average precision.

Of all groundtruth boxes of its class in its image, a detection looks at the
one it overlaps most. It is right when they overlap by half, and no detection
of a higher score looks at the same box. So nothing depends on what another
detection got, and all detections are settled at once.

Dimensions: N detection, G groundtruth box, P pair of both in one image and of
one class.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from object_detection.metrics import box_rows

IOU_THRESHOLD = 0.5

# Pairs whose overlap is computed at a time: some 50 MB.
_MAX_PAIRS = 2**18

Overlap = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Matches(NamedTuple):
    """What becomes of each detection.

    Attributes:
        is_counted: bool [N], False for those that are neither right nor
            wrong.
        true_positives: float64 [N], how much a right one counts; 0 for a
            wrong one.
    """

    is_counted: np.ndarray
    true_positives: np.ndarray


class Curve(NamedTuple):
    """Precision and recall as the score falls from detection to detection.

    Attributes:
        recall: float64 [N], rising.
        precision: float64 [N], the highest at this recall or a higher one.
    """

    recall: np.ndarray
    precision: np.ndarray


def match(
    groundtruth: box_rows.GroundtruthRows,
    detections: box_rows.DetectionRows,
    group_of_weight: float,
) -> Matches:
    """Settles which detections are right.

    A detection whose box is a difficult one is not counted. Others that match
    no box, or one that is taken, are not counted either where at least half
    of their area is within a group_of box, but for the one of the highest
    score in it: that is right when the weight is above 0.

    Args:
        groundtruth: boxes of all images.
        detections: of all images, in the order of falling scores, each with
            an area above 0.
        group_of_weight: how much it counts to find a group_of box.
    """
    boxes = box_rows.select(groundtruth, ~groundtruth.is_group_of)
    box_N, iou_N = _most_overlapped(boxes, detections, _iou)
    is_match_N = iou_N >= IOU_THRESHOLD
    is_on_difficult_N = is_match_N.copy()
    is_on_difficult_N[is_match_N] = boxes.is_difficult[box_N[is_match_N]]
    is_right_N = _first_of_each(box_N, is_match_N & ~is_on_difficult_N)

    groups = box_rows.select(groundtruth, groundtruth.is_group_of)
    group_N, ioa_N = _most_overlapped(groups, detections, _ioa)
    is_in_group_N = (ioa_N >= IOU_THRESHOLD) & ~is_right_N & ~is_on_difficult_N
    true_positives_N = is_right_N.astype(np.float64)
    true_positives_N[_first_of_each(group_N, is_in_group_N)] = group_of_weight
    return Matches(
        is_counted=(true_positives_N > 0)
        | ~(is_on_difficult_N | is_in_group_N),
        true_positives=true_positives_N,
    )


def num_to_find(
    groundtruth: box_rows.GroundtruthRows, group_of_weight: float
) -> np.ndarray:
    """Returns how much it counts to find each box: float64 [G]."""
    return np.where(
        groundtruth.is_group_of, group_of_weight, ~groundtruth.is_difficult
    )


def curve(true_positives_N: np.ndarray, num_groundtruth: float) -> Curve:
    """Computes precision and recall of the best 1, 2, ... N detections.

    Args:
        true_positives_N: float64 [N], in the order of falling scores.
        num_groundtruth: what there is to find, above 0.
    """
    right_N = np.cumsum(true_positives_N)
    wrong_N = np.cumsum(true_positives_N <= 0)
    precision_N = right_N / (right_N + wrong_N)
    return Curve(
        recall=right_N / num_groundtruth,
        precision=np.maximum.accumulate(precision_N[::-1])[::-1],
    )


def average_precision(curve_: Curve) -> float:
    """Returns the area under precision over recall, of all points."""
    steps = np.diff(curve_.recall, prepend=0.0)
    return float(np.sum(steps * curve_.precision))


def average_precision_of_11_points(curve_: Curve) -> float:
    """Returns the mean precision at recalls of 0, 0.1, ... 1.

    Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge"
    (2010), section 4.2: the measure of VOC 2007.
    """
    return float(np.mean(precision_at(curve_, np.linspace(0.0, 1.0, 11))))


def precision_at(curve_: Curve, recalls: np.ndarray) -> np.ndarray:
    """Reads the precision at these recalls, 0 beyond the curve's last one."""
    # A recall such as 0.1 + 0.2 has to reach the threshold 0.3.
    place = np.searchsorted(curve_.recall, recalls - 1e-9)
    return np.append(curve_.precision, 0.0)[place]


def _most_overlapped(
    groundtruth: box_rows.GroundtruthRows,
    detections: box_rows.DetectionRows,
    overlap: Overlap,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the box of its image and class that a detection overlaps most.

    Args:
        groundtruth: boxes to look at.
        detections: what looks at them.
        overlap: of boxes [P, 4] of detections and [P, 4] of groundtruth.

    Returns:
        Row of the box int64 [N], the first of equals, and the overlap float64
        [N]; -1 and -1 where there is no box.
    """
    key_G, key_N = _keys(groundtruth, detections)
    order_G = np.argsort(key_G, kind="stable")
    start_N = np.searchsorted(key_G, key_N, "left", sorter=order_G)
    count_N = np.searchsorted(key_G, key_N, "right", sorter=order_G) - start_N
    best_N = np.full(len(key_N), -1)
    overlap_N = np.full(len(key_N), -1.0)
    for rows in _chunks(np.flatnonzero(count_N), count_N):
        count = count_N[rows]
        first_pair = np.cumsum(count) - count
        # Rows of the boxes: start, start + 1, ... of each detection.
        place_P = np.arange(count.sum()) + np.repeat(
            start_N[rows] - first_pair, count
        )
        overlap_P = overlap(
            detections.boxes_yxyx[np.repeat(rows, count)],
            groundtruth.boxes_yxyx[order_G[place_P]],
        )
        overlap_N[rows] = np.maximum.reduceat(overlap_P, first_pair)
        is_best_P = overlap_P == np.repeat(overlap_N[rows], count)
        place_P[~is_best_P] = len(order_G)
        best_N[rows] = order_G[np.minimum.reduceat(place_P, first_pair)]
    return best_N, overlap_N


def _keys(
    groundtruth: box_rows.GroundtruthRows, detections: box_rows.DetectionRows
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the pairs of an image and a class: int64 [G] and [N]."""
    ids = np.concatenate([groundtruth.category_id, detections.category_id])
    stride = ids.max(initial=0) + 1
    return (
        groundtruth.image_index * stride + groundtruth.category_id,
        detections.image_index * stride + detections.category_id,
    )


def _chunks(rows: np.ndarray, count_N: np.ndarray) -> Iterator[np.ndarray]:
    """Cuts rows into pieces of about `_MAX_PAIRS` pairs each."""
    piece = np.cumsum(count_N[rows]) // _MAX_PAIRS
    cuts = np.flatnonzero(np.diff(piece)) + 1
    for chunk in np.split(rows, cuts):
        if len(chunk):
            yield chunk


def _first_of_each(box_N: np.ndarray, is_asking_N: np.ndarray) -> np.ndarray:
    """Marks the first of the detections that ask for the same box."""
    rows = np.flatnonzero(is_asking_N)
    _, first = np.unique(box_N[rows], return_index=True)
    is_first_N = np.zeros_like(is_asking_N)
    is_first_N[rows[first]] = True
    return is_first_N


def _intersection(boxes_P4: np.ndarray, others_P4: np.ndarray) -> np.ndarray:
    top_left = np.maximum(boxes_P4[:, :2], others_P4[:, :2])
    bottom_right = np.minimum(boxes_P4[:, 2:], others_P4[:, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    return sides[:, 0] * sides[:, 1]


def _iou(detected_P4: np.ndarray, groundtruth_P4: np.ndarray) -> np.ndarray:
    """Intersection over union; detections must have an area."""
    intersection = _intersection(detected_P4, groundtruth_P4)
    areas = box_rows.area_of(detected_P4) + box_rows.area_of(groundtruth_P4)
    return intersection / (areas - intersection)


def _ioa(detected_P4: np.ndarray, groundtruth_P4: np.ndarray) -> np.ndarray:
    """Intersection over the detection's area, which must not be 0."""
    intersection = _intersection(detected_P4, groundtruth_P4)
    return intersection / box_rows.area_of(detected_P4)
