"""The Pascal VOC and Open Images sets against the original and by hand."""

import itertools
import json
import math
import os

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.metrics import voc_evaluation

GOLDEN = os.path.join(os.path.dirname(__file__), "testdata", "voc_golden.json")
# Not in the order of ids.
CATEGORIES = [{"id": 4, "name": "dog"}, {"id": 1, "name": "cat"}]
TALL, WIDE = [10, 20, 110, 50], [5, 60, 25, 96]
FAR = [200, 210, 240, 230]


def groundtruth(boxes, classes, **optional):
    return {
        "groundtruth_boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "groundtruth_classes": np.array(classes, np.int64),
        **{f"groundtruth_{k}": np.array(v) for k, v in optional.items()},
    }


def detections(boxes, classes, scores):
    return {
        "detection_boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "detection_classes": np.array(classes, np.int64),
        "detection_scores": np.array(scores, np.float32),
    }


def compute(images, metric_set=voc_evaluation.PASCAL, categories=CATEGORIES):
    evaluator = voc_evaluation.VocDetectionEvaluator(categories, metric_set)
    for image_id, gt, found in images:
        evaluator.add_single_ground_truth_image_info(image_id, gt)
        if found is not None:
            evaluator.add_single_detected_image_info(image_id, found)
    return evaluator.compute()


def mean(images, metric_set=voc_evaluation.PASCAL):
    metrics = compute(images, metric_set).metrics
    return metrics[f"{metric_set.prefix}_Precision/mAP@0.5IOU"]


@pytest.mark.parametrize("metric_set", voc_evaluation.METRIC_SETS)
def test_recorded_metrics_are_met(metric_set):
    with open(GOLDEN, encoding="utf-8") as file:
        golden = json.load(file)
    not_read = "difficult" if "Open" in metric_set.prefix else "group_of"
    images = []
    for number, image in enumerate(golden["images"]):
        flags = {
            name: image[name]
            for name in ("difficult", "group_of", "image_classes")
            if name != not_read
        }
        images.append(
            (
                number,
                groundtruth(image["boxes"], image["classes"], **flags),
                detections(
                    image["det_boxes"],
                    image["det_classes"],
                    image["det_scores"],
                ),
            )
        )
    metrics = compute(images, metric_set, golden["categories"]).metrics
    expected = {
        name: math.nan if value is None else value
        for name, value in golden["metrics"].items()
        if name.startswith(metric_set.prefix + "_")
    }
    assert metrics.keys() == expected.keys() and len(expected) == 6
    assert metrics == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_keys_classes_and_table():
    gt = groundtruth([TALL, WIDE, FAR], [4, 1, 4])
    # dog: wrong at .9, right at .8: half of the boxes at a precision of 1/2.
    found = detections([[0, 0, 9, 7], TALL, WIDE], [4, 4, 1], [0.9, 0.8, 0.7])
    result = compute([(7, gt, found)])
    assert result.metrics == pytest.approx(
        {
            "PascalBoxes_Precision/mAP@0.5IOU": 0.625,
            "PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat": 1.0,
            "PascalBoxes_PerformanceByCategory/AP@0.5IOU/dog": 0.25,
        }
    )
    assert all(isinstance(value, float) for value in result.metrics.values())
    cat, dog = result.categories
    assert (cat.name, cat.category_id, cat.num_groundtruth) == ("cat", 1, 1)
    assert (dog.num_groundtruth, dog.num_detections) == (2, 2)
    assert dog.average_precision == dog.average_precision_50 == 0.25
    assert dog.precision_50 == (0.5,) * 51 + (0.0,) * 50
    assert cat.precision_50 == (1.0,) * 101
    head, of_cat, of_dog = result.table.split("\n")
    assert "Pascal VOC @[ IoU=0.50 ]: mAP = 0.625 (2 of 2 classes" in head
    assert "AP = 1.000 of       1 boxes" in of_cat and ": cat" in of_cat
    assert "AP = 0.250 of       2 boxes,         2 detections: dog" in of_dog


def test_class_without_boxes_is_nan_and_not_in_the_mean():
    image = (3, groundtruth([TALL], [4]), detections([TALL], [4], [0.5]))
    result = compute([image])
    values = list(result.metrics.values())
    assert values[0] == values[2] == 1.0 and math.isnan(values[1])
    cat = result.categories[0]
    assert math.isnan(cat.average_precision) and cat.precision_50 == ()
    assert "(1 of 2 classes have groundtruth)" in result.table
    assert "cat" not in result.table


def test_pooled_mean_weighs_detections_of_classes_that_have_boxes():
    # Two of two cats, one of two dogs behind a wrong one; fish have no box.
    images = [
        (
            1,
            groundtruth([TALL, WIDE, TALL, FAR], [1, 1, 4, 4]),
            detections(
                [TALL, WIDE, FAR, TALL, WIDE],
                [1, 1, 4, 9, 9],
                [0.9, 0.5, 0.6, 0.99, 0.98],
            ),
        ),
        (2, groundtruth([], []), detections([FAR], [4], [0.7])),
    ]
    categories = [*CATEGORIES, {"id": 9, "name": "fish"}]
    found = compute(images, voc_evaluation.WEIGHTED_PASCAL, categories)
    # right .9, wrong .7, right .6, right .5 of 4 boxes.
    pooled = found.metrics["WeightedPascalBoxes_Precision/mAP@0.5IOU"]
    assert pooled == pytest.approx(0.25 * 1 + 0.5 * 0.75)
    assert mean(images) == pytest.approx((1 + 0.5 * 0.5) / 2)


def test_groups_weigh_nothing_but_in_the_challenge():
    part = [12, 22, 30, 30]
    images = [
        (
            1,
            groundtruth([TALL, WIDE], [1, 1], group_of=[True, False]),
            detections([part, WIDE, part], [1, 1, 1], [0.9, 0.8, 0.7]),
        ),
        (2, groundtruth([TALL], [1], group_of=[True]), None),
    ]
    for metric_set in voc_evaluation.METRIC_SETS[:3]:
        assert mean(images, metric_set) == 1.0
    # Two of three: one group is found, the other not.
    challenge = compute(images, voc_evaluation.OPEN_IMAGES_CHALLENGE)
    assert challenge.categories[0].average_precision == pytest.approx(2 / 3)
    assert challenge.categories[0].num_groundtruth == 3
    without = [
        (id_, {**gt, "groundtruth_group_of": [0] * n}, found)
        for (id_, gt, found), n in zip(images, (2, 1), strict=True)
    ]
    # wrong, right, wrong of three.
    assert mean(without) == pytest.approx(1 / 3 * 1 / 2)


def test_only_the_challenge_asks_which_classes_were_looked_for():
    images = [
        # Cats were looked for and are not there; dogs were not looked for.
        (
            1,
            groundtruth([], [], image_classes=[1]),
            detections([TALL, WIDE], [1, 4], [0.9, 0.8]),
        ),
        # A box says the same as a label.
        (
            2,
            groundtruth([TALL, WIDE], [4, 1]),
            detections([WIDE, TALL, FAR], [1, 4, 4], [0.5, 0.6, 0.7]),
        ),
    ]
    by_class = [
        [item.average_precision for item in compute(images, one).categories]
        for one in (
            voc_evaluation.OPEN_IMAGES_V2,
            voc_evaluation.OPEN_IMAGES_CHALLENGE,
        )
    ]
    assert by_class[0] == pytest.approx([1 / 2, 1 / 3])
    assert by_class[1] == pytest.approx([1 / 2, 1 / 2])


def test_detection_without_an_area_is_left_out():
    flat = [[10, 20, 10, 50], [10, 20, 110, 20], [30, 20, 10, 50]]
    image = groundtruth([TALL], [1])
    found = detections([*flat, TALL], [1] * 4, [0.9, 0.8, 0.7, 0.6])
    for metric_set in voc_evaluation.METRIC_SETS:
        assert mean([(1, image, found)], metric_set) == 1.0


def variant(**changes):
    return voc_evaluation.PASCAL._replace(**changes)


def column(num_boxes):
    """Returns boxes apart from each other, of unequal sides."""
    return [[30 * i, 5, 30 * i + 20, 5 + 7 * (i + 1)] for i in range(num_boxes)]


def test_average_precision_of_11_points_and_of_the_area():
    boxes = column(4)
    nowhere = [900, 900, 950, 980]
    # right, wrong, right, wrong, right of four: the precision is 1 up to a
    # recall of 1/4, 2/3 up to 2/4 and 3/5 up to 3/4.
    found = [boxes[0], nowhere, boxes[1], nowhere, boxes[2]]
    image = (
        1,
        groundtruth(boxes, [1] * 4),
        detections(found, [1] * 5, [0.9, 0.8, 0.7, 0.6, 0.5]),
    )
    assert mean([image]) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    # At 0, 0.1, 0.2; at 0.3, 0.4, 0.5; at 0.6, 0.7; and three times nothing.
    expected = (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11
    points = variant(uses_11_points=True)
    assert mean([image], points) == pytest.approx(expected)
    cat = compute([image], points).categories[0]
    assert (
        cat.average_precision
        == cat.average_precision_50
        == (pytest.approx(expected))
    )
    assert cat.precision_50[75] == pytest.approx(3 / 5)
    pooled = points._replace(is_mean_weighted=True)
    assert mean([image], pooled) == pytest.approx(expected)


def test_a_recall_of_three_tenths_reaches_the_fourth_of_11_points():
    boxes = column(10)
    image = (
        1,
        groundtruth(boxes, [1] * 10),
        detections(boxes[:3], [1] * 3, [0.9, 0.8, 0.7]),
    )
    points = variant(uses_11_points=True)
    assert mean([image], points) == pytest.approx(4 / 11)
    nothing = (1, groundtruth(boxes, [1] * 10), None)
    assert mean([nothing], points) == 0.0


def test_difficult_boxes_count_when_they_shall():
    image = (
        1,
        groundtruth([TALL, WIDE, FAR], [1, 1, 1], difficult=[0, 1, 1]),
        detections([WIDE, TALL], [1, 1], [0.9, 0.8]),
    )
    assert mean([image]) == 1.0
    counting = variant(counts_difficult=True)
    assert mean([image], counting) == pytest.approx(2 / 3)
    assert compute([image], counting).categories[0].num_groundtruth == 3


def test_order_of_images_does_not_matter_with_equal_scores():
    rng = np.random.default_rng(5)
    images = []
    for image_id in (3, 10, 2**62, 7):
        boxes = rng.integers(0, 60, (5, 4)).astype(float)
        boxes[:, 2:] = boxes[:, :2] + [[30, 70]]
        near = boxes + rng.integers(-9, 9, (5, 4))
        images.append(
            (
                image_id,
                groundtruth(
                    boxes, rng.choice([1, 4], 5), group_of=rng.random(5) < 0.3
                ),
                detections(near, rng.choice([1, 4], 5), [0.5] * 5),
            )
        )
    for metric_set in voc_evaluation.METRIC_SETS:
        results = [
            compute(order, metric_set).metrics
            for order in itertools.permutations(images)
        ]
        assert 0 < min(results[0].values()) < 1
        assert all(result == results[0] for result in results)


@pytest.mark.parametrize("metric_set", voc_evaluation.METRIC_SETS)
def test_no_groundtruth_or_no_detections_warn(metric_set, caplog):
    empty, one = groundtruth([], []), groundtruth([TALL], [4])
    found = detections([TALL], [4], [0.5])
    for images in ([], [(1, empty, found)]):
        caplog.clear()
        result = compute(images, metric_set)
        assert all(map(math.isnan, result.metrics.values()))
        assert f"in {len(images)} images, so every value is NaN" in caplog.text
        assert "mAP =   n/a (0 of 2" in result.table
    assert mean([(1, one, None)], metric_set) == 0.0
    assert "no detections in 1 images" in caplog.text
    difficult = groundtruth([TALL], [4], difficult=[True])
    assert math.isnan(mean([(1, difficult, found)], metric_set))


def test_unknown_classes_are_left_out_and_counted(caplog):
    image = (
        1,
        groundtruth([TALL, WIDE], [4, 9], image_classes=[8, 1, 8]),
        detections([TALL, WIDE], [4, 9], [0.5, 0.9]),
    )
    assert mean([image], voc_evaluation.OPEN_IMAGES_CHALLENGE) == 1.0
    title = "Open Images Challenge 2018 evaluation leaves out "
    assert title + "1 of 2 groundtruth boxes" in caplog.text
    assert title + "1 of 2 detected boxes" in caplog.text
    assert title + "2 of 3 image-level labels" in caplog.text
    assert "not in the label map: 8 (2)" in caplog.text


def test_classes_in_any_script_have_keys_of_their_own():
    categories = [
        {"id": 1, "name": "信号机"},
        {"id": 2, "name": "Café"},
        {"id": 3, "name": "交通"},
    ]
    result = compute([], categories=categories)
    assert [name.rpartition("/")[2] for name in result.metrics] == [
        "mAP@0.5IOU",
        "信号机",
        "Cafe",
        "交通",
    ]
    assert [item.name for item in result.categories][1] == "Café"


def test_long_label_map_is_cut_in_the_table_alone():
    count = 60
    categories = [{"id": i, "name": f"c{i}"} for i in range(1, count + 1)]
    boxes = [[i, 2 * i, i + 9, 2 * i + 7] for i in range(count)]
    image = (1, groundtruth(boxes, range(1, count + 1)), None)
    result = compute([image], categories=categories)
    assert len(result.metrics) == 1 + count
    assert len(result.table.split("\n")) == 1 + 50 + 1
    assert result.table.endswith("and 10 classes more")


def test_duplicate_image_is_an_error_and_clear_forgets():
    image = groundtruth([TALL], [4], image_classes=[1])
    evaluator = voc_evaluation.VocDetectionEvaluator(
        CATEGORIES, voc_evaluation.PASCAL
    )
    evaluator.add_single_ground_truth_image_info(8, image)
    with pytest.raises(errors.DataError, match="image id 8 was added before"):
        evaluator.add_single_ground_truth_image_info(8, image)
    evaluator.clear()
    assert math.isnan(list(evaluator.compute().metrics.values())[0])
    with pytest.raises(ValueError, match=r"groundtruth_difficult must be \[1"):
        evaluator.add_single_ground_truth_image_info(
            8, groundtruth([TALL], [4], difficult=[True, False])
        )
