"""Detection metrics of Pascal VOC and Open Images, at an IoU of .50.

All sets share the rules of `voc_matching`. Difficult boxes, group_of boxes
and image-level labels are looked at where the records have them; crowds are
boxes like others, since none of these sets knows of them. Detections without
an area are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from object_detection.metrics import box_rows, category_names, voc_matching
from object_detection.metrics.collecting_evaluator import (
    CollectingEvaluator,
    Collection,
)
from object_detection.metrics.evaluator import CategoryResult, EvaluatorResult

MAP_SUFFIX = f"_Precision/mAP@{voc_matching.IOU_THRESHOLD}IOU"
PER_CATEGORY_SUFFIX = (
    f"_PerformanceByCategory/AP@{voc_matching.IOU_THRESHOLD}IOU/"
)

# The recall thresholds of `CategoryResult.precision_50`.
_RECALL_THRESHOLDS = np.linspace(0, 1, 101)
_MAX_CATEGORIES_IN_TABLE = 50


class MetricSet(NamedTuple):
    """What tells one set of these metrics from another.

    Attributes:
        prefix: of the metrics' names.
        title: what people call it.
        group_of_weight: how much it counts to find a group_of box.
        is_mean_weighted: the mean is the average precision of the detections
            of all classes together, so that a frequent class weighs more.
        only_verified_classes: detections are left out in images that were not
            checked for their class: it is neither among the image-level
            labels nor that of a groundtruth box.
        counts_difficult: difficult boxes have to be found, too.
        uses_11_points: an average precision is the mean at eleven recalls,
            else the area below the curve.
    """

    prefix: str
    title: str
    group_of_weight: float = 0.0
    is_mean_weighted: bool = False
    only_verified_classes: bool = False
    counts_difficult: bool = False
    uses_11_points: bool = False

    def average_precision(self, curve: voc_matching.Curve) -> float:
        """Returns the average precision of a class, or of all."""
        if self.uses_11_points:
            return voc_matching.average_precision_of_11_points(curve)
        return voc_matching.average_precision(curve)


PASCAL = MetricSet("PascalBoxes", "Pascal VOC")
WEIGHTED_PASCAL = MetricSet(
    "WeightedPascalBoxes", "Pascal VOC, classes pooled", is_mean_weighted=True
)
OPEN_IMAGES_V2 = MetricSet("OpenImagesV2", "Open Images V2")
OPEN_IMAGES_CHALLENGE = MetricSet(
    "OpenImagesChallenge2018",
    "Open Images Challenge 2018",
    group_of_weight=1.0,
    only_verified_classes=True,
)
METRIC_SETS = (PASCAL, WEIGHTED_PASCAL, OPEN_IMAGES_V2, OPEN_IMAGES_CHALLENGE)


class _Measured(NamedTuple):
    """The detections of known classes, by falling scores, and their worth."""

    category_id: np.ndarray
    matches: voc_matching.Matches


class VocDetectionEvaluator(CollectingEvaluator):
    """Collects groundtruth and detections and computes one set's metrics.

    Detections of equal scores count in the order of rising image ids, within
    an image in the order given.
    """

    def __init__(
        self, categories: Sequence[Mapping[str, Any]], metric_set: MetricSet
    ) -> None:
        """Starts without images.

        Args:
            categories: mappings with a unique positive int 'id' and a 'name'.
            metric_set: one of `METRIC_SETS`, or a variant of it.

        Raises:
            ValueError: when an id occurs twice, or there is no category.
        """
        super().__init__(categories, metric_set.title)
        self._set = metric_set

    def compute(self) -> EvaluatorResult:
        """Computes the metrics of the images added so far.

        A class without a box to find has NaN, and no part in the mean; the
        mean of no class is NaN.
        """
        collection = self._collected()
        if self._set.counts_difficult:
            collection = _without_difficulty(collection)
        groundtruth = collection.groundtruth
        worth_G = voc_matching.num_to_find(
            groundtruth, self._set.group_of_weight
        )
        self._warn_of_nothing_to_compare(collection, worth_G > 0, "NaN")
        measured = self._measured(collection)
        categories = tuple(
            self._category_result(
                category,
                worth_G[groundtruth.category_id == category["id"]].sum(),
                measured,
            )
            for category in self.categories
        )
        mean = self._mean(categories, measured)
        names = category_names.distinct_ascii(self.categories)
        metrics = {self._set.prefix + MAP_SUFFIX: mean}
        for category in categories:
            name = names[category.category_id]
            key = self._set.prefix + PER_CATEGORY_SUFFIX + name
            metrics[key] = category.average_precision
        return EvaluatorResult(
            metrics, categories, _table(self._set, mean, categories)
        )

    def _measured(self, collection: Collection) -> _Measured:
        detections = collection.detections
        has_area = np.all(
            detections.boxes_yxyx[:, 2:] > detections.boxes_yxyx[:, :2], axis=1
        )
        detections = box_rows.select(detections, has_area)
        if self._set.only_verified_classes:
            detections = box_rows.select(
                detections, _is_verified(collection, detections)
            )
        detections = box_rows.select(
            detections, np.argsort(-detections.scores, kind="stable")
        )
        matches = voc_matching.match(
            collection.groundtruth, detections, self._set.group_of_weight
        )
        return _Measured(detections.category_id, matches)

    def _mean(
        self, categories: Sequence[CategoryResult], measured: _Measured
    ) -> float:
        found = [item for item in categories if item.num_groundtruth]
        if not found:
            return np.nan
        if not self._set.is_mean_weighted:
            return float(np.mean([item.average_precision for item in found]))
        ids = [item.category_id for item in found]
        curve = _curve(
            measured,
            np.isin(measured.category_id, ids),
            sum(item.num_groundtruth for item in found),
        )
        return self._set.average_precision(curve)

    def _category_result(
        self,
        category: Mapping[str, Any],
        num_to_find: float,
        measured: _Measured,
    ) -> CategoryResult:
        is_of_category = measured.category_id == category["id"]
        value, precision = np.nan, ()
        if num_to_find:
            curve = _curve(measured, is_of_category, num_to_find)
            value = self._set.average_precision(curve)
            at_recalls = voc_matching.precision_at(curve, _RECALL_THRESHOLDS)
            precision = tuple(at_recalls.tolist())
        return CategoryResult(
            category_id=int(category["id"]),
            name=str(category["name"]),
            num_groundtruth=int(num_to_find),
            num_detections=int(np.count_nonzero(is_of_category)),
            average_precision=value,
            average_precision_50=value,
            precision_50=precision,
        )


def _without_difficulty(collection: Collection) -> Collection:
    groundtruth = collection.groundtruth
    return collection._replace(
        groundtruth=groundtruth._replace(
            is_difficult=np.zeros_like(groundtruth.is_difficult)
        )
    )


def _is_verified(
    collection: Collection, detections: box_rows.DetectionRows
) -> np.ndarray:
    """Marks detections whose image was checked for their class: bool [N]."""
    verified = (collection.groundtruth, collection.image_labels)
    stride = 1 + max(
        rows.category_id.max(initial=0) for rows in (*verified, detections)
    )
    return np.isin(
        detections.image_index * stride + detections.category_id,
        np.concatenate(
            [rows.image_index * stride + rows.category_id for rows in verified]
        ),
    )


def _curve(
    measured: _Measured, is_chosen: np.ndarray, num_to_find: float
) -> voc_matching.Curve:
    is_chosen = is_chosen & measured.matches.is_counted
    return voc_matching.curve(
        measured.matches.true_positives[is_chosen], num_to_find
    )


def _table(
    metric_set: MetricSet, mean: float, categories: Sequence[CategoryResult]
) -> str:
    """Lists the mean and the classes that have a value, as lines of text."""
    found = [item for item in categories if item.num_groundtruth]
    shown = found[:_MAX_CATEGORIES_IN_TABLE]
    lines = [
        f" {metric_set.title} @[ IoU={voc_matching.IOU_THRESHOLD:.2f} ]: "
        f"mAP = {_shown(mean)} ({len(found)} of {len(categories)} classes "
        "have groundtruth)"
    ]
    lines += [
        f"   AP = {_shown(item.average_precision)} of "
        f"{item.num_groundtruth:>7,} boxes, {item.num_detections:>9,} "
        f"detections: {item.name}"
        for item in shown
    ]
    if len(found) > len(shown):
        lines.append(f"   and {len(found) - len(shown)} classes more")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return "  n/a" if np.isnan(value) else f"{value:.3f}"
