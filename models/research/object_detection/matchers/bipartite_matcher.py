"""Matches each groundtruth box with one anchor, the most similar pair first.

Letters: B image, G groundtruth box (padded), A anchor, k candidate anchor of a
box, N = G * k pairs.
"""

import dataclasses
from typing import Any

from keras import ops

from object_detection.core import containers, gather
from object_detection.matchers import matcher

Tensor = Any

_NEVER = -float("inf")


@dataclasses.dataclass(frozen=True)
class GreedyBipartiteMatcher:
    """Takes the most similar pair of a free box and a free anchor, repeatedly.

    Of equally similar pairs the lower-numbered box comes first, then the
    lower-numbered anchor. Anchors that are left are negatives. A box that has
    nothing in common with any free anchor gets none.

    Rows of the match are rows of the groundtruth. (The original moved the boxes
    without weight to the end and then numbered the rows in that order, so that
    anchors got other boxes than they were matched with.)

    Attributes:
        disjoint_similarity: of a box and an anchor that have nothing in
            common; None for a similarity of which all pairs have some.
    """

    disjoint_similarity: float | None = 0.0

    def match(
        self, similarity_BGA: Tensor, is_real_BG: Tensor, can_force_BG: Tensor
    ) -> containers.Match:
        """Matches all images of a batch at once.

        Args:
            similarity_BGA: float32 [B, G, A], G at least 1.
            is_real_BG: bool [B, G], False for padding, which never matches.
            can_force_BG: bool [B, G], False for boxes that never match either.

        Returns:
            Match with int32 [B, A].
        """
        can_match_BG = ops.logical_and(is_real_BG, can_force_BG)
        can_match_BGA = can_match_BG[:, :, None]
        if self.disjoint_similarity is not None:
            can_match_BGA = ops.logical_and(
                can_match_BGA,
                ops.not_equal(similarity_BGA, self.disjoint_similarity),
            )
        _, num_rows, num_anchors = ops.shape(similarity_BGA)
        # The other boxes take G - 1 anchors at most, so that one of a box's G
        # best is always left.
        similarity_BGk, anchor_BGk = ops.top_k(
            ops.where(can_match_BGA, similarity_BGA, _NEVER),
            _minimum(num_rows, num_anchors),
        )
        anchor_BG = _take_best_pairs(similarity_BGk, anchor_BGk)
        return containers.Match(matcher.rows_of_anchors(anchor_BG, num_anchors))


def _take_best_pairs(similarity_BGk: Tensor, anchor_BGk: Tensor) -> Tensor:
    """Returns int32 [B, G]: the anchor that each box gets, or -1.

    Args:
        similarity_BGk: float32, falling along k; -inf for pairs that cannot
            match.
        anchor_BGk: int32 [B, G, k].
    """
    _, num_rows, num_candidates = ops.shape(similarity_BGk)
    anchor_BGk = ops.cast(anchor_BGk, "int32")
    anchor_BN = ops.reshape(anchor_BGk, (-1, num_rows * num_candidates))
    row_G = ops.arange(num_rows, dtype="int32")

    def take_pair(
        _: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        free_BGk, taken_BG = state
        free_BN = ops.reshape(free_BGk, (-1, num_rows * num_candidates))
        pair_B1 = ops.cast(ops.argmax(free_BN, axis=1), "int32")[:, None]
        is_left_B1 = ops.max(free_BN, axis=1)[:, None] > _NEVER
        row_B1 = pair_B1 // num_candidates
        anchor_B1 = gather.take_rows(anchor_BN, pair_B1)
        is_row_BG = ops.logical_and(ops.equal(row_G, row_B1), is_left_B1)
        is_used_BGk = ops.logical_or(
            is_row_BG[:, :, None],
            ops.equal(anchor_BGk, anchor_B1[:, :, None]),
        )
        return (
            ops.where(is_used_BGk, _NEVER, free_BGk),
            ops.where(is_row_BG, anchor_B1, taken_BG),
        )

    none_taken_BG = ops.full_like(anchor_BGk[:, :, 0], -1)
    start = (similarity_BGk, none_taken_BG)
    return ops.fori_loop(0, num_rows, take_pair, start)[1]


def _minimum(first: Tensor, second: Tensor) -> Tensor:
    """Returns the smaller of two sizes, an int if both are."""
    if isinstance(first, int) and isinstance(second, int):
        return min(first, second)
    return ops.minimum(first, second)
