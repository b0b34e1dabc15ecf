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


RANGES = [(-1.3, 2.7), (0.0, 3.0), (-2.5, 0.0), (-1e-3, 4.0), (0.0, 0.0)]


def fake_quantized(function, low, high, is_narrow):
    """Returns values, their result and the gradient of a sum of it."""
    random = np.random.RandomState(7)
    values = tf.constant(random.uniform(-7, 7, size=(3, 9000)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = function(
            values, tf.constant(low), tf.constant(high), is_narrow=is_narrow
        )
        total = tf.reduce_sum(outputs * values[::-1])
    return values.numpy(), outputs.numpy(), tape.gradient(total, values)


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_native_fake_quantization_equals_its_twin(low, high, is_narrow):
    arguments = low, high, is_narrow
    _, native, native_gradient = fake_quantized(kernels.fake_quant, *arguments)
    _, twin, gradient = fake_quantized(kernels.fake_quant_keras, *arguments)
    # What lies between two steps may fall to either.
    assert np.mean(np.abs(twin - native) > 1e-6) < 3e-4
    np.testing.assert_allclose(twin, native, atol=4.01 / 254)
    assert np.mean(np.abs(gradient - native_gradient) > 1e-5) < 3e-4
    num_steps = 1 if low == high else 255 if is_narrow else 256
    for found in (native, twin):
        assert len(np.unique(found)) == num_steps
        assert 0.0 in found


@pytest.mark.parametrize(
    "function", [kernels.fake_quant, kernels.fake_quant_keras]
)
def test_fake_quantization_moves_its_ends_to_have_zero(function):
    values, found, gradient = fake_quantized(function, -1.3, 2.7, False)
    step = 4.0 / 255
    # 1.3 are 82.9 steps, so zero is the 83rd.
    low, high = -83 * step, 172 * step
    expected = np.clip(np.round(values / step) * step, low, high)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    is_inside = (values >= low) & (values <= high)
    passed = np.asarray(gradient) - found[::-1]
    np.testing.assert_allclose(
        passed, np.where(is_inside, values[::-1], 0.0), atol=1e-5
    )


def test_fake_quantization_keeps_the_type_of_its_inputs():
    values = tf.constant([-2.0, 0.3, 9.0], tf.bfloat16)
    found = kernels.fake_quant(values, -1.0, 3.0, is_narrow=True)
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(
        tf.cast(found, "float32"), [-1.0, 0.3, 3.0], atol=0.02
    )
