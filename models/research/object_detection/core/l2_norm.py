"""Channels of unit length, times a learnt scale."""

from typing import Any

import keras
from keras import ops

from object_detection.core import conv_layers

Tensor = Any

# Below this a pixel's squared length counts as this.
_MIN_SQUARED_LENGTH = 1e-12


class L2Norm(keras.layers.Layer):
    """Divides each pixel by its length over the channels, then scales these.

    Brings a map of large values to the size of others' (Liu et al. 2016,
    https://arxiv.org/abs/1512.02325, section 3.1). The scale is float32
    under any dtype policy, and is never regularised.
    """

    def __init__(
        self,
        scope: str,
        num_channels: int,
        initial_scale: float,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes the variable `scale`, under `scope` in checkpoints."""
        super().__init__(dtype=dtype)
        self.scope = scope
        self.scale = self.add_weight(
            name="scale",
            shape=(num_channels,),
            initializer=keras.initializers.Constant(initial_scale),
            autocast=False,
        )
        self.built = True

    def named_variables(self) -> dict[str, keras.Variable]:
        """Returns checkpoint name -> variable."""
        return {f"{self.scope}/scale": self.scale}

    def call(self, inputs: Tensor) -> Tensor:
        """Normalises [B, H, W, F]; the output has the inputs' dtype."""
        # Squares of float16 would leave its range.
        pixels = ops.cast(inputs, "float32")
        squares = ops.sum(ops.square(pixels), axis=-1, keepdims=True)
        factor = ops.rsqrt(ops.maximum(squares, _MIN_SQUARED_LENGTH))
        return ops.cast(pixels * factor * self.scale.value, inputs.dtype)
