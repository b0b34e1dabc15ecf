"""Matches each anchor with the groundtruth box that it resembles most.

Letters: B image, G groundtruth box (padded), A anchor.
"""

import dataclasses
from typing import Any

from keras import ops

from object_detection.core import containers
from object_detection.matchers import matcher

Tensor = Any


@dataclasses.dataclass(frozen=True)
class ArgMaxMatcher:
    """Gives each anchor its most similar groundtruth box, or none.

    An anchor is matched when its best similarity is at or above
    `matched_threshold`, a negative when it is below `unmatched_threshold`, and
    ignored between. Of equally similar boxes the lower-numbered one wins.

    Attributes:
        matched_threshold: None matches every anchor with its best box.
        unmatched_threshold: at most `matched_threshold`, which is the default.
        negatives_lower_than_unmatched: False swaps the roles: ignored below
            `unmatched_threshold`, negative between.
        force_match_for_each_row: every box also gets the anchor that resembles
            it most, whatever the thresholds; when two boxes want one anchor
            the lower-numbered box gets it.
        disjoint_similarity: of a box and an anchor that have nothing in
            common; None for a similarity of which all pairs have some. A box
            that has nothing in common with any anchor is not forced: it has no
            best one. (The original gave it anchor 0.)
        strict_threshold: an anchor that is at `matched_threshold` is not
            matched, and one at `unmatched_threshold` is a negative.
    """

    matched_threshold: float | None
    unmatched_threshold: float | None = None
    negatives_lower_than_unmatched: bool = True
    force_match_for_each_row: bool = False
    disjoint_similarity: float | None = 0.0
    strict_threshold: bool = False

    def __post_init__(self) -> None:
        if self.matched_threshold is None:
            if self.unmatched_threshold is not None:
                raise ValueError(
                    "unmatched_threshold: needs a matched_threshold, got "
                    f"{self.unmatched_threshold:g} alone"
                )
            return
        unmatched = self._unmatched_threshold
        if unmatched > self.matched_threshold:
            raise ValueError(
                "unmatched_threshold: must be at most matched_threshold "
                f"{self.matched_threshold:g}, got {unmatched:g}"
            )
        if (
            not self.negatives_lower_than_unmatched
            and unmatched == self.matched_threshold
        ):
            raise ValueError(
                "negatives_lower_than_unmatched: false needs an "
                "unmatched_threshold below matched_threshold, got "
                f"{unmatched:g} for both; no anchor would be negative"
            )

    @property
    def _unmatched_threshold(self) -> float:
        if self.unmatched_threshold is None:
            return self.matched_threshold
        return self.unmatched_threshold

    def match(
        self, similarity_BGA: Tensor, is_real_BG: Tensor, can_force_BG: Tensor
    ) -> containers.Match:
        """Matches all images of a batch at once.

        Args:
            similarity_BGA: float32 [B, G, A], G at least 1.
            is_real_BG: bool [B, G], False for padding, which never matches.
            can_force_BG: bool [B, G], which boxes may be forced.

        Returns:
            Match with int32 [B, A].
        """
        masked_BGA = ops.where(
            is_real_BG[:, :, None], similarity_BGA, -float("inf")
        )
        best_row_BA = ops.cast(ops.argmax(masked_BGA, axis=1), "int32")
        best_value_BA = ops.max(masked_BGA, axis=1)
        gt_index_BA = self._apply_thresholds(best_row_BA, best_value_BA)
        if self.force_match_for_each_row:
            can_force_BG = ops.logical_and(can_force_BG, is_real_BG)
            forced_row_BA = self._forced_rows(similarity_BGA, can_force_BG)
            gt_index_BA = ops.where(
                forced_row_BA >= 0, forced_row_BA, gt_index_BA
            )
        return containers.Match(gt_index_BA)

    def _apply_thresholds(
        self, best_row_BA: Tensor, best_value_BA: Tensor
    ) -> Tensor:
        if self.matched_threshold is None:
            has_row_BA = best_value_BA > -float("inf")
            return ops.where(has_row_BA, best_row_BA, matcher.UNMATCHED)
        below, between = matcher.UNMATCHED, matcher.IGNORED
        if not self.negatives_lower_than_unmatched:
            below, between = between, below
        reaches = ops.greater if self.strict_threshold else ops.greater_equal
        without_row_BA = ops.where(
            reaches(best_value_BA, self._unmatched_threshold), between, below
        )
        # An image without a real box shows background only.
        without_row_BA = ops.where(
            best_value_BA > -float("inf"), without_row_BA, matcher.UNMATCHED
        )
        return ops.where(
            reaches(best_value_BA, self.matched_threshold),
            best_row_BA,
            ops.cast(without_row_BA, "int32"),
        )

    def _forced_rows(
        self, similarity_BGA: Tensor, can_force_BG: Tensor
    ) -> Tensor:
        """Returns int32 [B, A]: the box that claims each anchor, or -1."""
        if self.disjoint_similarity is not None:
            has_best_BG = ops.any(
                ops.not_equal(similarity_BGA, self.disjoint_similarity), axis=2
            )
            can_force_BG = ops.logical_and(can_force_BG, has_best_BG)
        best_anchor_BG = ops.cast(ops.argmax(similarity_BGA, axis=2), "int32")
        return matcher.rows_of_anchors(
            ops.where(can_force_BG, best_anchor_BG, -1),
            ops.shape(similarity_BGA)[2],
        )
