"""Loss functions of the detector, and their sum over all anchors.

Each function takes predictions, targets and weights and returns one value per
class (`loss_BAK`) or per anchor (`loss_BA`); `DetectionLoss` sums them up.

Letters: B image, A anchor, K class including a background column, 4 box code
(or whatever length the box coder's codes have).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops

from object_detection.core import containers

Tensor = Any


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
        normalize_by_code_size: divide the localization loss by the length of
            a box code.
    """

    localization: Callable[[Tensor, Tensor, Tensor], Tensor]
    classification: Callable[[Tensor, Tensor, Tensor], Tensor]
    localization_weight: float = 1.0
    classification_weight: float = 1.0
    normalize_by_num_matches: bool = True
    normalize_by_code_size: bool = False

    def reduce(
        self,
        box_encodings_BA4: Tensor,
        class_predictions_BAK: Tensor,
        targets: containers.Targets,
    ) -> tuple[Tensor, Tensor]:
        """Returns localization and classification loss, float32 scalars.

        Args:
            box_encodings_BA4: float32 [B, A, code_size].
            class_predictions_BAK: float32 [B, A, K] logits.
            targets: what they should have been.
        """
        localization_loss = self.localization_weight * ops.sum(
            self.localization(
                box_encodings_BA4, targets.box_codes, targets.box_weights
            )
        )
        classification_loss = self.classification_weight * ops.sum(
            self.classification(
                class_predictions_BAK,
                targets.class_targets,
                targets.class_weights,
            )
        )
        if self.normalize_by_num_matches:
            num_matches = ops.maximum(ops.sum(targets.box_weights), 1.0)
            localization_loss = localization_loss / num_matches
            classification_loss = classification_loss / num_matches
        if self.normalize_by_code_size:
            code_size = box_encodings_BA4.shape[-1]
            localization_loss = localization_loss / code_size
        return localization_loss, classification_loss


def sigmoid_cross_entropy_loss(
    logits_BAK: Tensor, targets_BAK: Tensor, weights_BAK: Tensor
) -> Tensor:
    """Returns the binary cross-entropy of each class, [B, A, K].

    Args:
        logits_BAK: float32 [B, A, K].
        targets_BAK: float32 [B, A, K] in [0, 1].
        weights_BAK: float32 [B, A, K] or [B, A, 1].
    """
    return _binary_cross_entropy(logits_BAK, targets_BAK) * weights_BAK


def sigmoid_focal_loss(
    logits_BAK: Tensor,
    targets_BAK: Tensor,
    weights_BAK: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> Tensor:
    """Returns the binary cross-entropy, less where the answer is right.

    (1 - p_t)^gamma * alpha_t * cross-entropy, where p_t is the probability
    given to the truth. Source: Lin et al. 2017,
    https://arxiv.org/abs/1708.02002, equation 5.

    Args:
        logits_BAK: float32 [B, A, K].
        targets_BAK: float32 [B, A, K] in [0, 1].
        weights_BAK: float32 [B, A, K] or [B, A, 1].
        gamma: how strongly easy examples are discounted; 0 for not at all.
        alpha: weight of target 1, and 1 - alpha that of target 0; None for 1
            both.

    Returns:
        float32 [B, A, K].
    """
    if alpha is not None:
        weights_BAK = weights_BAK * (
            (1.0 - alpha) + (2.0 * alpha - 1.0) * targets_BAK
        )

    # Only logits, targets and weights live on until the gradient: automatic
    # differentiation would keep a dozen more tensors of their size.
    @ops.custom_gradient
    def loss_of(logits_BAK: Tensor) -> tuple[Tensor, Callable[..., Tensor]]:
        def gradient(*arguments: Tensor, upstream: Tensor = None) -> Tensor:
            (upstream_BAK,) = arguments if upstream is None else (upstream,)
            slope_BAK = _focal_slope(logits_BAK, targets_BAK, gamma)
            return upstream_BAK * weights_BAK * slope_BAK

        loss_BAK = _binary_cross_entropy(logits_BAK, targets_BAK) * weights_BAK
        error_BAK = _error(ops.sigmoid(logits_BAK), targets_BAK)
        return loss_BAK * _power(error_BAK, gamma), gradient

    return loss_of(ops.convert_to_tensor(logits_BAK))


def softmax_cross_entropy_loss(
    logits_BAK: Tensor,
    targets_BAK: Tensor,
    weights_BAK: Tensor,
    *,
    logit_scale: float = 1.0,
) -> Tensor:
    """Returns the cross-entropy of the softmax over the classes, [B, A].

    Args:
        logits_BAK: float32 [B, A, K].
        targets_BAK: float32 [B, A, K], probabilities.
        weights_BAK: float32 [B, A, K] or [B, A, 1]; their mean over the
            classes weighs the anchor.
        logit_scale: divides the logits first (a temperature).
    """
    log_probability_BAK = ops.log_softmax(logits_BAK / logit_scale, axis=-1)
    loss_BA = -ops.sum(targets_BAK * log_probability_BAK, axis=-1)
    return loss_BA * ops.mean(weights_BAK, axis=-1)


def l2_loss(
    codes_BA4: Tensor, targets_BA4: Tensor, weights_BA: Tensor
) -> Tensor:
    """Returns half the squared weighted difference, summed over the code.

    Args:
        codes_BA4: float32 [B, A, code_size].
        targets_BA4: same shape; NaN costs nothing.
        weights_BA: float32 [B, A]; they are squared with the difference.

    Returns:
        float32 [B, A].
    """
    difference_BA4 = codes_BA4 - _without_nan(targets_BA4, codes_BA4)
    weighted_BA4 = difference_BA4 * weights_BA[:, :, None]
    return ops.sum(0.5 * ops.square(weighted_BA4), axis=-1)


def smooth_l1_loss(
    codes_BA4: Tensor,
    targets_BA4: Tensor,
    weights_BA: Tensor,
    *,
    delta: float = 1.0,
) -> Tensor:
    """Returns the Huber loss, summed over the code.

    Half the square up to a difference of `delta`, linear beyond.

    Args:
        codes_BA4: float32 [B, A, code_size].
        targets_BA4: same shape; NaN costs nothing.
        weights_BA: float32 [B, A].
        delta: where the parabola ends.

    Returns:
        float32 [B, A].
    """
    distance_BA4 = ops.abs(codes_BA4 - _without_nan(targets_BA4, codes_BA4))
    # The part of the distance up to delta; the rest costs delta a unit.
    near_BA4 = ops.minimum(distance_BA4, delta)
    loss_BA4 = near_BA4 * (distance_BA4 - 0.5 * near_BA4)
    return ops.sum(loss_BA4, axis=-1) * weights_BA


def _binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    # log(1 + exp(-|x|)) never overflows.
    log_term = ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.relu(logits) - logits * targets + log_term


def _error(probability: Tensor, targets: Tensor) -> Tensor:
    """Returns 1 - p_t, for targets 0, 1 and anything between."""
    return probability + targets * (1.0 - 2.0 * probability)


def _power(base: Tensor, exponent: float) -> Tensor:
    if exponent == 2.0:
        return ops.square(base)
    if exponent in (0.0, 1.0):
        return base if exponent else ops.ones_like(base)
    return ops.power(base, exponent)


def _focal_slope(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Returns the derivative of error^gamma * cross-entropy by the logit."""
    probability = ops.sigmoid(logits)
    error = _error(probability, targets)
    slope = _power(error, gamma) * (probability - targets)
    if not gamma:
        return slope
    error_slope = probability * (1.0 - probability) * (1.0 - 2.0 * targets)
    return slope + (
        gamma
        * _power(error, gamma - 1.0)
        * error_slope
        * _binary_cross_entropy(logits, targets)
    )


def _without_nan(targets: Tensor, predictions: Tensor) -> Tensor:
    return ops.where(ops.isnan(targets), predictions, targets)
