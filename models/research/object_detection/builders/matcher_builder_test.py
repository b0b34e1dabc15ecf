import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import matcher_builder
from object_detection.core import errors
from object_detection.matchers.matcher import IGNORED, UNMATCHED
from object_detection.protos import matcher_pb2

SIMILARITY = np.float32([[[0.9, 0.4, 0.2, 0.0], [0.95, 0.1, 0.6, 0.0]]])
REAL = np.array([[True, True]])


def match(text, similarity=SIMILARITY, **arguments):
    matcher = matcher_builder.build(
        text_format.Parse(text, matcher_pb2.Matcher()), **arguments
    )
    return np.asarray(matcher.match(similarity, REAL, REAL).gt_index)[0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", [1, UNMATCHED, 1, UNMATCHED]),
        ("matched_threshold: 0.7", [1, UNMATCHED, IGNORED, UNMATCHED]),
        ("unmatched_threshold: 0.3", [1, IGNORED, 1, UNMATCHED]),
        (
            "unmatched_threshold: 0.3 negatives_lower_than_unmatched: false",
            [1, UNMATCHED, 1, IGNORED],
        ),
        (
            "matched_threshold: 0.97 force_match_for_each_row: true",
            [0, UNMATCHED, IGNORED, UNMATCHED],
        ),
        (
            "matched_threshold: 0.6 strict_threshold: true "
            "unmatched_threshold: 0.4",
            [1, UNMATCHED, IGNORED, UNMATCHED],
        ),
        ("ignore_thresholds: true", [1, 0, 1, 0]),
        # Thresholds that are ignored cannot contradict each other.
        ("ignore_thresholds: true unmatched_threshold: 0.7", [1, 0, 1, 0]),
        ("use_matmul_gather: true", [1, UNMATCHED, 1, UNMATCHED]),
    ],
)
def test_each_field_of_the_argmax_matcher_has_its_effect(fields, expected):
    found = match(f"argmax_matcher {{ {fields} }}")
    np.testing.assert_array_equal(found, expected)


def test_bipartite_matcher():
    np.testing.assert_array_equal(
        match("bipartite_matcher { use_matmul_gather: true }"),
        [1, 0, UNMATCHED, UNMATCHED],
    )


@pytest.mark.parametrize(
    "text",
    [
        "argmax_matcher { force_match_for_each_row: true }",
        "bipartite_matcher {}",
    ],
)
def test_the_similarity_of_what_is_disjoint_reaches_the_matcher(text):
    similarity = SIMILARITY * np.float32([[[0], [1]]])
    np.testing.assert_array_equal(
        match(text, similarity, disjoint_similarity=0.0)[[0, 1, 3]],
        [1, UNMATCHED, UNMATCHED],
    )
    found = match(text, similarity, disjoint_similarity=None)
    assert 0 in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model.ssd.matcher: expected argmax_matcher or bipartite_m"),
        (
            "argmax_matcher { unmatched_threshold: 0.7 }",
            "model.ssd.matcher.argmax_matcher.unmatched_threshold: .* got 0.7",
        ),
        (
            "argmax_matcher { negatives_lower_than_unmatched: false }",
            "no anchor would be negative",
        ),
    ],
)
def test_contradictions_are_refused(text, message):
    with pytest.raises(errors.ConfigError, match=message):
        match(text)
