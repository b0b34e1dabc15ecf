"""Builds what measures and draws detections from an `EvalConfig`."""

from collections.abc import Mapping, Sequence
from typing import Any

from object_detection.core import errors
from object_detection.metrics import coco_evaluation
from object_detection.metrics.evaluator import Evaluator
from object_detection.protos import eval_pb2
from object_detection.utils import visualization_utils as vis

COCO_DETECTION_METRICS = "coco_detection_metrics"

# In the original's list, with what to do instead.
_NOT_SUPPORTED = {
    "coco_mask_metrics": "detectors of the SSD family have no masks",
    "pascal_voc_instance_segmentation_metrics": (
        "detectors of the SSD family have no masks"
    ),
    "weighted_pascal_voc_instance_segmentation_metrics": (
        "detectors of the SSD family have no masks"
    ),
    "pascal_voc_detection_metrics": "it is not supported yet",
    "weighted_pascal_voc_detection_metrics": "it is not supported yet",
    "oid_V2_detection_metrics": "it is not supported yet",
    "oid_challenge_detection_metrics": "it is not supported yet",
}


def build(
    eval_config: eval_pb2.EvalConfig, categories: Sequence[Mapping[str, Any]]
) -> list[Evaluator]:
    """Builds the evaluators of `metrics_set`; COCO's when it is empty.

    Args:
        eval_config: what to measure.
        categories: mappings with 'id' and 'name', from the label map.

    Raises:
        ConfigError: a set is unknown or not supported.
    """
    names = dict.fromkeys(eval_config.metrics_set or [COCO_DETECTION_METRICS])
    for name in names:
        if name != COCO_DETECTION_METRICS:
            reason = _NOT_SUPPORTED.get(name, "there is no such set")
            raise errors.ConfigError(
                f"eval_config.metrics_set: {name!r}: {reason}; use "
                f"{COCO_DETECTION_METRICS!r}"
            )
    return [
        coco_evaluation.CocoDetectionEvaluator(
            categories,
            include_metrics_per_category=(
                eval_config.include_metrics_per_category
            ),
        )
    ]


def build_visualization(
    eval_config: eval_pb2.EvalConfig,
) -> vis.VisualizationOptions:
    """Returns which pictures of detections an evaluation draws."""
    return vis.VisualizationOptions(
        num_visualizations=eval_config.num_visualizations,
        min_score_threshold=eval_config.min_score_threshold,
        max_num_boxes=eval_config.max_num_boxes_to_visualize,
    )
