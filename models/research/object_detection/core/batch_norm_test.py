import numpy as np
import pytest

from object_detection.core import batch_norm
from object_detection.core import hyperparams as hyperparams_lib


def make(**params):
    return batch_norm.BatchNorm(
        "n", 2, hyperparams_lib.BatchNormParams(**params)
    )


def inputs():
    random = np.random.RandomState(0)
    values = random.normal(size=(3, 4, 5, 2)) * [1.0, 3.0] + [2.0, -1.0]
    return values.astype(np.float32)


def test_moving_statistics_follow_the_decay():
    norm = make(decay=0.9, scale=True)
    norm.moving_mean.assign([10.0, 20.0])
    norm.moving_variance.assign([5.0, 7.0])
    norm(inputs(), training=True)
    mean = inputs().mean((0, 1, 2))
    variance = inputs().var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(
        norm.moving_mean, 0.9 * np.array([10.0, 20.0]) + 0.1 * mean, rtol=1e-5
    )
    np.testing.assert_allclose(
        norm.moving_variance,
        0.9 * np.array([5.0, 7.0]) + 0.1 * variance,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("center", "scale", "leaves"),
    [
        (True, True, {"gamma", "beta"}),
        (True, False, {"beta"}),
        (False, True, {"gamma"}),
        (False, False, set()),
    ],
)
def test_center_and_scale_decide_the_variables(center, scale, leaves):
    norm = make(center=center, scale=scale)
    names = set(norm.named_variables())
    statistics = {"moving_mean", "moving_variance"}
    assert names == {f"n/{leaf}" for leaf in leaves | statistics}
    trained = {v.name for v in norm.trainable_variables}
    assert trained == leaves


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_statistics_move_only_in_training_that_is_not_frozen(train, training):
    norm = make(train=train)
    norm(inputs(), training=training)
    has_moved = bool(np.any(np.asarray(norm.moving_mean)))
    assert has_moved == (train and training)
    assert norm.uses_batch_statistics(training) == (train and training)


def test_frozen_call_is_scale_and_shift():
    norm = make(scale=True)
    norm.gamma.assign([2.0, -3.0])
    norm.beta.assign([0.5, 0.25])
    norm.moving_mean.assign([1.0, 4.0])
    norm.moving_variance.assign([0.04, 9.0])
    outputs = np.asarray(norm(inputs(), training=False))
    deviation = np.sqrt(np.array([0.041, 9.001]))
    expected = (inputs() - [1.0, 4.0]) / deviation * [2.0, -3.0] + [0.5, 0.25]
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_epsilon_has_the_floor_of_the_fused_kernel():
    norm = make(epsilon=0.0)
    norm.moving_variance.assign([0.0, 0.0])
    scale, _ = norm.scale_and_shift()
    np.testing.assert_allclose(scale, 1.001e-5**-0.5, rtol=1e-5)
