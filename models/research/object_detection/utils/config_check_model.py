"""What the messages of an SSD model must agree on."""

import math

from object_detection.core import errors
from object_detection.protos import ssd_pb2
from object_detection.utils import config_fields

# What no similarity is above.
_GREATEST_SIMILARITY = {
    "ioa_similarity": 1.0,
    "iou_similarity": 1.0,
    "neg_sq_dist_similarity": 0.0,
    "thresholded_iou_similarity": 1.0,
}


def check_ssd(ssd: ssd_pb2.Ssd) -> None:
    """Refuses a model whose parts contradict each other.

    What one part alone decides is left to its builder.

    Raises:
        ConfigError: names the field or the two fields.
    """
    _check_levels(ssd)
    _check_thresholds(ssd)


def freeze_batchnorm_warning(ssd: ssd_pb2.Ssd) -> str | None:
    """Returns what `freeze_batchnorm: true` does not freeze, if anything."""
    if not ssd.freeze_batchnorm or ssd.enforce_freeze_batchnorm:
        return None
    paths = [
        path.rpartition(".")[0]
        for path, _, name, value in config_fields.walk(ssd, "model.ssd")
        if name == "batch_norm" and value.train
    ]
    if not paths:
        return None
    return (
        "model.ssd.freeze_batchnorm: true does not freeze the BatchNorm of "
        f"{', '.join(paths)}, because a batch_norm block overrules it: its "
        "statistics train, as in the original, whose published results were "
        "reached that way. Set enforce_freeze_batchnorm: true to freeze it, "
        "or freeze_batchnorm: false to say what happens."
    )


def _check_levels(ssd: ssd_pb2.Ssd) -> None:
    kind = ssd.anchor_generator.WhichOneof("anchor_generator_oneof")
    if kind != "multiscale_anchor_generator":
        return
    anchors = ssd.anchor_generator.multiscale_anchor_generator
    maps = ssd.feature_extractor.fpn
    # Equal in number they would fit together, each a wrong stride.
    is_fpn = ssd.feature_extractor.type.endswith("_fpn")
    anchor_levels = (anchors.min_level, anchors.max_level)
    if is_fpn and anchor_levels != (maps.min_level, maps.max_level):
        raise errors.ConfigError(
            f"model.ssd.anchor_generator.{kind}: levels {anchors.min_level} "
            f"to {anchors.max_level} differ from those of "
            f"model.ssd.feature_extractor.fpn, {maps.min_level} to "
            f"{maps.max_level}; give both the same min_level and max_level"
        )


def _check_thresholds(ssd: ssd_pb2.Ssd) -> None:
    similarity = ssd.similarity_calculator.WhichOneof("region_similarity")
    greatest = _GREATEST_SIMILARITY.get(similarity, math.inf)
    matcher = ssd.matcher.argmax_matcher
    uses_threshold = (
        ssd.matcher.HasField("argmax_matcher")
        and not matcher.ignore_thresholds
        and not matcher.force_match_for_each_row
    )
    never_matches = matcher.matched_threshold > greatest or (
        matcher.strict_threshold and matcher.matched_threshold == greatest
    )
    if uses_threshold and never_matches:
        raise errors.ConfigError(
            "model.ssd.matcher.argmax_matcher.matched_threshold: no box would "
            f"ever match, as {similarity} is at most {greatest:g}, got "
            f"{matcher.matched_threshold:g}; lower it, or set "
            "force_match_for_each_row: true"
        )
