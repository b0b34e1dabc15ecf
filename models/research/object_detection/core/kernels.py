"""Operations that a backend has natively and Keras does not expose.

Each has a twin in keras.ops that is its equal, for the other backends.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any


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
