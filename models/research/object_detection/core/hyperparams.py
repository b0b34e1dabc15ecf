"""What governs a convolution and its normalisation, as plain values."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

Tensor = Any

_ACTIVATIONS = {
    None: lambda inputs: inputs,
    "relu": keras.ops.relu,
    "relu6": keras.ops.relu6,
}


@dataclasses.dataclass(frozen=True)
class BatchNormParams:
    """Batch normalisation; the defaults are those of the config message.

    Attributes:
        decay: float in [0, 1), how much of the moving statistics a training
            step keeps.
        epsilon: float, added to the variance.
        center: whether there is a learnt offset (beta).
        scale: whether there is a learnt scale (gamma).
        train: whether training normalises with the statistics of its batch
            and updates the moving ones; if not they are frozen.
    """

    decay: float = 0.999
    epsilon: float = 0.001
    center: bool = True
    scale: bool = False
    train: bool = True


@dataclasses.dataclass(frozen=True)
class ConvHyperparams:
    """How the convolutions of one part of a network are made.

    Attributes:
        initializer: template of the weights' initializer; each variable is
            drawn by a clone of its own, as one Keras initializer would give
            every variable of a shape the same values.
        regularizer: of convolution weights, never of biases, gamma or beta.
        activation: 'relu', 'relu6' or None (linear).
        batch_norm: None for biases in place of a normalisation.
        regularizes_depthwise: whether the regularizer is of the weights of
            depthwise convolutions, too.
    """

    initializer: keras.initializers.Initializer
    regularizer: keras.regularizers.Regularizer | None = None
    activation: str | None = "relu"
    batch_norm: BatchNormParams | None = None
    regularizes_depthwise: bool = True

    def with_activation(self, activation: str | None) -> "ConvHyperparams":
        """Returns the same with another activation."""
        return dataclasses.replace(self, activation=activation)

    def linear(self) -> "ConvHyperparams":
        """Returns the same without activation."""
        return self.with_activation(None)

    def without_norm(self) -> "ConvHyperparams":
        """Returns the same with biases in place of batch normalisation."""
        return dataclasses.replace(self, batch_norm=None)


def activation_function(name: str | None) -> Callable[[Tensor], Tensor]:
    """Returns the elementwise function called `name`.

    Raises:
        ValueError: `name` is not 'relu', 'relu6' or None.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"unknown activation {name!r}: expected 'relu', 'relu6' or None"
        )
    return _ACTIVATIONS[name]
