"""Operations that a backend has natively and Keras does not expose.

Each has a twin in keras.ops that is its equal, for the other backends.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any

# Of the integers that `fake_quant` imitates.
_NUM_BITS = 8


def batch_norm_train(
    inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalises with the mean and variance of the batch, fused if possible.

    Args:
        inputs: float [B, H, W, F] of any precision.
        gamma: float32 [F], scale.
        beta: float32 [F], offset.
        epsilon: added to the (biased) variance before its root.

    Returns:
        [B, H, W, F] of the inputs' dtype; float32 [F] mean; float32 [F]
        variance with Bessel's correction, as moving statistics want it.
    """
    if keras.backend.backend() == "tensorflow":
        return _batch_norm_train_tensorflow(inputs, gamma, beta, epsilon)
    return batch_norm_train_keras(inputs, gamma, beta, epsilon)


def batch_norm_train_keras(
    inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Does the work of `batch_norm_train` on any backend, in float32."""
    inputs_float32 = ops.cast(inputs, "float32")
    mean, variance = ops.moments(inputs_float32, axes=(0, 1, 2))
    scale = gamma * ops.rsqrt(variance + epsilon)
    outputs = (inputs_float32 - mean) * scale + beta
    batch, height, width, _ = ops.shape(inputs)
    num_values = ops.cast(batch * height * width, "float32")
    bessel = num_values / ops.maximum(num_values - 1.0, 1.0)
    return ops.cast(outputs, inputs.dtype), mean, variance * bessel


def _batch_norm_train_tensorflow(
    inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    import tensorflow as tf

    no_statistics = tf.zeros([0], tf.float32)
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=gamma,
        offset=beta,
        mean=no_statistics,
        variance=no_statistics,
        epsilon=epsilon,
        is_training=True,
    )
    return outputs.y, outputs.batch_mean, outputs.batch_variance


def half_sum_of_squares(values: Tensor) -> Tensor:
    """Returns the scalar half sum of squares, without a tensor of squares."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.nn.l2_loss(values)
    return half_sum_of_squares_keras(values)


def half_sum_of_squares_keras(values: Tensor) -> Tensor:
    """Does the work of `half_sum_of_squares` on any backend."""
    return 0.5 * ops.sum(ops.square(values))


def fake_quant(
    inputs: Tensor, low: Tensor, high: Tensor, *, is_narrow: bool
) -> Tensor:
    """Rounds to the nearest of the numbers that 8 bits can tell apart.

    They lie at equal distances between `low` and `high`, both moved a little
    so that zero is one of them. What lies outside becomes the end that is
    nearer. The gradient of the inputs passes as it is where they lie inside,
    and is zero outside (Jacob et al. 2018, arxiv.org/abs/1712.05877).

    Args:
        inputs: float, of any shape and precision.
        low: float32 scalar, not above 0.
        high: float32 scalar, not below 0. If both are 0, so is the result.
        is_narrow: 255 numbers in place of 256, so that as many can lie below
            zero as above.

    Returns:
        What the inputs are, computed in float32.
    """
    function = fake_quant_keras
    if keras.backend.backend() == "tensorflow":
        function = _fake_quant_tensorflow
    outputs = function(
        ops.cast(inputs, "float32"), low, high, is_narrow=is_narrow
    )
    return ops.cast(outputs, inputs.dtype)


def fake_quant_keras(
    inputs: Tensor, low: Tensor, high: Tensor, *, is_narrow: bool
) -> Tensor:
    """Does the work of `fake_quant` on any backend, for float32."""
    low, high = ops.stop_gradient(low), ops.stop_gradient(high)
    num_steps = 2.0**_NUM_BITS - (2.0 if is_narrow else 1.0)
    is_empty = ops.equal(low, high)
    step = ops.where(is_empty, 1.0, high - low) / num_steps
    # Steps from the least number to zero.
    zero_point = ops.clip(ops.floor(0.5 - low / step), 0.0, num_steps)
    least = -zero_point * step
    greatest = (num_steps - zero_point) * step

    @ops.custom_gradient
    def rounded(values: Tensor) -> Any:  # noqa: ANN401
        from_least = (ops.clip(values, least, greatest) - least) / step
        from_zero = ops.floor(from_least - zero_point + 0.5)
        outputs = ops.where(is_empty, 0.0, from_zero * step)
        is_inside = (values >= least) & (values <= greatest)
        passes = ops.cast(is_inside | is_empty, "float32")

        def gradient(*args: Tensor, upstream: Tensor | None = None) -> Tensor:
            return passes * (args[0] if upstream is None else upstream)

        return outputs, gradient

    return rounded(inputs)


def _fake_quant_tensorflow(
    inputs: Tensor, low: Tensor, high: Tensor, *, is_narrow: bool
) -> Tensor:
    import tensorflow as tf

    return tf.quantization.fake_quant_with_min_max_vars(
        inputs, low, high, num_bits=_NUM_BITS, narrow_range=is_narrow
    )
