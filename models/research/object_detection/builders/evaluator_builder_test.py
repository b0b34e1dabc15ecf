"""Wires from EvalConfig to evaluators and pictures."""

import numpy as np
import pytest

from object_detection.builders import evaluator_builder
from object_detection.core import errors
from object_detection.metrics import coco_evaluation
from object_detection.protos import eval_pb2

CATEGORIES = [{"id": 2, "name": "cat"}]


@pytest.mark.parametrize(
    "names", [[], ["coco_detection_metrics"], ["coco_detection_metrics"] * 2]
)
def test_coco_is_the_default_and_is_built_once(names):
    (evaluator,) = evaluator_builder.build(
        eval_pb2.EvalConfig(metrics_set=names), CATEGORIES
    )
    assert isinstance(evaluator, coco_evaluation.CocoDetectionEvaluator)


@pytest.mark.parametrize("wanted", [False, True])
def test_include_metrics_per_category(wanted):
    (evaluator,) = evaluator_builder.build(
        eval_pb2.EvalConfig(include_metrics_per_category=wanted), CATEGORIES
    )
    name = "DetectionBoxes_PerformanceByCategory/mAP/cat"
    assert (name in evaluator.compute().metrics) == wanted


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("coco_detection_metrics", "DetectionBoxes"),
        ("pascal_voc_detection_metrics", "PascalBoxes"),
        ("weighted_pascal_voc_detection_metrics", "WeightedPascalBoxes"),
        ("oid_V2_detection_metrics", "OpenImagesV2"),
        ("oid_challenge_detection_metrics", "OpenImagesChallenge2018"),
    ],
)
def test_each_set_has_metrics_of_its_own(name, prefix):
    (evaluator,) = evaluator_builder.build(
        eval_pb2.EvalConfig(metrics_set=[name]), CATEGORIES
    )
    metrics = evaluator.compute().metrics
    assert {key.partition("_")[0] for key in metrics} == {prefix}


def test_several_sets_are_built_each_once_with_coco_first():
    config = eval_pb2.EvalConfig(
        metrics_set=[
            "oid_V2_detection_metrics",
            "pascal_voc_detection_metrics",
            "coco_detection_metrics",
            "oid_V2_detection_metrics",
        ]
    )
    keys = [
        next(iter(evaluator.compute().metrics))
        for evaluator in evaluator_builder.build(config, CATEGORIES)
    ]
    assert keys == [
        "DetectionBoxes_Precision/mAP",
        "OpenImagesV2_Precision/mAP@0.5IOU",
        "PascalBoxes_Precision/mAP@0.5IOU",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("coco_mask_metrics", "no masks; use 'coco_detection_metrics'"),
        (
            "weighted_pascal_voc_instance_segmentation_metrics",
            "no masks; use 'weighted_pascal_voc_detection_metrics'",
        ),
        (
            "oid_v2_detection_metric",
            "no such set; did you mean 'oid_V2_detection_metrics'[?] Valid "
            "names: coco_detection_metrics, pascal_voc_detection_metrics, ",
        ),
        ("accuracy", "no such set; valid names: coco_detection_metrics, oid_"),
    ],
)
def test_other_sets_are_refused_by_name(name, reason):
    config = eval_pb2.EvalConfig(metrics_set=["coco_detection_metrics", name])
    message = f"eval_config.metrics_set: '{name}': .*{reason}"
    with pytest.raises(errors.ConfigError, match=message):
        evaluator_builder.build(config, CATEGORIES)
    with pytest.raises(errors.ConfigError, match=message):
        evaluator_builder.check_metrics_set(config)


def average_precision(fields, name):
    """Of one ordinary box that is found and of one difficult, not found."""
    config = eval_pb2.EvalConfig(metrics_set=[name], **fields)
    (evaluator,) = evaluator_builder.build(config, CATEGORIES)
    boxes = np.float32([[0, 0, 20, 10], [40, 0, 90, 30]])
    evaluator.add_single_ground_truth_image_info(
        1,
        {
            "groundtruth_boxes": boxes,
            "groundtruth_classes": np.array([2, 2]),
            "groundtruth_difficult": np.array([False, True]),
        },
    )
    evaluator.add_single_detected_image_info(
        1,
        {
            "detection_boxes": boxes[:1],
            "detection_classes": np.array([2]),
            "detection_scores": np.float32([0.5]),
        },
    )
    return next(iter(evaluator.compute().metrics.values()))


@pytest.mark.parametrize(
    "name",
    ["pascal_voc_detection_metrics", "weighted_pascal_voc_detection_metrics"],
)
def test_rules_of_pascal_voc(name):
    points = {"use_11_point_average_precision": True}
    difficult = {"count_difficult": True}
    assert average_precision({}, name) == 1.0
    assert average_precision(points, name) == 1.0
    assert average_precision(difficult, name) == 0.5
    both = average_precision(points | difficult, name)
    assert both == pytest.approx(6 / 11)


@pytest.mark.parametrize(
    "field", ["use_11_point_average_precision", "count_difficult"]
)
@pytest.mark.parametrize("names", [[], ["oid_V2_detection_metrics"]])
def test_a_rule_of_pascal_voc_needs_its_metrics(field, names):
    config = eval_pb2.EvalConfig(metrics_set=names, **{field: True})
    with pytest.raises(
        errors.ConfigError, match=f"^eval_config.{field}: .*pascal_voc.*, got "
    ):
        evaluator_builder.build(config, CATEGORIES)


def test_visualization_options():
    config = eval_pb2.EvalConfig(
        num_visualizations=3,
        min_score_threshold=0.25,
        max_num_boxes_to_visualize=7,
    )
    assert evaluator_builder.build_visualization(config) == (3, 0.25, 7)
    default = evaluator_builder.build_visualization(eval_pb2.EvalConfig())
    assert default == (10, 0.5, 20)
