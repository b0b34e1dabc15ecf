"""COCO arrays by hand, and one backend against the other."""

import contextlib
import io
import itertools

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from object_detection.metrics import coco_tools

CATEGORIES = [{"id": 2, "name": "cat"}, {"id": 5, "name": "dog"}]


def groundtruth_table(rows):
    """Rows of (image, category, x, y, w, h, area, is_crowd)."""
    values = np.array(rows, np.float64).reshape(-1, 8)
    return coco_tools.GroundtruthTable(
        image_index=values[:, 0].astype(np.int64),
        category_id=values[:, 1].astype(np.int64),
        boxes_xywh=values[:, 2:6],
        area=values[:, 6],
        is_crowd=values[:, 7].astype(bool),
    )


def detection_table(rows):
    """Rows of (image, category, x, y, w, h, score)."""
    values = np.array(rows, np.float64).reshape(-1, 7)
    return coco_tools.DetectionTable(
        image_index=values[:, 0].astype(np.int64),
        category_id=values[:, 1].astype(np.int64),
        boxes_xywh=values[:, 2:6],
        scores=values[:, 6],
    )


def summarize(gt_rows, detection_rows, num_images=1, **kwargs):
    arrays = coco_tools.evaluate_boxes(
        groundtruth_table(gt_rows),
        detection_table(detection_rows),
        CATEGORIES,
        num_images,
        **kwargs,
    )
    return coco_tools.summarize(arrays)


def random_tables(seed):
    """Crowds, equal scores, exact thresholds, edge areas, 250 detections."""
    rng = np.random.default_rng(seed)
    num_images = int(rng.integers(1, 30))
    on_grid, with_ties = rng.random(2) < 0.6
    crowd_share = rng.choice([0.0, 0.1, 0.5])
    gt_rows, detection_rows = [], []
    for image in range(num_images):
        boxes = np.stack(
            [
                rng.integers(0, 200, 8),
                rng.integers(0, 200, 8),
                rng.choice([0, 1, 16, 32, 33, 96, 97, 128], 8),
                rng.choice([0, 2, 20, 32, 64, 96], 8),
            ],
            axis=1,
        ).astype(float)[: rng.integers(0, 9)]
        ids = rng.choice([2, 5], len(boxes))
        for box, id_ in zip(boxes, ids, strict=True):
            area = box[2] * box[3] * rng.choice([1.0, 0.6])
            gt_rows.append((image, id_, *box, area, rng.random() < crowd_share))
        for _ in range(int(rng.choice([0, 3, 20, 250]))):
            id_, box = rng.choice([2, 5]), np.array([20, 30, 32, 33.0])
            if len(boxes) and rng.random() < 0.7:
                row = rng.integers(len(boxes))
                noise = rng.integers(-4, 5, 4) if on_grid else rng.normal(0, 5)
                box, id_ = np.maximum(boxes[row] + noise, 0), ids[row]
            score = np.round(rng.random(), 1 if with_ties else 9)
            detection_rows.append((image, id_, *box, score))
    return (
        groundtruth_table(gt_rows),
        detection_table(detection_rows),
        CATEGORIES,
        num_images,
    )


@pytest.mark.parametrize("seed", range(40))
def test_both_backends_return_the_same_bits(seed):
    tables = random_tables(seed)
    fast = coco_tools.evaluate_boxes(*tables, "faster_coco_eval")
    reference = coco_tools.evaluate_boxes(*tables, "pycocotools")
    np.testing.assert_array_equal(fast.precision, reference.precision)
    np.testing.assert_array_equal(fast.recall, reference.recall)


def test_random_tables_reach_lone_detections_and_crowds():
    lone = 1 / (1 + 2.0**-52)
    reached = {"lone": False, "run": False, "crowd": False, "over_100": False}
    for tables in map(random_tables, range(40)):
        precision = coco_tools.evaluate_boxes(*tables).precision
        reached["lone"] |= bool((precision == lone).any())
        reached["run"] |= bool((precision == 1.0).any())
        reached["crowd"] |= bool(tables[0].is_crowd.any())
        per_image = np.bincount(
            tables[1].image_index * 9 + tables[1].category_id
        )
        reached["over_100"] |= bool(per_image.max(initial=0) > 100)
    assert all(reached.values()), reached


def pycocotools_summary(groundtruth, detections, categories, num_images):
    def indexed(rows):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(num_images)],
            "categories": categories,
            "annotations": rows,
        }
        coco.createIndex()
        return coco

    counter = itertools.count(1)
    gt_rows = [
        dict(
            id=next(counter), image_id=int(i), category_id=int(c), bbox=list(b)
        )
        | dict(area=a, iscrowd=int(crowd))
        for i, c, b, a, crowd in zip(*groundtruth, strict=True)
    ]
    rows = [
        dict(
            id=next(counter), image_id=int(i), category_id=int(c), bbox=list(b)
        )
        | dict(area=b[2] * b[3], iscrowd=0, score=score)
        for i, c, b, score in zip(*detections, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(indexed(gt_rows), indexed(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        evaluation.summarize()
    return evaluation.stats, printed.getvalue()


@pytest.mark.parametrize("seed", [3, 11, 12])
def test_summary_is_that_of_pycocotools_to_the_letter(seed):
    tables = random_tables(seed)
    stats, printed = pycocotools_summary(*tables)
    arrays = coco_tools.evaluate_boxes(*tables)
    np.testing.assert_array_equal(
        list(coco_tools.summarize(arrays).values()), stats
    )
    assert coco_tools.summary_table(arrays) + "\n" == printed


def test_average_precision_of_three_detections_by_hand():
    gt = [(0, 2, 10, 20, 40, 50, 2000, 0), (0, 2, 100, 20, 60, 30, 1800, 0)]
    detections = [
        (0, 2, 10, 20, 40, 50, 0.9),
        (0, 2, 200, 200, 60, 30, 0.8),
        (0, 2, 100, 20, 60, 30, 0.7),
    ]
    # Precision 1 up to recall .5 (51 of 101 points), then 2/3.
    expected = (51 + 50 * 2 / 3) / 101
    values = summarize(gt, detections)
    assert values["Precision/mAP"] == pytest.approx(expected, abs=1e-12)
    assert values["Precision/mAP (medium)"] == pytest.approx(expected)
    assert values["Precision/mAP (small)"] == -1
    assert values["Recall/AR@1"] == 0.5
    assert values["Recall/AR@10"] == 1.0


def test_iou_of_asymmetric_boxes_decides_at_which_thresholds_it_counts():
    # 31 of 50 rows overlap on a box 20 wide: IoU 0.62, so .50 .55 .60 match.
    gt = [(0, 5, 7, 100, 20, 50, 1000, 0)]
    values = summarize(gt, [(0, 5, 7, 100, 20, 31, 0.3)])
    assert values["Precision/mAP"] == pytest.approx(0.3)
    assert values["Precision/mAP@.50IOU"] == pytest.approx(1.0)
    assert values["Precision/mAP@.75IOU"] == 0.0


def test_detection_of_another_class_or_image_does_not_count():
    gt = [(0, 2, 10, 20, 40, 50, 2000, 0)]
    assert summarize(gt, [(0, 5, 10, 20, 40, 50, 1)])["Precision/mAP"] == 0
    in_other_image = [(1, 2, 10, 20, 40, 50, 1)]
    assert summarize(gt, in_other_image, num_images=2)["Precision/mAP"] == 0


def test_detections_on_a_crowd_are_neither_right_nor_wrong():
    box = (0, 2, 10, 20, 40, 50, 2000, 0)
    crowd = (0, 2, 100, 100, 200, 200, 40000, 1)
    hit = (0, 2, 10, 20, 40, 50, 0.5)
    in_crowd = [(0, 2, 110, 110, 30, 90, 0.9), (0, 2, 200, 150, 40, 20, 0.8)]
    with_crowd = summarize([box, crowd], [hit, *in_crowd])
    without = summarize([box], [hit, *in_crowd])
    assert with_crowd["Precision/mAP"] == pytest.approx(1.0)
    assert without["Precision/mAP"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("area", "sizes"),
    [
        (32**2 - 1, {"small"}),
        (32**2, {"small", "medium"}),
        (32**2 + 1, {"medium"}),
        (96**2, {"medium", "large"}),
        (96**2 + 1, {"large"}),
    ],
)
def test_area_at_the_edge_of_two_sizes_counts_in_both(area, sizes):
    gt = [(0, 2, 10, 20, 40, 50, area, 0)]
    values = summarize(gt, [(0, 2, 10, 20, 40, 50, 0.9)])
    found = {
        size
        for size in ("small", "medium", "large")
        if values[f"Recall/AR@100 ({size})"] == 1.0
    }
    assert found == sizes


@pytest.mark.parametrize("backend", coco_tools.BACKENDS)
def test_nothing_to_find_is_minus_one_and_nothing_found_is_zero(backend):
    box, found = (0, 2, 10, 20, 40, 50, 2000, 0), (0, 2, 1, 2, 4, 5, 0.9)
    nothing = summarize([], [found], backend=backend)
    assert set(nothing.values()) == {-1.0} and len(nothing) == 12
    missed = summarize([box], [], backend=backend)
    assert missed["Precision/mAP"] == missed["Recall/AR@100"] == 0.0
    assert missed["Precision/mAP (large)"] == -1.0
    empty = summarize([], [], num_images=0, backend=backend)
    assert set(empty.values()) == {-1.0}


def test_unknown_backend_and_no_categories_are_refused():
    with pytest.raises(ValueError, match="backend must be one of"):
        summarize([], [], backend="cocoapi")
    with pytest.raises(ValueError, match="at least one category"):
        coco_tools.evaluate_boxes(
            groundtruth_table([]), detection_table([]), [], 1
        )
