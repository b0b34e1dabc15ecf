"""Tests of the update rules against the formulas in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.training import optimizers

# The rate must change, because that is where TF1's rule and Keras' differ.
LEARNING_RATES = [0.1, 0.02, 0.5, 0.003]
RNG = np.random.default_rng(3)
GRADIENTS = {
    "a/weights": RNG.normal(size=(4, 2, 3)).astype("float32"),
    "b/biases": RNG.normal(size=(4, 5)).astype("float32"),
}
FIRST = {
    "a/weights": RNG.normal(size=(2, 3)).astype("float32"),
    "b/biases": RNG.normal(size=5).astype("float32"),
}


def run(make_optimizer):
    variables = {n: keras.Variable(v) for n, v in FIRST.items()}
    optimizer = make_optimizer(variables)

    @tf.function
    def update(gradients, learning_rate):
        optimizer.apply(gradients, learning_rate)

    for i, learning_rate in enumerate(LEARNING_RATES):
        update(
            {n: tf.constant(g[i]) for n, g in GRADIENTS.items()},
            tf.constant(learning_rate),
        )
    return variables, optimizer


def arrays(variables):
    return {name: np.array(v.value) for name, v in variables.items()}


def test_momentum_keeps_the_rate_outside_the_velocity():
    variables, optimizer = run(lambda v: optimizers.Momentum(v, momentum=0.9))

    slots = arrays(optimizer.checkpoint_variables())
    assert sorted(slots) == ["a/weights/Momentum", "b/biases/Momentum"]
    for name, weights in FIRST.items():
        velocity = 0.0
        for gradient, rate in zip(GRADIENTS[name], LEARNING_RATES, strict=True):
            velocity = 0.9 * velocity + gradient
            weights = weights - rate * velocity
        np.testing.assert_allclose(variables[name].value, weights, rtol=1e-5)
        np.testing.assert_allclose(
            slots[f"{name}/Momentum"], velocity, rtol=1e-5
        )


def test_rms_prop_follows_tf1():
    variables, optimizer = run(
        lambda v: optimizers.RMSProp(v, momentum=0.8, decay=0.7, epsilon=0.3)
    )

    slots = arrays(optimizer.checkpoint_variables())
    for name, weights in FIRST.items():
        mean_square, step = 1.0, 0.0
        for g, rate in zip(GRADIENTS[name], LEARNING_RATES, strict=True):
            mean_square = 0.7 * mean_square + 0.3 * g * g
            step = 0.8 * step + rate * g / np.sqrt(mean_square + 0.3)
            weights = weights - step
        np.testing.assert_allclose(variables[name].value, weights, rtol=1e-4)
        np.testing.assert_allclose(
            slots[f"{name}/RMSProp"], mean_square, rtol=1e-5
        )
        np.testing.assert_allclose(slots[f"{name}/RMSProp_1"], step, rtol=1e-4)


def test_adam_follows_tf1():
    variables, optimizer = run(optimizers.Adam)

    slots = arrays(optimizer.checkpoint_variables())
    np.testing.assert_allclose(slots["beta1_power"], 0.9**5, rtol=1e-6)
    np.testing.assert_allclose(slots["beta2_power"], 0.999**5, rtol=1e-6)
    for name, weights in FIRST.items():
        first, second = 0.0, 0.0
        for i, (g, rate) in enumerate(
            zip(GRADIENTS[name], LEARNING_RATES, strict=True), 1
        ):
            first = 0.9 * first + 0.1 * g
            second = 0.999 * second + 0.001 * g * g
            rate *= np.sqrt(1 - 0.999**i) / (1 - 0.9**i)
            weights = weights - rate * first / (np.sqrt(second) + 1e-8)
        # The kernel computes 1 - beta2_power in float32.
        np.testing.assert_allclose(variables[name].value, weights, rtol=2e-3)
        np.testing.assert_allclose(slots[f"{name}/Adam"], first, rtol=1e-5)
        np.testing.assert_allclose(slots[f"{name}/Adam_1"], second, rtol=1e-4)


def test_moving_average_follows_the_weights_from_their_first_value():
    variables, optimizer = run(
        lambda v: optimizers.MovingAverage(
            optimizers.Momentum(v, momentum=0.9), v, decay=0.75
        )
    )

    slots = arrays(optimizer.checkpoint_variables())
    name = "a/weights"
    weights = average = FIRST[name]
    velocity = 0.0
    for gradient, rate in zip(GRADIENTS[name], LEARNING_RATES, strict=True):
        velocity = 0.9 * velocity + gradient
        weights = weights - rate * velocity
        average = 0.75 * average + 0.25 * weights
    np.testing.assert_allclose(
        slots[f"{name}/ExponentialMovingAverage"], average, rtol=1e-5
    )
    assert f"{name}/Momentum" in slots
    with optimizer.averaged_weights():
        np.testing.assert_allclose(variables[name].value, average, rtol=1e-5)
    np.testing.assert_allclose(variables[name].value, weights, rtol=1e-5)


@pytest.mark.parametrize("momentum", [-0.1, 1.5, float("nan")])
def test_refuses_a_momentum_that_is_no_share(momentum):
    with pytest.raises(ValueError, match="momentum"):
        optimizers.Momentum({}, momentum=momentum)
