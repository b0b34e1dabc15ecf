import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import losses

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


@pytest.mark.parametrize("is_hard", [False, True])
def test_bootstrapped_loss_by_the_definition(is_hard):
    p = sigmoid(LOGITS)
    belief = np.round(p) if is_hard else p
    targets = 0.7 * TARGETS + 0.3 * belief
    entropy = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    found = losses.bootstrapped_sigmoid_cross_entropy_loss(
        LOGITS, TARGETS, WEIGHTS, alpha=0.7, is_hard=is_hard
    )
    np.testing.assert_allclose(found, entropy * WEIGHTS, rtol=1e-5)
    # The first: -log(1 - 0.8808) is 2.1269, of which 2 * 0.3 is believed away
    # by a hard belief, 2 * 0.3 * 0.8808 by a soft one.
    by_hand = 1.5269 if is_hard else 1.5985
    np.testing.assert_allclose(found[0, 0, 0], by_hand, atol=1e-4)


def test_bootstrapped_loss_that_believes_the_labels_is_the_plain_one():
    found = losses.bootstrapped_sigmoid_cross_entropy_loss(
        LOGITS, TARGETS, WEIGHTS, alpha=1.0
    )
    np.testing.assert_allclose(found, cross_entropy() * WEIGHTS, rtol=1e-5)


def numerical_gradient(loss, inputs, step=1e-3):
    """Returns the slope of a sum, by central differences in float32."""
    slopes = np.zeros(inputs.shape)
    for i in np.ndindex(*inputs.shape):
        up, down = inputs.copy(), inputs.copy()
        up[i] += step
        down[i] -= step
        difference = np.float64(loss(up)) - np.float64(loss(down))
        slopes[i] = difference.sum() / (2 * step)
    return slopes


def gradient(loss, inputs):
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(loss(inputs))
    return tape.gradient(total, inputs)


def test_a_soft_belief_has_a_gradient_too():
    def loss(logits):
        return losses.bootstrapped_sigmoid_cross_entropy_loss(
            logits, TARGETS, WEIGHTS, alpha=0.4
        )

    expected = numerical_gradient(loss, LOGITS)
    np.testing.assert_allclose(gradient(loss, LOGITS), expected, atol=1e-3)
    believed = 0.4 * TARGETS + 0.6 * sigmoid(LOGITS)
    of_the_entropy_alone = (sigmoid(LOGITS) - believed) * WEIGHTS
    assert np.abs(expected - of_the_entropy_alone).max() > 0.1


def test_sigmoid_gradient_is_probability_minus_target_even_at_zero():
    found = gradient(
        lambda x: losses.sigmoid_cross_entropy_loss(x, TARGETS, WEIGHTS),
        LOGITS,
    )
    assert LOGITS[0, 1, 0] == 0.0
    expected = (sigmoid(LOGITS) - TARGETS) * WEIGHTS
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_softmax_cross_entropy_with_a_temperature():
    scaled = np.float64(LOGITS) / 2.0
    expected = np.log(np.exp(scaled).sum(-1)) - scaled[..., 1]
    weights = np.float32([[[1.0, 2.0, 6.0], [0.5, 0.5, 0.5]]])
    found = losses.softmax_cross_entropy_loss(
        LOGITS, TARGETS, weights, logit_scale=2.0
    )
    np.testing.assert_allclose(found, expected * [[3.0, 0.5]], rtol=1e-5)


def test_softmax_against_logits_turns_both_into_probabilities():
    targets = np.float32([[[2.0, 0.0, 4.0], [0.0, -2.0, 6.0]]])

    def softmax(logits):
        exponents = np.exp(np.float64(logits) / 2.0)
        return exponents / exponents.sum(-1, keepdims=True)

    expected = -(softmax(targets) * np.log(softmax(LOGITS))).sum(-1)
    weights = np.float32([[[1.0, 2.0, 6.0], [0.5, 0.5, 0.5]]])
    found = losses.softmax_cross_entropy_against_logits_loss(
        LOGITS, targets, weights, logit_scale=2.0
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


BOXES = np.float32(
    [[[0.0, 0.0, 0.4, 0.6], [0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.7, 0.9]]]
)
BOX_TARGETS = np.float32(
    [[[0.2, 0.1, 0.6, 0.3], [0.3, 0.3, 0.4, 0.4], [0.5, 0.5, 0.7, 0.9]]]
)


def test_iou_loss_by_hand():
    # 0.2 * 0.2 of 0.24 + 0.08 - 0.04; apart; equal.
    found = losses.iou_loss(BOXES, BOX_TARGETS, np.float32([[2.0, 0.5, 3.0]]))
    np.testing.assert_allclose(found, [[12 / 7, 0.5, 0.0]], atol=1e-6)


def test_iou_loss_of_nan_is_nothing_and_corners_may_be_swapped():
    targets = BOX_TARGETS.copy()
    targets[0, 1] = np.nan
    swapped = BOXES[:, :, [2, 3, 0, 1]]
    weights = np.ones((1, 3), np.float32)
    found = losses.iou_loss(BOXES, targets, weights)
    np.testing.assert_allclose(found, [[6 / 7, 0.0, 0.0]], atol=1e-6)
    found = losses.iou_loss(swapped, BOX_TARGETS, weights)
    np.testing.assert_allclose(found, [[6 / 7, 1.0, 0.0]], atol=1e-6)


def test_iou_loss_has_the_gradient_of_the_overlap():
    weights = np.float32([[2.0, 0.5, 0.0]])

    def loss(boxes):
        return losses.iou_loss(boxes, BOX_TARGETS, weights)

    found = gradient(loss, BOXES)
    expected = numerical_gradient(loss, BOXES)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    np.testing.assert_array_equal(found[0, 1:], np.zeros((2, 4)))
