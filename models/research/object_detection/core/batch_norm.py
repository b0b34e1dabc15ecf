"""Batch normalisation with the variables and the update rule of TF1-slim."""

from typing import Any

import keras
from keras import ops

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import kernels

Tensor = Any

# The original's fused operation never went below this (a limit of cuDNN), so
# a configured 1e-5 really is this.
MIN_EPSILON = 1.001e-5


class BatchNorm(keras.layers.Layer):
    """Normalises each channel, then scales and offsets it.

    In training with batch statistics (`uses_batch_statistics`) each call
    moves the moving ones: `moving = decay * moving + (1 - decay) * batch`,
    the batch variance with Bessel's correction. Otherwise the layer is one
    multiplication and addition, `scale_and_shift`, which a convolution
    before it can take into its weights. All variables, and so the
    statistics, are float32 under any dtype policy.
    """

    def __init__(
        self,
        scope: str,
        num_channels: int,
        params: hyperparams_lib.BatchNormParams,
        dtype: Any = None,  # noqa: ANN401
    ) -> None:
        """Makes the variables, under `scope` in checkpoints."""
        super().__init__(dtype=dtype)
        self.scope = scope
        self._params = params
        self._epsilon = max(params.epsilon, MIN_EPSILON)
        self._num_channels = num_channels
        self.gamma = self._variable("gamma", "ones") if params.scale else None
        self.beta = self._variable("beta", "zeros") if params.center else None
        self.moving_mean = self._variable("moving_mean", "zeros", False)
        self.moving_variance = self._variable("moving_variance", "ones", False)
        self.built = True

    def _variable(
        self, name: str, initializer: str, trainable: bool = True
    ) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(self._num_channels,),
            initializer=initializer,
            trainable=trainable,
            autocast=False,
        )

    def named_variables(self) -> dict[str, keras.Variable]:
        """Returns checkpoint name -> variable."""
        variables = {
            "gamma": self.gamma,
            "beta": self.beta,
            "moving_mean": self.moving_mean,
            "moving_variance": self.moving_variance,
        }
        return {
            f"{self.scope}/{leaf}": variable
            for leaf, variable in variables.items()
            if variable is not None
        }

    def uses_batch_statistics(self, training: bool) -> bool:
        """Returns whether a call normalises with its own batch."""
        return bool(training) and self._params.train

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Returns float32 [F] scale and shift that equal frozen statistics."""
        scale = ops.rsqrt(self.moving_variance.value + self._epsilon)
        if self.gamma is not None:
            scale = scale * self.gamma.value
        shift = -self.moving_mean.value * scale
        if self.beta is not None:
            shift = shift + self.beta.value
        return scale, shift

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Normalises [B, H, W, F]; the output has the inputs' dtype."""
        if not self.uses_batch_statistics(training):
            scale, shift = self.scale_and_shift()
            dtype = inputs.dtype
            return inputs * ops.cast(scale, dtype) + ops.cast(shift, dtype)
        num_channels = (self._num_channels,)
        gamma = ops.ones(num_channels) if self.gamma is None else self.gamma
        beta = ops.zeros(num_channels) if self.beta is None else self.beta
        outputs, mean, variance = kernels.batch_norm_train(
            inputs,
            ops.convert_to_tensor(gamma, "float32"),
            ops.convert_to_tensor(beta, "float32"),
            self._epsilon,
        )
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance)
        return outputs

    def _move(self, moving: keras.Variable, batch_value: Tensor) -> None:
        batch_value = ops.stop_gradient(batch_value)
        difference = moving.value - batch_value
        moving.assign(moving.value - difference * (1.0 - self._params.decay))
