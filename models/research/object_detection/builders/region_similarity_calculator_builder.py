"""Builds the measure of similarity that a config names."""

import functools
from collections.abc import Callable
from typing import Any

from object_detection.builders import oneof
from object_detection.core import errors, region_similarity
from object_detection.protos import region_similarity_calculator_pb2

Tensor = Any

_PATH = "model.ssd.similarity_calculator"
_SIMILARITIES = {
    "iou_similarity": region_similarity.iou,
    "ioa_similarity": region_similarity.ioa,
    "neg_sq_dist_similarity": region_similarity.negative_squared_distance,
    "thresholded_iou_similarity": region_similarity.thresholded_iou,
}


def build(
    config: region_similarity_calculator_pb2.RegionSimilarityCalculator,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the function (boxes_G4, anchors_A4) -> [G, A].

    Raises:
        errors.ConfigError: no kind is set, or a threshold is out of its range.
    """
    kind = oneof.require(config, "region_similarity", _PATH, _SIMILARITIES)
    similarity = _SIMILARITIES[kind]
    if kind != "thresholded_iou_similarity":
        return similarity
    iou_threshold = config.thresholded_iou_similarity.iou_threshold
    if not 0 <= iou_threshold <= 1:
        raise errors.ConfigError(
            f"{_PATH}.{kind}.iou_threshold: must be from 0 to 1, got "
            f"{iou_threshold:g}"
        )
    return functools.partial(similarity, iou_threshold=iou_threshold)


def disjoint_similarity(
    config: region_similarity_calculator_pb2.RegionSimilarityCalculator,
) -> float | None:
    """Returns the similarity of a box and an anchor that do not overlap.

    None for distances, which all pairs have.
    """
    kind = config.WhichOneof("region_similarity")
    return None if kind == "neg_sq_dist_similarity" else 0.0
