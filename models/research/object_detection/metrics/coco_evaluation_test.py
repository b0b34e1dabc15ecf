"""The evaluator's contract: keys, ids, areas, classes, warnings."""

import itertools

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.metrics import coco_evaluation, coco_tools

# Not in the order of ids.
CATEGORIES = [{"id": 4, "name": "dog"}, {"id": 1, "name": "cat"}]

TWELVE_KEYS = [
    "DetectionBoxes_Precision/mAP",
    "DetectionBoxes_Precision/mAP@.50IOU",
    "DetectionBoxes_Precision/mAP@.75IOU",
    "DetectionBoxes_Precision/mAP (small)",
    "DetectionBoxes_Precision/mAP (medium)",
    "DetectionBoxes_Precision/mAP (large)",
    "DetectionBoxes_Recall/AR@1",
    "DetectionBoxes_Recall/AR@10",
    "DetectionBoxes_Recall/AR@100",
    "DetectionBoxes_Recall/AR@100 (small)",
    "DetectionBoxes_Recall/AR@100 (medium)",
    "DetectionBoxes_Recall/AR@100 (large)",
]


def groundtruth(boxes, classes, **optional):
    return {
        "groundtruth_boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "groundtruth_classes": np.array(classes),
        **{f"groundtruth_{k}": np.array(v) for k, v in optional.items()},
    }


def detections(boxes, classes, scores):
    return {
        "detection_boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "detection_classes": np.array(classes, np.float32),
        "detection_scores": np.array(scores, np.float32),
    }


def evaluator_of(images, **kwargs):
    evaluator = coco_evaluation.CocoDetectionEvaluator(CATEGORIES, **kwargs)
    for image_id, gt, found in images:
        evaluator.add_single_ground_truth_image_info(image_id, gt)
        if found is not None:
            evaluator.add_single_detected_image_info(image_id, found)
    return evaluator


def test_keys_values_and_printed_table(capsys):
    tall, wide = [10, 20, 110, 50], [5, 6, 25, 96]
    metrics = evaluator_of(
        [
            (
                7,
                groundtruth([tall, wide], [4, 1]),
                detections([tall], [4], [0.9]),
            )
        ]
    ).evaluate()
    assert list(metrics) == TWELVE_KEYS
    assert all(isinstance(value, float) for value in metrics.values())
    assert metrics["DetectionBoxes_Precision/mAP"] == pytest.approx(0.5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[0] == (
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | "
        "maxDets=100 ] = 0.500"
    )


def test_per_category_values_follow_names_not_order():
    tall, wide = [10, 20, 110, 50], [5, 6, 25, 96]
    evaluator = evaluator_of(
        [
            (
                7,
                groundtruth([tall, wide, wide], [4, 1, 4]),
                detections([tall, wide], [4, 1], [0.9, 0.8]),
            )
        ],
        include_metrics_per_category=True,
    )
    result = evaluator.compute()
    prefix = "DetectionBoxes_PerformanceByCategory/mAP/"
    assert list(result.metrics)[12:] == [prefix + "cat", prefix + "dog"]
    assert result.metrics[prefix + "cat"] == pytest.approx(1.0)
    # Half of the boxes are found: 51 of 101 recall points.
    assert result.metrics[prefix + "dog"] == pytest.approx(51 / 101)
    cat, dog = result.categories
    assert (cat.name, cat.category_id, cat.num_groundtruth) == ("cat", 1, 1)
    assert (dog.name, dog.num_groundtruth, dog.num_detections) == ("dog", 2, 1)
    assert dog.precision_50[50] == pytest.approx(1.0)
    assert dog.precision_50[51] == 0.0


def test_corners_are_ymin_xmin_ymax_xmax():
    collection = evaluator_of(
        [
            (
                1,
                groundtruth([[10, 20, 40, 100]], [4]),
                detections([[1, 2, 4, 10]], [1], [0.5]),
            )
        ]
    )._collected()
    table = coco_evaluation._groundtruth_table(collection.groundtruth)
    found = coco_evaluation._detection_table(collection.detections)
    np.testing.assert_array_equal(table.boxes_xywh, [[20, 10, 80, 30]])
    np.testing.assert_array_equal(table.area, [2400])
    np.testing.assert_array_equal(found.boxes_xywh, [[2, 1, 8, 3]])


def test_recorded_area_beats_that_of_the_box_unless_negative():
    box = [0, 0, 40, 50]
    cases = {None: "medium", -1.0: "medium", 900.0: "small", 9999.0: "large"}
    for area, size in cases.items():
        optional = {} if area is None else {"area": [area]}
        metrics = evaluator_of(
            [(1, groundtruth([box], [4], **optional), None)]
        ).evaluate()
        measured = [
            name
            for name in ("small", "medium", "large")
            if metrics[f"DetectionBoxes_Precision/mAP ({name})"] != -1
        ]
        assert measured == [size], area


def test_crowd_flag_reaches_the_metric():
    box, other = [10, 20, 110, 50], [200, 200, 300, 450]
    found = detections([box, [210, 220, 290, 260]], [4, 4], [0.5, 0.9])
    ap = [
        evaluator_of(
            [(1, groundtruth([box, other], [4, 4], is_crowd=crowd), found)]
        ).evaluate()["DetectionBoxes_Precision/mAP"]
        for crowd in ([False, True], [False, False])
    ]
    assert ap == pytest.approx([1.0, 0.5 * 51 / 101])


def test_classes_of_one_name_keep_apart():
    evaluator = coco_evaluation.CocoDetectionEvaluator(
        [{"id": 4, "name": "cat"}, {"id": 2, "name": "cat"}],
        include_metrics_per_category=True,
    )
    prefix = "DetectionBoxes_PerformanceByCategory/mAP/"
    assert list(evaluator.compute().metrics)[12:] == [
        prefix + "cat (id 2)",
        prefix + "cat (id 4)",
    ]


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
                groundtruth(boxes, rng.choice([1, 4], 5)),
                detections(near, rng.choice([1, 4], 5), [0.5] * 5),
            )
        )
    results = [
        evaluator_of(order).compute().metrics
        for order in itertools.permutations(images)
    ]
    assert 0 < results[0]["DetectionBoxes_Precision/mAP"] < 1
    assert all(result == results[0] for result in results)


def test_classes_outside_the_label_map_are_left_out_and_counted(caplog):
    box, other = [10, 20, 110, 50], [5, 6, 25, 96]
    metrics = evaluator_of(
        [
            (
                1,
                groundtruth([box, other], [4, 9]),
                detections([box, other, other], [4, 0, 9], [0.5, 0.9, 0.9]),
            )
        ]
    ).evaluate()
    assert metrics["DetectionBoxes_Precision/mAP"] == pytest.approx(1.0)
    assert "leaves out 1 of 2 groundtruth boxes" in caplog.text
    assert "leaves out 2 of 3 detected boxes" in caplog.text
    assert "0 (1), 9 (1)" in caplog.text


@pytest.mark.parametrize("backend", coco_tools.BACKENDS)
def test_no_groundtruth_or_no_detections_warn_and_give_values(backend, caplog):
    box = [10, 20, 110, 50]
    empty, one = groundtruth([], []), groundtruth([box], [4])
    found = detections([box], [4], [0.5])
    metrics = evaluator_of([(1, empty, found)], backend=backend).evaluate()
    assert set(metrics.values()) == {-1.0}
    assert "no groundtruth boxes in 1 images" in caplog.text
    for missed in (None, detections([], [], [])):
        caplog.clear()
        metrics = evaluator_of([(1, one, missed)], backend=backend).evaluate()
        assert metrics["DetectionBoxes_Precision/mAP"] == 0.0
        assert "no detections in 1 images" in caplog.text
    caplog.clear()
    evaluator_of([], backend=backend).evaluate()
    assert "no groundtruth boxes in 0 images" in caplog.text


def test_classes_that_never_meet_are_warned_about(caplog):
    box = [10, 20, 110, 50]
    evaluator_of(
        [(1, groundtruth([box], [4]), detections([box], [1], [0.9]))]
    ).evaluate()
    assert "no class is both in the groundtruth" in caplog.text


def test_duplicate_image_is_an_error_and_clear_forgets():
    image = groundtruth([[10, 20, 110, 50]], [4])
    found = detections([[10, 20, 110, 50]], [4], [0.9])
    evaluator = evaluator_of([(8, image, found)])
    with pytest.raises(errors.DataError, match="image id 8 was added before"):
        evaluator.add_single_ground_truth_image_info(8, image)
    with pytest.raises(errors.DataError, match="detections of image id 8"):
        evaluator.add_single_detected_image_info(8, found)
    evaluator.clear()
    evaluator.add_single_ground_truth_image_info(8, image)
    assert evaluator.evaluate()["DetectionBoxes_Precision/mAP"] == 0.0


def test_wrong_arguments_are_refused():
    evaluator = evaluator_of([])
    with pytest.raises(ValueError, match="add the groundtruth of image 1"):
        evaluator.add_single_detected_image_info(1, detections([], [], []))
    with pytest.raises(ValueError, match=r"boxes must be \[N, 4\] yxyx"):
        evaluator.add_single_ground_truth_image_info(
            1, {"groundtruth_boxes": np.zeros(4), "groundtruth_classes": []}
        )
    with pytest.raises(ValueError, match=r"groundtruth_area must be \[1\]"):
        evaluator.add_single_ground_truth_image_info(
            1, groundtruth([[1, 2, 3, 4]], [1], area=[5.0, 6.0])
        )
    with pytest.raises(ValueError, match=r"repeated ids: \['1'\]"):
        coco_evaluation.CocoDetectionEvaluator(
            [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]
        )
