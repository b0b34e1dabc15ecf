"""Builds the matcher that a config names."""

from object_detection.builders import oneof
from object_detection.core import errors
from object_detection.matchers import argmax_matcher
from object_detection.protos import matcher_pb2

_PATH = "model.ssd.matcher"


def build(config: matcher_pb2.Matcher) -> argmax_matcher.ArgMaxMatcher:
    """Builds the matcher.

    Raises:
        errors.ConfigError: a kind that is not supported, or thresholds that
            contradict each other.
    """
    kind = oneof.require(config, "matcher_oneof", _PATH, ["argmax_matcher"])
    argmax = config.argmax_matcher
    matched_threshold, unmatched_threshold = None, None
    if not argmax.ignore_thresholds:
        matched_threshold = argmax.matched_threshold
        unmatched_threshold = argmax.unmatched_threshold
    try:
        return argmax_matcher.ArgMaxMatcher(
            matched_threshold=matched_threshold,
            unmatched_threshold=unmatched_threshold,
            negatives_lower_than_unmatched=(
                argmax.negatives_lower_than_unmatched
            ),
            force_match_for_each_row=argmax.force_match_for_each_row,
        )
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}: {error}") from error
