"""Loss functions of the detector.

Each takes predictions, targets and weights and returns one value per class
(`loss_BAK`) or per anchor (`loss_BA`); `detection_loss` sums them up.

Letters: B image, A anchor, K class including a background column, 4 box code
(or whatever length the box coder's codes have).
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from object_detection.core import box_ops

Tensor = Any


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


def bootstrapped_sigmoid_cross_entropy_loss(
    logits_BAK: Tensor,
    targets_BAK: Tensor,
    weights_BAK: Tensor,
    *,
    alpha: float,
    is_hard: bool = False,
) -> Tensor:
    """Returns the binary cross-entropy against labels that are half believed.

    The target is `alpha` times the label plus 1 - `alpha` times what the
    detector says itself. Source: Reed et al. 2014,
    https://arxiv.org/abs/1412.6596, equations 6 (soft) and 7 (hard).

    Args:
        logits_BAK: float32 [B, A, K].
        targets_BAK: float32 [B, A, K] in [0, 1].
        weights_BAK: float32 [B, A, K] or [B, A, 1].
        alpha: in [0, 1], how far the labels are believed.
        is_hard: whether the detector says 0 or 1 (a probability above one
            half), or its probability. That has a gradient too, as in TF OD
            API.

    Returns:
        float32 [B, A, K].
    """
    belief_BAK = ops.sigmoid(logits_BAK)
    if is_hard:
        belief_BAK = ops.cast(belief_BAK > 0.5, belief_BAK.dtype)
    targets_BAK = alpha * targets_BAK + (1.0 - alpha) * belief_BAK
    return _binary_cross_entropy(logits_BAK, targets_BAK) * weights_BAK


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


def softmax_cross_entropy_against_logits_loss(
    logits_BAK: Tensor,
    targets_BAK: Tensor,
    weights_BAK: Tensor,
    *,
    logit_scale: float = 1.0,
) -> Tensor:
    """Returns `softmax_cross_entropy_loss` with logits for targets, [B, A].

    Args:
        logits_BAK: float32 [B, A, K].
        targets_BAK: float32 [B, A, K], logits of another detector; their
            softmax is the target.
        weights_BAK: float32 [B, A, K] or [B, A, 1]; their mean over the
            classes weighs the anchor.
        logit_scale: divides the logits of both first.
    """
    return softmax_cross_entropy_loss(
        logits_BAK,
        ops.softmax(targets_BAK / logit_scale, axis=-1),
        weights_BAK,
        logit_scale=logit_scale,
    )


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
    difference_BA4 = codes_BA4 - without_nan(targets_BA4, codes_BA4)
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
    distance_BA4 = ops.abs(codes_BA4 - without_nan(targets_BA4, codes_BA4))
    # The part of the distance up to delta; the rest costs delta a unit.
    near_BA4 = ops.minimum(distance_BA4, delta)
    loss_BA4 = near_BA4 * (distance_BA4 - 0.5 * near_BA4)
    return ops.sum(loss_BA4, axis=-1) * weights_BA


def iou_loss(
    boxes_BA4: Tensor, targets_BA4: Tensor, weights_BA: Tensor
) -> Tensor:
    """Returns the weighted 1 - IoU of each box with its target.

    Differs from TF OD API: there the IoU was taken of the box codes, which
    are no corners, so that it meant nothing.

    Args:
        boxes_BA4: float32 [B, A, 4] yxyx, decoded.
        targets_BA4: same; NaN costs nothing.
        weights_BA: float32 [B, A].

    Returns:
        float32 [B, A]. Boxes that are apart cost 1 and have no gradient.
    """
    targets_BA4 = without_nan(targets_BA4, boxes_BA4)
    boxes_BA4 = box_ops.order_corners_yxyx(boxes_BA4)
    iou_BA11 = box_ops.pairwise_iou(
        boxes_BA4[:, :, None], targets_BA4[:, :, None]
    )
    return weights_BA * (1.0 - iou_BA11[:, :, 0, 0])


def without_nan(targets: Tensor, predictions: Tensor) -> Tensor:
    """Replaces NaN by the prediction, so that it costs nothing."""
    return ops.where(ops.isnan(targets), predictions, targets)


def _binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    # max(x, 0) and -|x|, both with their slope at 0 on the same side: those of
    # `relu` and `abs` are 0 there, and would not add up to the sum's.
    is_positive = logits >= 0
    maximum = ops.where(is_positive, logits, 0.0)
    # log(1 + exp(-|x|)) never overflows.
    log_term = ops.log1p(ops.exp(ops.where(is_positive, -logits, logits)))
    return maximum - logits * targets + log_term


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
