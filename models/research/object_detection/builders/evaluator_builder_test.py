"""Wires from EvalConfig to evaluators and pictures."""

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
    ("name", "reason"),
    [
        ("pascal_voc_detection_metrics", "not supported yet"),
        ("coco_mask_metrics", "no masks"),
        ("coco_detection_metric", "no such set"),
    ],
)
def test_other_sets_are_refused_by_name(name, reason):
    config = eval_pb2.EvalConfig(metrics_set=["coco_detection_metrics", name])
    with pytest.raises(
        errors.ConfigError,
        match=f"eval_config.metrics_set: '{name}': .*{reason}",
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
