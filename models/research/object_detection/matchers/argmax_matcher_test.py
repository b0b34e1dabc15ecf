import numpy as np
import pytest

from object_detection.matchers import argmax_matcher
from object_detection.matchers.matcher import IGNORED, UNMATCHED

SIMILARITY = np.float32(
    [
        [0.9, 0.4, 0.2, 0.50, 0.1, 0.5],
        [0.1, 0.6, 0.3, 0.45, 0.1, 0.5],
    ]
)


def match(matcher, similarity=SIMILARITY, is_real=None, can_force=None):
    num_rows = len(similarity)
    is_real = np.ones(num_rows, bool) if is_real is None else is_real
    can_force = is_real if can_force is None else can_force
    return np.asarray(
        matcher.match(
            similarity[None], np.array(is_real)[None], np.array(can_force)[None]
        ).gt_index
    )[0].tolist()


def test_thresholds_by_hand():
    matcher = argmax_matcher.ArgMaxMatcher(0.5, 0.3)
    # At the threshold is matched; of equals the first row wins; 0.3 is not
    # below 0.3.
    assert match(matcher) == [0, 1, IGNORED, 0, UNMATCHED, 0]


def test_strict_thresholds_by_hand():
    # 0.5 is not above 0.5, nor is 0.3 above 0.3.
    similarity = np.float32([[0.9, 0.5, 0.3, 0.29, 0.31, 0.51]])
    matcher = argmax_matcher.ArgMaxMatcher(0.5, 0.3, strict_threshold=True)
    assert match(matcher, similarity) == [
        0, IGNORED, UNMATCHED, UNMATCHED, IGNORED, 0
    ]  # fmt: skip
    # Of one threshold, what is at it shows background.
    matcher = argmax_matcher.ArgMaxMatcher(0.5, strict_threshold=True)
    assert match(matcher, similarity) == [0] + [UNMATCHED] * 4 + [0]


def test_swapped_roles_below_and_between():
    matcher = argmax_matcher.ArgMaxMatcher(
        0.5, 0.3, negatives_lower_than_unmatched=False
    )
    assert match(matcher) == [0, 1, UNMATCHED, 0, IGNORED, 0]


def test_the_unmatched_threshold_defaults_to_the_matched_one():
    assert match(argmax_matcher.ArgMaxMatcher(0.55)) == [
        0, 1, UNMATCHED, UNMATCHED, UNMATCHED, UNMATCHED
    ]  # fmt: skip


def test_without_thresholds_every_anchor_is_matched():
    assert match(argmax_matcher.ArgMaxMatcher(None)) == [0, 1, 1, 0, 0, 0]


def test_every_box_gets_its_best_anchor():
    matcher = argmax_matcher.ArgMaxMatcher(0.95, force_match_for_each_row=True)
    assert match(matcher) == [0, 1] + [UNMATCHED] * 4


def test_of_two_boxes_that_want_one_anchor_the_first_gets_it():
    similarity = np.float32([[0.1, 0.2, 0.3], [0.1, 0.2, 0.4]])
    matcher = argmax_matcher.ArgMaxMatcher(0.5, force_match_for_each_row=True)
    assert match(matcher, similarity) == [UNMATCHED, UNMATCHED, 0]


def test_a_forced_match_beats_a_threshold():
    similarity = np.float32([[0.1, 0.6, 0.3], [0.1, 0.8, 0.4]])
    matcher = argmax_matcher.ArgMaxMatcher(0.5, force_match_for_each_row=True)
    assert match(matcher, similarity) == [UNMATCHED, 0, UNMATCHED]


def test_a_box_without_overlap_is_not_forced():
    similarity = np.float32([[0.0, 0.0], [0.1, 0.2]])
    matcher = argmax_matcher.ArgMaxMatcher(0.5, force_match_for_each_row=True)
    assert match(matcher, similarity) == [UNMATCHED, 1]


def test_of_distances_every_box_has_a_best_anchor():
    similarity = np.float32([[0.0, 0.0], [-4.0, -1.0]])
    matcher = argmax_matcher.ArgMaxMatcher(
        0.5, force_match_for_each_row=True, disjoint_similarity=None
    )
    assert match(matcher, similarity) == [0, 1]
    matcher = argmax_matcher.ArgMaxMatcher(-2.0, disjoint_similarity=None)
    assert match(matcher, similarity - 1) == [0, 0]
    assert match(matcher, similarity - 2) == [0, 0]
    assert match(matcher, similarity - 3) == [UNMATCHED, UNMATCHED]


def test_a_box_without_weight_is_not_forced_but_matches_by_overlap():
    matcher = argmax_matcher.ArgMaxMatcher(0.55, force_match_for_each_row=True)
    similarity = np.float32([[0.1, 0.6], [0.3, 0.2]])
    assert match(matcher, similarity, can_force=[True, False]) == [
        UNMATCHED, 0
    ]  # fmt: skip
    assert match(matcher, similarity, can_force=[False, True]) == [1, 0]


@pytest.mark.parametrize("threshold", [0.5, None])
@pytest.mark.parametrize("swapped", [True, False])
def test_padding_never_matches(threshold, swapped):
    unmatched = None if threshold is None else 0.2
    matcher = argmax_matcher.ArgMaxMatcher(
        threshold,
        unmatched,
        negatives_lower_than_unmatched=swapped,
        force_match_for_each_row=True,
    )
    assert match(matcher, is_real=[False, False]) == [UNMATCHED] * 6


def test_a_batch_is_matched_as_its_images():
    rng = np.random.default_rng(1)
    similarity = rng.random((4, 3, 9), np.float32)
    is_real = np.arange(3) < np.array([0, 1, 2, 3])[:, None]
    matcher = argmax_matcher.ArgMaxMatcher(
        0.8, 0.4, force_match_for_each_row=True
    )
    batched = matcher.match(similarity, is_real, is_real).gt_index
    looped = [
        match(matcher, image, real)
        for image, real in zip(similarity, is_real, strict=True)
    ]
    np.testing.assert_array_equal(batched, looped)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"matched_threshold": 0.3, "unmatched_threshold": 0.4}, "at most"),
        ({"matched_threshold": None, "unmatched_threshold": 0.4}, "needs"),
        (
            {"matched_threshold": 0.4, "negatives_lower_than_unmatched": False},
            "no anchor",
        ),
    ],
)
def test_contradicting_thresholds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        argmax_matcher.ArgMaxMatcher(**arguments)
