"""Builds what measures and draws detections from an `EvalConfig`."""

from collections.abc import Mapping, Sequence
from typing import Any

from object_detection.core import errors
from object_detection.metrics import coco_evaluation, voc_evaluation
from object_detection.metrics.evaluator import Evaluator
from object_detection.protos import eval_pb2
from object_detection.utils import config_hints
from object_detection.utils import visualization_utils as vis

COCO_DETECTION_METRICS = "coco_detection_metrics"

_VOC_SETS = {
    "pascal_voc_detection_metrics": voc_evaluation.PASCAL,
    "weighted_pascal_voc_detection_metrics": voc_evaluation.WEIGHTED_PASCAL,
    "oid_V2_detection_metrics": voc_evaluation.OPEN_IMAGES_V2,
    "oid_challenge_detection_metrics": voc_evaluation.OPEN_IMAGES_CHALLENGE,
}
METRIC_SETS = (COCO_DETECTION_METRICS, *_VOC_SETS)

# The fields of these sets alone.
_PASCAL_SETS = (
    "pascal_voc_detection_metrics",
    "weighted_pascal_voc_detection_metrics",
)
_PASCAL_FIELDS = ("use_11_point_average_precision", "count_difficult")

# In the original's list, with the set to use instead.
_SETS_OF_MASKS = {
    "coco_mask_metrics": COCO_DETECTION_METRICS,
    "pascal_voc_instance_segmentation_metrics": "pascal_voc_detection_metrics",
    "weighted_pascal_voc_instance_segmentation_metrics": (
        "weighted_pascal_voc_detection_metrics"
    ),
}


def build(
    eval_config: eval_pb2.EvalConfig, categories: Sequence[Mapping[str, Any]]
) -> list[Evaluator]:
    """Builds the evaluators of `metrics_set`; COCO's when it is empty.

    COCO's comes first: the classes in a report are those of the first one.

    Args:
        eval_config: what to measure.
        categories: mappings with 'id' and 'name', from the label map.

    Raises:
        ConfigError: a set is unknown or not supported.
    """
    check_metrics_set(eval_config)
    names = dict.fromkeys(eval_config.metrics_set or [COCO_DETECTION_METRICS])
    evaluators: list[Evaluator] = []
    if COCO_DETECTION_METRICS in names:
        evaluators.append(
            coco_evaluation.CocoDetectionEvaluator(
                categories,
                include_metrics_per_category=(
                    eval_config.include_metrics_per_category
                ),
            )
        )
    return evaluators + [
        voc_evaluation.VocDetectionEvaluator(
            categories, _voc_set(eval_config, name)
        )
        for name in names
        if name in _VOC_SETS
    ]


def _voc_set(
    eval_config: eval_pb2.EvalConfig, name: str
) -> voc_evaluation.MetricSet:
    metric_set = _VOC_SETS[name]
    if name not in _PASCAL_SETS:
        return metric_set
    if eval_config.use_11_point_average_precision:
        metric_set = metric_set._replace(
            uses_11_points=True, title=f"{metric_set.title}, 11 points"
        )
    return metric_set._replace(counts_difficult=eval_config.count_difficult)


def check_metrics_set(eval_config: eval_pb2.EvalConfig) -> None:
    """Makes sure that each set of metrics is one that can be measured.

    Raises:
        ConfigError: a set is unknown or not supported, or a field needs
            another set.
    """
    for field in _PASCAL_FIELDS:
        if getattr(eval_config, field) and not (
            set(_PASCAL_SETS) & set(eval_config.metrics_set)
        ):
            raise errors.ConfigError(
                f"eval_config.{field}: true needs metrics_set "
                f"'{_PASCAL_SETS[0]}' or '{_PASCAL_SETS[1]}', got "
                f"{list(eval_config.metrics_set) or [COCO_DETECTION_METRICS]}"
            )
    for name in eval_config.metrics_set:
        if name in METRIC_SETS:
            continue
        if name in _SETS_OF_MASKS:
            reason = (
                "detectors of the SSD family have no masks; use "
                f"'{_SETS_OF_MASKS[name]}'"
            )
        else:
            hint = config_hints.nearest_name(name, METRIC_SETS)
            reason = f"there is no such set; {hint}"
            if "valid names" not in hint:
                reason += f" Valid names: {', '.join(METRIC_SETS)}"
        raise errors.ConfigError(f"eval_config.metrics_set: {name!r}: {reason}")


def build_visualization(
    eval_config: eval_pb2.EvalConfig,
) -> vis.VisualizationOptions:
    """Returns which pictures of detections an evaluation draws."""
    return vis.VisualizationOptions(
        num_visualizations=eval_config.num_visualizations,
        min_score_threshold=eval_config.min_score_threshold,
        max_num_boxes=eval_config.max_num_boxes_to_visualize,
    )
