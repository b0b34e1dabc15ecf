"""Builds the matcher that a config names."""

from object_detection.builders import oneof
from object_detection.core import errors, target_assigner
from object_detection.matchers import argmax_matcher, bipartite_matcher
from object_detection.protos import argmax_matcher_pb2, matcher_pb2

_PATH = "model.ssd.matcher"


def build(
    config: matcher_pb2.Matcher, disjoint_similarity: float | None = 0.0
) -> target_assigner.Matcher:
    """Builds the matcher.

    Args:
        config: the `matcher` message.
        disjoint_similarity: of a box and an anchor that have nothing in
            common, None if all pairs have some.

    Raises:
        errors.ConfigError: no kind is set, or thresholds contradict each
            other.
    """
    kind = oneof.require(
        config, "matcher_oneof", _PATH, ["argmax_matcher", "bipartite_matcher"]
    )
    if kind == "bipartite_matcher":
        return bipartite_matcher.GreedyBipartiteMatcher(disjoint_similarity)
    try:
        return _build_argmax(config.argmax_matcher, disjoint_similarity)
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}.{error}") from error


def _build_argmax(
    config: argmax_matcher_pb2.ArgMaxMatcher, disjoint_similarity: float | None
) -> argmax_matcher.ArgMaxMatcher:
    matched_threshold, unmatched_threshold = None, None
    if not config.ignore_thresholds:
        matched_threshold = config.matched_threshold
        unmatched_threshold = config.unmatched_threshold
    return argmax_matcher.ArgMaxMatcher(
        matched_threshold=matched_threshold,
        unmatched_threshold=unmatched_threshold,
        negatives_lower_than_unmatched=config.negatives_lower_than_unmatched,
        force_match_for_each_row=config.force_match_for_each_row,
        disjoint_similarity=disjoint_similarity,
        strict_threshold=config.strict_threshold,
    )
