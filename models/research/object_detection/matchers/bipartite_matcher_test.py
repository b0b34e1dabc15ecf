import numpy as np
import pytest
import tensorflow as tf

from object_detection.matchers import bipartite_matcher
from object_detection.matchers.matcher import UNMATCHED

MATCHER = bipartite_matcher.GreedyBipartiteMatcher()


def match(similarity, is_real=None, can_force=None, matcher=MATCHER):
    similarity = np.float32(similarity)
    is_real = [True] * len(similarity) if is_real is None else is_real
    can_force = is_real if can_force is None else can_force
    gt_index = matcher.match(
        similarity[None], np.array(is_real)[None], np.array(can_force)[None]
    ).gt_index
    return np.asarray(gt_index)[0].tolist()


def match_by_definition(similarity, can_match):
    """Takes the largest of all free pairs, one after the other."""
    found = [UNMATCHED] * similarity.shape[1]
    pairs = [
        (-similarity[row, column], row, column)
        for row, column in np.ndindex(similarity.shape)
        if can_match[row] and similarity[row, column] != 0
    ]
    for _, row, column in sorted(pairs):
        if row not in found and found[column] == UNMATCHED:
            found[column] = row
    return found


def test_the_most_similar_pair_comes_first_by_hand():
    similarity = [
        [0.5, 0.7, 0.1, 0.2],
        [0.6, 0.9, 0.1, 0.3],  # takes anchor 1, which row 0 wanted too
        [0.55, 0.8, 0.1, 0.4],  # takes anchor 0, row 0 is left with 3
    ]
    assert match(similarity) == [2, 1, UNMATCHED, 0]


def test_of_equal_pairs_the_first_box_and_then_the_first_anchor_come_first():
    assert match([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]) == [0, 1, UNMATCHED]
    assert match([[0.2, 0.5, 0.5], [0.2, 0.5, 0.9]]) == [UNMATCHED, 0, 1]


def test_rows_are_those_of_the_groundtruth_when_some_have_no_weight():
    similarity = [[0.9, 0.1, 0.3], [0.8, 0.7, 0.2], [0.4, 0.9, 0.5]]
    for is_real, can_force in (
        ([True, True, True], [False, True, True]),
        ([False, True, True], [True, True, True]),
    ):
        found = match(similarity, is_real, can_force)
        assert found == [1, 2, UNMATCHED]
    assert match(similarity, [False] * 3) == [UNMATCHED] * 3


def test_a_box_that_overlaps_nothing_free_gets_no_anchor():
    similarity = [[0.0, 0.0, 0.0], [0.0, 0.4, 0.0], [0.0, 0.3, 0.0]]
    assert match(similarity) == [UNMATCHED, 1, UNMATCHED]


def test_a_distance_of_nothing_is_the_best_of_distances():
    matcher = bipartite_matcher.GreedyBipartiteMatcher(None)
    similarity = [[-4.0, -1.0, -9.0], [-2.0, 0.0, -3.0]]
    assert match(similarity, matcher=matcher) == [0, 1, UNMATCHED]


def test_more_boxes_than_anchors():
    similarity = [[0.2, 0.3], [0.4, 0.1], [0.3, 0.9], [0.5, 0.8]]
    assert match(similarity) == [3, 2]


def make_batch():
    rng = np.random.default_rng(3)
    # Few values, so that many are equal, and some zero.
    similarity = rng.integers(0, 12, (5, 6, 17)) / np.float32(16)
    can_match = rng.random((5, 6)) < 0.7
    return similarity, can_match


def test_a_batch_is_matched_as_its_images_by_definition():
    similarity, can_match = make_batch()
    found = MATCHER.match(
        similarity, np.ones_like(can_match), can_match
    ).gt_index
    expected = [
        match_by_definition(image, can)
        for image, can in zip(similarity, can_match, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)
    assert np.max(expected) == 5


@pytest.mark.parametrize("shape", [(5, 6, 17), (None, 6, None), (None,) * 3])
def test_sizes_known_only_when_run_give_the_same(shape):
    similarity, can_match = make_batch()

    @tf.function(
        input_signature=[
            tf.TensorSpec(shape, tf.float32),
            tf.TensorSpec(shape[:2], tf.bool),
        ]
    )
    def run(similarity, can_match):
        return MATCHER.match(similarity, can_match, can_match).gt_index

    expected = MATCHER.match(similarity, can_match, can_match).gt_index
    np.testing.assert_array_equal(run(similarity, can_match), expected)
