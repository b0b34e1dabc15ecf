import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import kernels

EPSILON = 0.002
GAMMA = np.array([1.5, -2.0, 0.25], np.float32)
BETA = np.array([0.5, 1.0, -3.0], np.float32)


def inputs_and_weights(seed=0):
    random = np.random.RandomState(seed)
    inputs = random.normal(size=(2, 3, 5, 3)) * [1, 2, 0.5] + [0, 3, -1]
    return inputs.astype(np.float32), random.normal(size=inputs.shape).astype(
        np.float32
    )


def run(function, dtype):
    """Returns outputs, mean, variance and the gradients of a weighted sum."""
    inputs, weights = inputs_and_weights()
    sources = [tf.cast(inputs, dtype), tf.constant(GAMMA), tf.constant(BETA)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs, mean, variance = function(*sources, EPSILON)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    gradients = tape.gradient(total, sources)
    return outputs, mean, variance, *gradients


@pytest.mark.parametrize(
    "function", [kernels.batch_norm_train, kernels.batch_norm_train_keras]
)
def test_normalises_by_the_biased_and_returns_the_unbiased_variance(function):
    inputs, _ = inputs_and_weights()
    mean, variance = inputs.mean((0, 1, 2)), inputs.var((0, 1, 2))
    expected = (inputs - mean) / np.sqrt(variance + EPSILON) * GAMMA + BETA
    outputs, found_mean, found_variance, *_ = run(function, "float32")
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(found_mean, mean, atol=1e-6)
    # 30 values a channel.
    np.testing.assert_allclose(found_variance, variance * 30 / 29, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)]
)
def test_fused_equals_its_twin(dtype, tolerance):
    assert keras.backend.backend() == "tensorflow"
    fused = run(kernels.batch_norm_train, dtype)
    twin = run(kernels.batch_norm_train_keras, dtype)
    for found, expected in zip(fused, twin, strict=True):
        assert found.dtype == expected.dtype
        found, expected = (tf.cast(x, tf.float32) for x in (found, expected))
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=tolerance * scale)


@pytest.mark.parametrize(
    "function", [kernels.batch_norm_train, kernels.batch_norm_train_keras]
)
def test_statistics_are_float32_under_bfloat16(function):
    outputs, mean, variance, *_ = run(function, "bfloat16")
    assert outputs.dtype == tf.bfloat16
    assert mean.dtype == variance.dtype == tf.float32


@pytest.mark.parametrize(
    "function", [kernels.batch_norm_train, kernels.batch_norm_train_keras]
)
def test_one_value_a_channel_stays_finite(function):
    inputs = np.array([4.0, 5.0, 6.0], np.float32).reshape(1, 1, 1, 3)
    outputs, mean, variance = function(inputs, GAMMA, BETA, EPSILON)
    np.testing.assert_allclose(np.ravel(outputs), BETA, atol=1e-6)
    np.testing.assert_allclose(mean, [4.0, 5.0, 6.0])
    np.testing.assert_allclose(variance, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "function",
    [kernels.half_sum_of_squares, kernels.half_sum_of_squares_keras],
)
def test_half_sum_of_squares_and_its_gradient(function):
    values = tf.constant([[3.0, -4.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = function(values)
    assert float(total) == pytest.approx(13.0)
    np.testing.assert_allclose(tape.gradient(total, values), values)
