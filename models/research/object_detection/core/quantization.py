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
from collections.abc import Callable, Sequence
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

    def choose(
        self, quantized: Callable[[], Any], plain: Callable[[], Any]
    ) -> Any:  # noqa: ANN401
        """Returns the first's result from the delay on, before the second's."""
        return ops.cond(
            ops.greater_equal(self.step.value, self.delay), quantized, plain
        )


def enable(quantization: Quantization, *networks: keras.layers.Layer) -> None:
    """Makes all fake quantizers of the networks work."""
    for network in networks:
        # Keras has no public walk over the layers inside a layer.
        for part in network._flatten_layers():
            if isinstance(part, FakeQuantizer):
                part.enable(quantization)


class FakeQuantizer(keras.layers.Layer):
    """Rounds some tensors of a network to the steps of one range.

    A training step moves the range towards the least and greatest value of
    its tensors, before the delay too: `min = decay * min + (1 - decay) *
    least`, from the first step's values. It always has zero inside. The range
    is stored under `<scope>/min` and `<scope>/max`; both zero mean that it is
    not known, and then inference uses that of its own tensors.
    """

    def __init__(self, scope: str, *, is_of_weights: bool = False) -> None:
        """Makes a quantizer that does nothing yet.

        Args:
            scope: such as 'FeatureExtractor/MobilenetV1/Conv2d_0/act_quant'.
            is_of_weights: 255 numbers in place of 256, between the least and
                greatest value of the last step alone.
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
            name=name, shape=(), initializer="zeros", trainable=False
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
        if not self.is_enabled:
            return list(tensors)
        rounding = self.rounding(tensors, training)
        return self.quantization.choose(
            lambda: [rounding(tensor) for tensor in tensors],
            lambda: list(tensors),
        )

    def rounding(
        self, tensors: Sequence[Tensor], training: bool
    ) -> Callable[[Tensor], Tensor]:
        """Returns the function that rounds, whatever the delay is.

        Args:
            tensors: what it will be called with.
            training: whether the range follows them.
        """
        stored = (
            ops.convert_to_tensor(self._low.value),
            ops.convert_to_tensor(self._high.value),
        )
        is_known = stored[1] > stored[0]
        if training:
            low, high = self._follow(_range_of(tensors), stored, is_known)
        else:
            low, high = ops.cond(
                is_known, lambda: stored, lambda: _range_of(tensors)
            )
        return functools.partial(
            kernels.fake_quant,
            low=low,
            high=high,
            is_narrow=self._is_of_weights,
        )

    def _follow(
        self,
        observed: tuple[Tensor, Tensor],
        stored: tuple[Tensor, Tensor],
        is_known: Tensor,
    ) -> list[Tensor]:
        decay = 0.0 if self._is_of_weights else _ACTIVATION_DECAY
        ends = [
            ops.where(is_known, decay * old + (1.0 - decay) * new, new)
            for old, new in zip(stored, observed, strict=True)
        ]
        self._low.assign(ends[0])
        self._high.assign(ends[1])
        return ends


def _range_of(tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns two float32 scalars that have zero and all values between."""
    low = high = ops.zeros(())
    for tensor in tensors:
        values = ops.stop_gradient(tensor)
        low = ops.minimum(low, ops.cast(ops.min(values), "float32"))
        high = ops.maximum(high, ops.cast(ops.max(values), "float32"))
    return low, high
