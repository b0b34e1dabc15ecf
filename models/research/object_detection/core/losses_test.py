import functools

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import containers, losses

LOGITS = np.float32([[[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]]])
TARGETS = np.float32([[[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
WEIGHTS = np.float32([[[1.0], [0.5]]])


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.float64(x)))


def cross_entropy():
    p = sigmoid(LOGITS)
    return -(TARGETS * np.log(p) + (1 - TARGETS) * np.log(1 - p))


def test_sigmoid_cross_entropy_by_the_definition():
    found = losses.sigmoid_cross_entropy_loss(LOGITS, TARGETS, WEIGHTS)
    np.testing.assert_allclose(found, cross_entropy() * WEIGHTS, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal_loss_by_the_definition(gamma, alpha):
    p = sigmoid(LOGITS)
    truth = np.where(TARGETS == 1, p, 1 - p)
    expected = (1 - truth) ** gamma * cross_entropy() * WEIGHTS
    if alpha is not None:
        expected *= np.where(TARGETS == 1, alpha, 1 - alpha)
    found = losses.sigmoid_focal_loss(
        LOGITS, TARGETS, WEIGHTS, gamma=gamma, alpha=alpha
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def focal_gradient(logits, targets, **arguments):
    """Returns the gradient by the logits, each output weighed on its own."""
    logits = tf.constant(logits)
    upstream = np.arange(1, 7, dtype=np.float32).reshape(1, 2, 3)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = losses.sigmoid_focal_loss(logits, targets, WEIGHTS, **arguments)
        total = tf.reduce_sum(loss * upstream)
    return tape.gradient(total, logits) / upstream / WEIGHTS


@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("softness", [0.0, 0.25])
def test_focal_gradient_is_the_slope_of_the_loss(gamma, softness):
    targets = np.abs(TARGETS - np.float32(softness))

    def loss(logits):
        p = sigmoid(logits)
        error = p + targets - 2 * p * targets
        entropy = targets * np.log(p) + (1 - targets) * np.log(1 - p)
        return -(error**gamma) * entropy * (0.75 - 0.5 * targets)

    step = 1e-5
    logits = np.float64(LOGITS)
    expected = (loss(logits + step) - loss(logits - step)) / (2 * step)
    found = focal_gradient(LOGITS, targets, gamma=gamma, alpha=0.25)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_focal_gradient_of_huge_logits_is_finite():
    logits = 1e4 * np.float32([[[1, -1, 1], [-1, 1, -1]]])
    found = focal_gradient(logits, TARGETS)
    # The slope is one where the answer is wrong.
    np.testing.assert_allclose(found, [[[1, -1, 1], [0, 0, 0]]], atol=1e-6)


def test_losses_of_huge_logits_are_finite():
    logits = np.float32([[[1e4, -1e4]]])
    targets, weights = np.float32([[[0, 1]]]), np.float32([[[1]]])
    found = losses.sigmoid_focal_loss(logits, targets, weights)
    np.testing.assert_allclose(found, [[[1e4, 1e4]]])


def test_softmax_cross_entropy_with_a_temperature():
    scaled = np.float64(LOGITS) / 2.0
    expected = np.log(np.exp(scaled).sum(-1)) - scaled[..., 1]
    weights = np.float32([[[1.0, 2.0, 6.0], [0.5, 0.5, 0.5]]])
    found = losses.softmax_cross_entropy_loss(
        LOGITS, TARGETS, weights, logit_scale=2.0
    )
    np.testing.assert_allclose(found, expected * [[3.0, 0.5]], rtol=1e-5)


CODES = np.float32([[[0.5, -3.0, 1.0, 0.0], [2.0, 0.0, 0.0, 0.0]]])
CODE_TARGETS = np.float32([[[0.0, 0.0, 1.0, 0.0], [0.0, np.nan, 0.0, 0.0]]])
CODE_WEIGHTS = np.float32([[1.0, 0.5]])


@pytest.mark.parametrize(
    "delta, expected",
    [
        # 0.5 * 0.25 + (3 - 0.5); half of (2 - 0.5).
        (1.0, [[0.125 + 2.5, 0.75]]),
        # 0.25 * (0.5 - 0.125) + 0.25 * (3 - 0.125); half of 0.25 * 1.875.
        (0.25, [[0.09375 + 0.71875, 0.234375]]),
    ],
)
def test_smooth_l1_by_hand(delta, expected):
    found = losses.smooth_l1_loss(
        CODES, CODE_TARGETS, CODE_WEIGHTS, delta=delta
    )
    np.testing.assert_allclose(found, expected)


def test_l2_squares_the_weight_too():
    found = losses.l2_loss(CODES, CODE_TARGETS, CODE_WEIGHTS)
    np.testing.assert_allclose(found, [[0.5 * 9.25, 0.5 * 0.25 * 4.0]])


def make_targets(box_weights=CODE_WEIGHTS):
    return containers.Targets(
        class_targets=TARGETS,
        class_weights=WEIGHTS,
        box_codes=CODE_TARGETS,
        box_weights=np.float32(box_weights),
        match=None,
    )


def make_loss(**changes):
    return losses.DetectionLoss(
        localization=losses.smooth_l1_loss,
        classification=losses.sigmoid_cross_entropy_loss,
        **changes,
    )


@pytest.mark.parametrize(
    "changes, factors",
    [
        ({}, (1 / 1.5, 1 / 1.5)),
        ({"normalize_by_num_matches": False}, (1.0, 1.0)),
        ({"normalize_by_code_size": True}, (1 / 6.0, 1 / 1.5)),
        ({"localization_weight": 3.0}, (2.0, 1 / 1.5)),
        ({"classification_weight": 3.0}, (1 / 1.5, 2.0)),
    ],
)
def test_sums_are_weighted_and_normalised(changes, factors):
    box_sum = 0.125 + 2.5 + 0.75
    class_sum = (cross_entropy() * WEIGHTS).sum()
    found = make_loss(**changes).reduce(
        CODES, LOGITS, make_targets([[1.0, 0.5]])
    )
    # The second box weight is 0.5: the sum of weights is 1.5.
    np.testing.assert_allclose(
        found, [box_sum * factors[0], class_sum * factors[1]], rtol=1e-5
    )


def test_without_matches_nothing_is_divided_by_zero():
    found = make_loss().reduce(CODES, LOGITS, make_targets([[0.0, 0.0]]))
    class_sum = (cross_entropy() * WEIGHTS).sum()
    np.testing.assert_allclose(found, [0.0, class_sum], rtol=1e-5)


def test_a_loss_of_one_value_per_anchor_is_summed_too():
    detection_loss = losses.DetectionLoss(
        localization=losses.l2_loss,
        classification=functools.partial(
            losses.softmax_cross_entropy_loss, logit_scale=1.0
        ),
    )
    _, found = detection_loss.reduce(CODES, LOGITS, make_targets())
    expected = losses.softmax_cross_entropy_loss(LOGITS, TARGETS, WEIGHTS)
    np.testing.assert_allclose(found, np.sum(expected) / 1.5, rtol=1e-6)
