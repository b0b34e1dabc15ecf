"""Builds the measure of similarity that a config names."""

from collections.abc import Callable
from typing import Any

from object_detection.builders import oneof
from object_detection.core import region_similarity
from object_detection.protos import region_similarity_calculator_pb2

Tensor = Any

_SIMILARITIES = {
    "iou_similarity": region_similarity.iou,
    "ioa_similarity": region_similarity.ioa,
    "neg_sq_dist_similarity": region_similarity.negative_squared_distance,
}


def build(
    config: region_similarity_calculator_pb2.RegionSimilarityCalculator,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the function (boxes_G4, anchors_A4) -> [G, A].

    Raises:
        errors.ConfigError: a kind that is not supported.
    """
    kind = oneof.require(
        config,
        "region_similarity",
        "model.ssd.similarity_calculator",
        _SIMILARITIES,
    )
    return _SIMILARITIES[kind]
