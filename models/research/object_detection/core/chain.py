"""Layers one after the other, for networks that are put together of parts."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from object_detection.core import conv_layers

Tensor = Any
Part = keras.layers.Layer | Callable[[Tensor], Tensor]


class Chain(keras.layers.Layer):
    """Layers and plain functions, each given what the one before returned."""

    def __init__(
        self, parts: Sequence[Part], dtype: conv_layers.DTypePolicy
    ) -> None:
        """Joins the parts; layers among them are told `training`."""
        super().__init__(dtype=dtype)
        self._parts = list(parts)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Applies the parts; without any it returns the inputs."""
        for part in self._parts:
            if isinstance(part, keras.layers.Layer):
                inputs = part(inputs, training=training)
            else:
                inputs = part(inputs)
        return inputs
