"""Which anchors take part in the loss: random ones, or hard ones.

Letters: B image, A anchor.
"""

import dataclasses
from typing import Any, NamedTuple

import keras
from keras import ops

from object_detection.core import containers, gather, greedy_nms
from object_detection.matchers import matcher

Tensor = Any

# The draw where every call must give the same.
_FIXED_SEED = 0


@dataclasses.dataclass(frozen=True)
class RandomExampleSampler:
    """Keeps all positives and some negatives drawn at random.

    Attributes:
        positive_fraction: in (0, 1], the share of positives among what is
            kept of an image; fewer negatives if there are not enough.
        seed_generator: of the draws in training.
    """

    positive_fraction: float
    seed_generator: keras.random.SeedGenerator

    def __post_init__(self) -> None:
        if not 0.0 < self.positive_fraction <= 1.0:
            raise ValueError(
                "positive_sample_fraction: must be above 0 and at most 1, got "
                f"{self.positive_fraction:g}"
            )

    def sample(
        self, targets: containers.Targets, training: bool
    ) -> containers.Targets:
        """Returns the targets with weight 0 where an anchor was not drawn.

        Positives are the anchors with a groundtruth box; anchors whose class
        weights are 0 are neither. An image without positives keeps nothing.

        Args:
            targets: of B images.
            training: whether each call draws anew, or all draw the same.
        """
        is_candidate_BA = ops.mean(targets.class_weights, axis=-1) > 0
        is_matched_BA = targets.match.gt_index >= 0
        is_positive_BA = ops.logical_and(is_candidate_BA, is_matched_BA)
        is_negative_BA = ops.logical_and(
            is_candidate_BA, ops.logical_not(is_matched_BA)
        )
        num_negatives_B1 = ops.cast(
            ops.cast(_count(is_positive_BA), "float32")
            * ((1.0 - self.positive_fraction) / self.positive_fraction),
            "int32",
        )
        draw_BA = keras.random.uniform(
            ops.shape(is_negative_BA),
            seed=self.seed_generator if training else _FIXED_SEED,
        )
        order_BA = ops.argsort(ops.where(is_negative_BA, draw_BA, 2.0), axis=1)
        rank_BA = ops.cast(ops.argsort(order_BA, axis=1), "int32")
        is_drawn_BA = ops.logical_and(
            is_negative_BA, rank_BA < num_negatives_B1
        )
        is_kept_BA = ops.cast(
            ops.logical_or(is_positive_BA, is_drawn_BA), "float32"
        )
        return targets._replace(
            class_weights=targets.class_weights * is_kept_BA[:, :, None],
            box_weights=targets.box_weights * is_kept_BA,
        )


class Mined(NamedTuple):
    """The anchors whose losses count.

    Attributes:
        is_kept: float32 [B, A], 1 or 0.
        summaries: float32 scalars by name, means over the images: how many
            anchors with a groundtruth box were kept, and how many others.
    """

    is_kept: Tensor
    summaries: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class HardExampleMiner:
    """Keeps the anchors of the highest losses, image by image.

    Predicted boxes are suppressed by those of a higher loss that they overlap
    (non-maximum suppression), until there are `num_hard_examples`. Of these
    all positives stay, and in falling order of their loss the others, up to
    a limit for the negatives.

    Attributes:
        num_hard_examples: how many boxes an image keeps at most; 0 for all.
        iou_threshold: in [0, 1]; a box whose overlap with a kept one is above
            it is dropped.
        localization_weight: of that loss in the order of the anchors.
        classification_weight: the same.
        max_negatives_per_positive: 0 for no limit.
        min_negatives: what the limit is at least, of each image.
    """

    num_hard_examples: int
    iou_threshold: float
    localization_weight: float = 1.0
    classification_weight: float = 1.0
    max_negatives_per_positive: int = 0
    min_negatives: int = 0

    def __post_init__(self) -> None:
        for name, count in (
            ("num_hard_examples", self.num_hard_examples),
            ("max_negatives_per_positive", self.max_negatives_per_positive),
            ("min_negatives_per_image", self.min_negatives),
        ):
            if count < 0:
                raise ValueError(f"{name}: must be at least 0, got {count}")
        if not 0.0 <= self.iou_threshold <= 1.0:
            raise ValueError(
                "iou_threshold: must be from 0 to 1, got "
                f"{self.iou_threshold:g}"
            )

    def mine(
        self,
        localization_BA: Tensor,
        classification_BA: Tensor,
        boxes_BA4: Tensor,
        match: containers.Match,
    ) -> Mined:
        """Chooses the anchors.

        Args:
            localization_BA: float32 [B, A], loss of each anchor.
            classification_BA: the same, summed over the classes.
            boxes_BA4: float32 [B, A, 4] yxyx, decoded predictions.
            match: of the same anchors.
        """
        loss_BA = ops.stop_gradient(
            self.localization_weight * localization_BA
            + self.classification_weight * classification_BA
        )
        num_anchors = ops.shape(loss_BA)[1]
        max_kept = self.num_hard_examples or num_anchors
        if isinstance(num_anchors, int):
            max_kept = min(max_kept, num_anchors)
        order_BA, is_kept_BA = greedy_nms.greedy_nms(
            ops.stop_gradient(boxes_BA4),
            loss_BA,
            iou_threshold=self.iou_threshold,
            max_kept=max_kept,
        )
        gt_index_BA = gather.take_rows(match.gt_index, order_BA)
        is_positive_BA = ops.logical_and(is_kept_BA, gt_index_BA >= 0)
        if self.max_negatives_per_positive:
            is_kept_BA = self._within_limit(is_kept_BA, gt_index_BA)
        num_kept = _mean_count(is_kept_BA)
        num_positives = _mean_count(is_positive_BA)
        in_anchor_order_BA = ops.cast(ops.argsort(order_BA, axis=1), "int32")
        return Mined(
            is_kept=gather.take_rows(
                ops.cast(is_kept_BA, "float32"), in_anchor_order_BA
            ),
            summaries={
                "HardExampleMiner/NumPositives": num_positives,
                "HardExampleMiner/NumNegatives": num_kept - num_positives,
            },
        )

    def _within_limit(self, is_kept_BA: Tensor, gt_index_BA: Tensor) -> Tensor:
        """Drops what comes after the last negative allowed, but no positive.

        Args:
            is_kept_BA: bool [B, A], in falling order of the loss.
            gt_index_BA: int32 [B, A], in the same order.
        """
        is_positive_BA = ops.logical_and(is_kept_BA, gt_index_BA >= 0)
        is_negative_BA = ops.logical_and(
            is_kept_BA, ops.equal(gt_index_BA, matcher.UNMATCHED)
        )
        limit_B1 = ops.maximum(
            self.min_negatives,
            self.max_negatives_per_positive * _count(is_positive_BA),
        )
        num_so_far_BA = ops.cumsum(ops.cast(is_negative_BA, "int32"), axis=1)
        is_early_BA = ops.logical_and(is_kept_BA, num_so_far_BA <= limit_B1)
        return ops.logical_or(is_positive_BA, is_early_BA)


@dataclasses.dataclass(frozen=True)
class HardNegativeMiner:
    """Keeps all positives and the negatives of the highest losses.

    Image by image, by the rank of the classification loss alone (Liu et al.
    2016, section 2.2). Of equal losses the lower-numbered anchor comes first.

    Attributes:
        max_negatives_per_positive: an image keeps so many negatives for each
            of its positives at most, rounded down; none without positives.
    """

    max_negatives_per_positive: float

    def __post_init__(self) -> None:
        if not self.max_negatives_per_positive >= 0.0:
            raise ValueError(
                "max_negatives_per_positive: must be at least 0, got "
                f"{self.max_negatives_per_positive:g}"
            )

    def mine(
        self, classification_BA: Tensor, targets: containers.Targets
    ) -> Mined:
        """Chooses the anchors.

        Positives are the anchors whose box counts; anchors whose class
        weights are 0 are neither.

        Args:
            classification_BA: float32 [B, A], loss of each anchor, summed over
                the classes.
            targets: of the same anchors.
        """
        is_positive_BA = targets.box_weights > 0
        is_negative_BA = ops.logical_and(
            ops.logical_not(is_positive_BA),
            ops.max(targets.class_weights, axis=-1) > 0,
        )
        num_kept_B1 = ops.floor(
            self.max_negatives_per_positive
            * ops.cast(_count(is_positive_BA), "float32")
        )
        order_BA = ops.argsort(
            ops.where(is_negative_BA, -classification_BA, float("inf")), axis=1
        )
        rank_BA = ops.cast(ops.argsort(order_BA, axis=1), "float32")
        is_hard_BA = ops.logical_and(is_negative_BA, rank_BA < num_kept_B1)
        return Mined(
            is_kept=ops.cast(
                ops.logical_or(is_positive_BA, is_hard_BA), "float32"
            ),
            summaries={
                "HardNegativeMiner/NumPositives": _mean_count(is_positive_BA),
                "HardNegativeMiner/NumNegatives": _mean_count(is_hard_BA),
            },
        )


def _count(is_it_BA: Tensor) -> Tensor:
    """Returns int32 [B, 1]: how many of each image."""
    return ops.sum(ops.cast(is_it_BA, "int32"), axis=1, keepdims=True)


def _mean_count(is_it_BA: Tensor) -> Tensor:
    return ops.mean(ops.cast(_count(is_it_BA), "float32"))
