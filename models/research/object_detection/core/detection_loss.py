"""What a detector's predictions cost, over all anchors of a batch.

    targets -> random sample -> loss of each anchor -> hard examples -> sums

Letters: B image, A anchor, K class including a background column, 4 box code
(or whatever length the box coder's codes have).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from object_detection.core import containers, losses, sampling

Tensor = Any


class ReducedLoss(NamedTuple):
    """Both parts of a loss.

    Attributes:
        localization: float32 scalar.
        classification: float32 scalar.
        summaries: float32 scalars by name, of what was mined.
    """

    localization: Tensor
    classification: Tensor
    summaries: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class DetectionLoss:
    """A loss for boxes, one for classes, and how they are summed.

    Attributes:
        localization: (codes_BA4, targets_BA4, weights_BA) -> [B, A].
        classification: (logits_BAK, targets_BAK, weights_BAK) -> [B, A, K] or
            [B, A].
        localization_weight: multiplies the sum.
        classification_weight: multiplies the sum.
        normalize_by_num_matches: divide both sums by the number of matched
            anchors of the batch (the sum of their weights, at least 1).
        normalize_by_image: divide the sums of each image by its own number of
            them, in place of the batch's, and take the mean over the images;
            an image without any has no loss.
        normalize_by_code_size: divide the localization loss by the length of
            a box code.
        compares_boxes: `localization` takes decoded boxes in place of codes.
        sampler: draws the anchors that count, None for all.
        miner: chooses those of them that are hard, None for all.
        negative_miner: chooses the anchors that count for the classes, None
            for all.
    """

    localization: Callable[[Tensor, Tensor, Tensor], Tensor]
    classification: Callable[[Tensor, Tensor, Tensor], Tensor]
    localization_weight: float = 1.0
    classification_weight: float = 1.0
    normalize_by_num_matches: bool = True
    normalize_by_image: bool = False
    normalize_by_code_size: bool = False
    compares_boxes: bool = False
    sampler: sampling.RandomExampleSampler | None = None
    miner: sampling.HardExampleMiner | None = None
    negative_miner: sampling.HardNegativeMiner | None = None

    def reduce(
        self,
        box_encodings_BA4: Tensor,
        class_predictions_BAK: Tensor,
        targets: containers.Targets,
        decode_boxes: Callable[[Tensor], Tensor],
        training: bool = False,
    ) -> ReducedLoss:
        """Sums the losses of all anchors, or of those that are chosen.

        Args:
            box_encodings_BA4: float32 [B, A, code_size].
            class_predictions_BAK: float32 [B, A, K] logits.
            targets: what they should have been.
            decode_boxes: turns box codes into float32 [B, A, 4] yxyx.
            training: whether the sampler draws anew in each call, or the same
                in all.
        """
        if self.sampler is not None:
            targets = self.sampler.sample(targets, training)
        localization_loss = self._localize(
            box_encodings_BA4, targets, decode_boxes
        )
        classification_loss = self.classification(
            class_predictions_BAK, targets.class_targets, targets.class_weights
        )
        has_miner = self.miner is not None or self.negative_miner is not None
        if has_miner and len(classification_loss.shape) == 3:
            classification_loss = ops.sum(classification_loss, axis=-1)
        summaries = {}
        if self.miner is not None:
            mined = self.miner.mine(
                localization_loss,
                classification_loss,
                decode_boxes(box_encodings_BA4),
                targets.match,
            )
            # Not by `where`, which would hide a NaN.
            localization_loss = localization_loss * mined.is_kept
            classification_loss = classification_loss * mined.is_kept
            summaries = mined.summaries
        if self.negative_miner is not None:
            mined = self.negative_miner.mine(classification_loss, targets)
            classification_loss = classification_loss * mined.is_kept
            summaries = mined.summaries
        return self._normalize(
            localization_loss, classification_loss, targets, summaries
        )

    def _localize(
        self,
        box_encodings_BA4: Tensor,
        targets: containers.Targets,
        decode_boxes: Callable[[Tensor], Tensor],
    ) -> Tensor:
        found_BA4, wanted_BA4 = box_encodings_BA4, targets.box_codes
        if self.compares_boxes:
            wanted_BA4 = decode_boxes(losses.without_nan(wanted_BA4, found_BA4))
            found_BA4 = decode_boxes(found_BA4)
        return self.localization(found_BA4, wanted_BA4, targets.box_weights)

    def _normalize(
        self,
        localization_loss: Tensor,
        classification_loss: Tensor,
        targets: containers.Targets,
        summaries: dict[str, Tensor],
    ) -> ReducedLoss:
        localization_loss = self._total(
            localization_loss, self.localization_weight, targets
        )
        if self.normalize_by_code_size:
            localization_loss = localization_loss / targets.box_codes.shape[-1]
        return ReducedLoss(
            localization_loss,
            self._total(
                classification_loss, self.classification_weight, targets
            ),
            summaries,
        )

    def _total(
        self, loss: Tensor, weight: float, targets: containers.Targets
    ) -> Tensor:
        """Returns the scalar sum, or mean, of a loss [B, A] or [B, A, K]."""
        if self.normalize_by_image:
            loss_B = weight * ops.sum(loss, axis=range(1, len(loss.shape)))
            num_matches_B = ops.sum(targets.box_weights, axis=1)
            # Not by `where`, which would hide a NaN.
            return ops.mean(loss_B * ops.divide_no_nan(1.0, num_matches_B))
        total = weight * ops.sum(loss)
        if self.normalize_by_num_matches:
            total = total / ops.maximum(ops.sum(targets.box_weights), 1.0)
        return total
