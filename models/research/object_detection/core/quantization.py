"""Fake quantization: computing with what 8-bit inference will make of numbers.

Weights and activations are rounded to numbers that 8 bits can tell apart,
while all arithmetic stays in floating point, so that training learns to live
with the rounding (Jacob et al. 2018, arxiv.org/abs/1712.05877). A network has
a `FakeQuantizer` wherever its numbers are rounded; they do nothing until
`enable` is called on the whole network.
"""

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import kernels, naming

Tensor = Any

# How much of the range of activations a training step keeps.
_ACTIVATION_DECAY = 0.999

_RANGE_NAME = re.compile(r"_quant(/feature_\d+)?/(min|max)$")


def is_range_name(name: str) -> bool:
    """Returns whether this is the checkpoint name of one end of a range."""
    return _RANGE_NAME.search(name) is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Quantization:
    """From which training step on a network is quantized.

    Attributes:
        delay: number of training steps that are made without.
        step: int64 scalar, how many were made so far. The trainer counts with
            this variable, and it is restored with the weights: so a checkpoint
            is evaluated as it was trained.
    """

    delay: int
    step: keras.Variable = dataclasses.field(
        default_factory=lambda: keras.Variable(
            0, trainable=False, dtype="int64"
        )
    )

    def is_on(self) -> Tensor:
        """Returns a bool scalar, whether the delay is over."""
        return ops.greater_equal(self.step.value, self.delay)


def enable(quantization: Quantization, *networks: keras.layers.Layer) -> None:
    """Makes all fake quantizers of the networks work."""
    for network in networks:
        # Keras has no public walk over the layers inside a layer.
        for part in network._flatten_layers():
            if isinstance(part, FakeQuantizer):
                part.enable(quantization)


class FakeQuantizer(keras.layers.Layer):
    """Rounds some tensors of a network to the steps of one range.

    The range is stored under `<scope>/min` and `<scope>/max`, with zero always
    inside; both zero mean that it is not known. That of activations moves in
    every training step, those before the delay included: `min = decay * min +
    (1 - decay) * least`, from the first step's values; inference leaves them
    as they are where it is not known, because a range of the batch would make
    an image's result depend on the others. That of weights is what the last
    quantized step had, and their own where it is not known.
    """

    def __init__(self, scope: str, *, is_of_weights: bool = False) -> None:
        """Makes a quantizer that does nothing yet.

        Args:
            scope: such as 'FeatureExtractor/MobilenetV1/Conv2d_0/act_quant'.
            is_of_weights: whether it rounds weights, to 255 numbers in place
                of the 256 of activations.
        """
        super().__init__(dtype="float32", autocast=False)
        self.scope = scope
        self._is_of_weights = is_of_weights
        self.quantization: Quantization | None = None
        self.built = True

    def enable(self, quantization: Quantization) -> None:
        """Makes it work, and makes its variables."""
        self.quantization = quantization
        self._low = self._variable("min")
        self._high = self._variable("max")

    def _variable(self, name: str) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=(),
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def named_variables(self) -> dict[str, keras.Variable]:
        """Returns checkpoint name -> variable, the global step among them."""
        if not self.is_enabled:
            return {}
        return {
            f"{self.scope}/min": self._low,
            f"{self.scope}/max": self._high,
            naming.GLOBAL_STEP: self.quantization.step,
        }

    @property
    def is_enabled(self) -> bool:
        """Whether it works, from the delay on."""
        return self.quantization is not None

    def fake_quantize(
        self, tensors: Sequence[Tensor], training: bool
    ) -> list[Tensor]:
        """Rounds floats of any shape and precision, from the delay on.

        Args:
            tensors: that share the range.
            training: whether the range follows them.
        """
        tensors = list(tensors)
        if not self.is_enabled:
            return tensors
        is_on = self.quantization.is_on()
        low, high = self._range(tensors, is_on, training)
        rounded = functools.partial(
            kernels.fake_quant,
            # Here, so that no gradient of the range is even begun.
            low=ops.stop_gradient(low),
            high=ops.stop_gradient(high),
            is_narrow=self._is_of_weights,
        )
        if self._is_of_weights:
            # They are few: a branch would cost more than rounding in vain.
            return [ops.where(is_on, rounded(t), t) for t in tensors]
        return ops.cond(
            ops.logical_and(is_on, high > low),
            lambda: [rounded(t) for t in tensors],
            lambda: tensors,
        )

    def _range(
        self, tensors: list[Tensor], is_on: Tensor, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Returns both ends, after a training step has moved them."""
        low = ops.convert_to_tensor(self._low.value)
        high = ops.convert_to_tensor(self._high.value)
        is_known = high > low
        if not training and not self._is_of_weights:
            return low, high
        new_low, new_high = _range_of(tensors)
        if not training:
            return (
                ops.where(is_known, low, new_low),
                ops.where(is_known, high, new_high),
            )
        if self._is_of_weights:
            self._low.assign(ops.where(is_on, new_low, 0.0))
            self._high.assign(ops.where(is_on, new_high, 0.0))
        else:
            new_low = ops.where(is_known, _average(low, new_low), new_low)
            new_high = ops.where(is_known, _average(high, new_high), new_high)
            self._low.assign(new_low)
            self._high.assign(new_high)
        return new_low, new_high


def _average(old: Tensor, new: Tensor) -> Tensor:
    return _ACTIVATION_DECAY * old + (1.0 - _ACTIVATION_DECAY) * new


def _range_of(tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns two float32 scalars that have zero and all values between."""
    low = high = ops.zeros((), "float32")
    for tensor in tensors:
        low = ops.minimum(low, ops.cast(ops.min(tensor), "float32"))
        high = ops.maximum(high, ops.cast(ops.max(tensor), "float32"))
    return low, high
