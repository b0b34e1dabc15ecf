"""The tables of a report: what the sets of metrics say, and of each class."""

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from object_detection.metrics import (
    category_names,
    coco_evaluation,
    voc_evaluation,
)
from object_detection.metrics.evaluator import CategoryResult
from object_detection.utils import report_figures, report_html
from object_detection.utils.evaluation_files import EvaluationRecord

_COCO_MAIN = {
    "DetectionBoxes_Precision/mAP": "mAP",
    "DetectionBoxes_Precision/mAP@.50IOU": "mAP at IoU .50",
}
_COCO_ROWS = {
    "Precision/mAP": "mean over IoU .50 to .95",
    "Precision/mAP@.50IOU": "at IoU .50",
    "Precision/mAP@.75IOU": "at IoU .75",
    "Precision/mAP (small)": "area up to 32² pixels",
    "Precision/mAP (medium)": "area 32² to 96² pixels",
    "Precision/mAP (large)": "area above 96² pixels",
    "Recall/AR@1": "with 1 detection an image",
    "Recall/AR@10": "with 10 detections an image",
    "Recall/AR@100": "with 100 detections an image",
    "Recall/AR@100 (small)": "area up to 32² pixels",
    "Recall/AR@100 (medium)": "area 32² to 96² pixels",
    "Recall/AR@100 (large)": "area above 96² pixels",
}


def main_metrics(metrics: Mapping[str, float]) -> dict[str, str]:
    """Returns the metrics to look at first, each with what to call it.

    COCO's when they were measured, else the mAP of each other set.
    """
    sets = _voc_sets(metrics)
    if not sets or any(name in metrics for name in _COCO_MAIN):
        return dict(_COCO_MAIN)
    return {
        one.prefix + voc_evaluation.MAP_SUFFIX: f"mAP, {one.title}"
        for one in sets
    }


def value_of(metrics: Mapping[str, float], name: str) -> float:
    """Returns a metric in 0 to 1, or -1 where there is none."""
    value = metrics.get(name, -1.0)
    return -1.0 if math.isnan(value) else value


def metrics_table(records: Sequence[EvaluationRecord]) -> str:
    """Shows all metrics of the last evaluation but those of single classes."""
    if not records:
        return report_html.nothing("No evaluation was recorded.")
    metrics = records[-1].metrics
    meanings = {
        coco_evaluation.METRIC_PREFIX + name: (name, meaning)
        for name, meaning in _COCO_ROWS.items()
    }
    for one in _voc_sets(metrics):
        name = one.prefix + voc_evaluation.MAP_SUFFIX
        meanings[name] = (name, one.title)
    rows = [
        (html.escape(shown), meaning, value_of(metrics, name))
        for name, (shown, meaning) in meanings.items()
        if name in metrics
    ]
    note = "n/a: there is no groundtruth of this kind."
    return report_html.table(("metric", "", "value"), rows) + (
        report_html.nothing(note) if any(row[-1] < 0 for row in rows) else ""
    )


def classes_table(records: Sequence[EvaluationRecord]) -> str:
    """Shows the classes of the last evaluation, the best first.

    Boxes, detections and curves are those of the first set of metrics; the
    average precision of others follows in a column each.
    """
    if not records:
        return report_html.nothing("No evaluation was recorded.")
    metrics = records[-1].metrics
    categories: Sequence[CategoryResult] = sorted(
        records[-1].categories,
        key=lambda item: -np.nan_to_num(item.average_precision, nan=-1.0),
    )
    first_prefix = next(iter(metrics), "").partition("_")[0]
    sets = _voc_sets(metrics)
    is_at_50_alone = first_prefix in [one.prefix for one in sets]
    # Classes have the same value in a set whose mean alone is another.
    others = [
        one
        for one in sets
        if one.prefix != first_prefix and not one.is_mean_weighted
    ]
    names = category_names.distinct_ascii(
        [{"id": item.category_id, "name": item.name} for item in categories]
    )

    def row(item: CategoryResult) -> list[str | float]:
        keys = [
            one.prefix
            + voc_evaluation.PER_CATEGORY_SUFFIX
            + names[item.category_id]
            for one in others
        ]
        return [
            html.escape(item.name),
            f"{item.num_groundtruth:,}",
            f"{item.num_detections:,}",
            item.average_precision_50,
            *([] if is_at_50_alone else [item.average_precision]),
            *(report_html.percent(value_of(metrics, key)) for key in keys),
        ]

    head = ["class", "boxes", "detections", "AP at IoU .50"]
    head += [] if is_at_50_alone else ["AP"]
    head += [one.title for one in others]
    svg = report_figures.precision_recall_svg(categories)
    figure = report_html.figure("Precision and recall at IoU .50", svg)
    return (
        report_html.table(head, map(row, categories))
        + f'<div class="figures">{figure}</div>'
    )


def _voc_sets(
    metrics: Mapping[str, float],
) -> list[voc_evaluation.MetricSet]:
    """Returns the sets that were measured beside COCO's."""
    return [
        one
        for one in voc_evaluation.METRIC_SETS
        if one.prefix + voc_evaluation.MAP_SUFFIX in metrics
    ]
