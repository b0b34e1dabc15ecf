"""From what the predictor said to detections.

Letters: B image, A anchor, C class, K class including a background column, N =
C * A pairs, D detection. Boxes are yxyx, normalised to the padded image.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from object_detection.core import box_ops, gather, nms_kernels

Tensor = Any


class Detections(NamedTuple):
    """The boxes found in each image, best first, padded with zeros.

    Attributes:
        boxes: float32 [B, D, 4] yxyx, clipped to the window.
        scores: float32 [B, D].
        class_ids: float32 [B, D], counted from 0.
        num_detections: float32 [B].
        anchor_index: int32 [B, D], the anchor that each box comes from.
    """

    boxes: Tensor
    scores: Tensor
    class_ids: Tensor
    num_detections: Tensor
    anchor_index: Tensor


@dataclasses.dataclass(frozen=True)
class NmsParams:
    """When a box is kept.

    Attributes:
        score_threshold: candidates score above it, not at it.
        iou_threshold: in [0, 1]; a box whose overlap with a better box of its
            class is above it is dropped.
        max_detections_per_class: at most `max_total_detections`.
        max_total_detections: D.
        max_candidates_per_class: only so many boxes of a class, best first,
            are candidates; 0 for all.
        max_candidates: only so many of all classes are; 0 for all.
        is_one_class_per_anchor: whether an anchor is a candidate of its best
            class alone, the first of equals.
    """

    score_threshold: float
    iou_threshold: float
    max_detections_per_class: int
    max_total_detections: int
    max_candidates_per_class: int = 0
    max_candidates: int = 0
    is_one_class_per_anchor: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.iou_threshold <= 1.0:
            raise ValueError(
                "iou_threshold: must be from 0 to 1, got "
                f"{self.iou_threshold:g}"
            )
        if not (0 < self.max_detections_per_class <= self.max_total_detections):
            raise ValueError(
                "max_detections_per_class: must be from 1 to "
                f"max_total_detections {self.max_total_detections}, got "
                f"{self.max_detections_per_class}"
            )
        for name in ("max_candidates_per_class", "max_candidates"):
            limit = getattr(self, name)
            if limit < 0:
                raise ValueError(f"{name}: must be at least 0, got {limit}")


def multiclass_nms(
    boxes_BA4: Tensor,
    scores_BAC: Tensor,
    clip_window_B4: Tensor,
    params: NmsParams,
) -> Detections:
    """Suppresses overlapping boxes class by class, then keeps the best.

    Boxes are compared before they are clipped; what clipping leaves without
    area is dropped afterwards, and a negative score is never returned. Equal
    scores are ordered by class, then by anchor.

    Args:
        boxes_BA4: float32 [B, A, 4].
        scores_BAC: float32 [B, A, C]; NaN is no candidate.
        clip_window_B4: float32 [B, 4] yxyx.
        params: thresholds and limits.

    Returns:
        Detections with D = `params.max_total_detections`.
    """
    is_candidate_BAC = ops.logical_and(
        scores_BAC > params.score_threshold, scores_BAC >= 0.0
    )
    candidate_BAC = ops.where(is_candidate_BAC, scores_BAC, -1.0)
    if params.is_one_class_per_anchor:
        candidate_BAC = _only_best_class(candidate_BAC)
    candidate_BCA = ops.transpose(candidate_BAC, (0, 2, 1))
    clipped_BA4 = box_ops.clip_yxyx(boxes_BA4, clip_window_B4[:, None])
    num_anchors = boxes_BA4.shape[1] or params.max_detections_per_class
    pairs_BD, num_B = nms_kernels.sweep(
        boxes_BA4,
        candidate_BCA,
        box_ops.area_yxyx(clipped_BA4) > 0.0,
        nms_kernels.Limits(
            iou_threshold=params.iou_threshold,
            max_per_class=min(params.max_detections_per_class, num_anchors),
            max_total=params.max_total_detections,
            max_candidates_per_class=params.max_candidates_per_class,
            max_candidates=params.max_candidates,
        ),
    )
    is_used_BD = (
        ops.arange(params.max_total_detections, dtype="int32") < num_B[:, None]
    )
    num_images, num_classes, num_anchors = ops.shape(candidate_BCA)
    scores_BN = ops.reshape(candidate_BCA, (num_images, -1))
    anchor_BD = pairs_BD % num_anchors
    boxes_BD4 = gather.take_rows(clipped_BA4, anchor_BD)
    return Detections(
        boxes=ops.where(is_used_BD[:, :, None], boxes_BD4, 0.0),
        scores=ops.where(
            is_used_BD, gather.take_rows(scores_BN, pairs_BD), 0.0
        ),
        class_ids=ops.where(
            is_used_BD, ops.cast(pairs_BD // num_anchors, "float32"), 0.0
        ),
        num_detections=ops.cast(num_B, "float32"),
        anchor_index=ops.where(is_used_BD, anchor_BD, 0),
    )


def _only_best_class(scores_BAC: Tensor) -> Tensor:
    """Makes all scores of an anchor but the highest negative."""
    best_BA1 = ops.argmax(scores_BAC, axis=-1, keepdims=True)
    class_C = ops.arange(scores_BAC.shape[-1], dtype=best_BA1.dtype)
    return ops.where(ops.equal(class_C, best_BA1), scores_BAC, -1.0)


def identity(logits: Tensor) -> Tensor:
    """Returns the logits as they are: the predictor gives scores already."""
    return logits


@dataclasses.dataclass(frozen=True)
class PostProcessor:
    """Turns logits into scores, and scores into detections.

    Attributes:
        nms: when a box is kept.
        score_converter: logits [B, A, K] to scores, such as
            `keras.ops.sigmoid`.
        logit_scale: divides the logits first (a temperature).
        has_background_column: whether class 0 is the background, to be
            dropped once converted.
    """

    nms: NmsParams
    score_converter: Callable[[Tensor], Tensor]
    logit_scale: float = 1.0
    has_background_column: bool = True

    def scores(self, logits_BAK: Tensor) -> Tensor:
        """Returns the scores of all classes, the background's included."""
        if self.logit_scale != 1.0:
            logits_BAK = logits_BAK / self.logit_scale
        return self.score_converter(logits_BAK)

    def detect(
        self, boxes_BA4: Tensor, logits_BAK: Tensor, clip_window_B4: Tensor
    ) -> Detections:
        """Returns the detections of a batch.

        Args:
            boxes_BA4: float32 [B, A, 4], decoded.
            logits_BAK: float32 [B, A, K].
            clip_window_B4: float32 [B, 4] yxyx, where the image is.
        """
        scores_BAC = self.scores(logits_BAK)
        if self.has_background_column:
            scores_BAC = scores_BAC[:, :, 1:]
        return multiclass_nms(boxes_BA4, scores_BAC, clip_window_B4, self.nms)
