"""Convolutions with the variables, names and order of steps of TF1-slim.

Channels last. Every variable exists once the constructor has run. A layer
computes in the dtype of its policy; its variables are float32.

Dimensions: B image, H height, W width, F channels.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core import kernels as kernels_lib

Tensor = Any
DTypePolicy = str | keras.DTypePolicy | None
ConvHyperparams = hyperparams_lib.ConvHyperparams


def explicit_padding(inputs: Tensor, kernel_size: int) -> Tensor:
    """Pads H and W with zeros by amounts that depend on the kernel alone.

    A strided convolution without further padding then starts at the same
    offset for every input size; with 'same' padding it does not.

    Args:
        inputs: [B, H, W, F].
        kernel_size: of the convolution that follows.

    Returns:
        [B, H + kernel_size - 1, W + kernel_size - 1, F]; (kernel_size - 1)
        // 2 of the padding lies before, the rest after.
    """
    before = (kernel_size - 1) // 2
    after = kernel_size - 1 - before
    return ops.pad(inputs, ((0, 0), (before, after), (before, after), (0, 0)))


class Convolution(keras.layers.Layer):
    """What all convolutions share: variables, padding, biases.

    Reading the kernels and using them are two steps, so that a convolution
    shared by several feature maps reads and casts its kernels once, and so
    that a scale and shift per output channel (a frozen normalisation) costs
    a pass over the kernels in place of one over the outputs.
    """

    def __init__(
        self,
        scope: str,
        kernel_size: int,
        stride: int,
        pad_explicitly: bool,
        dtype: DTypePolicy,
    ) -> None:
        super().__init__(dtype=dtype)
        self.scope = scope
        self.kernel_size = kernel_size
        self.stride = stride
        self.pad_explicitly = pad_explicitly and kernel_size > 1
        self._padding = "same"
        self.biases = None
        self._leaves: dict[str, keras.Variable] = {}
        self.built = True

    def _add_kernel(
        self, leaf: str, shape: Sequence[int], hyperparams: ConvHyperparams
    ) -> None:
        regularizer = hyperparams.regularizer
        if (
            leaf == "depthwise_weights"
            and not hyperparams.regularizes_depthwise
        ):
            regularizer = None
        self._leaves[leaf] = self.add_weight(
            name=leaf,
            shape=tuple(shape),
            initializer=hyperparams.initializer.clone(),
            regularizer=regularizer,
            autocast=False,
        )

    def _add_biases(self, num_channels: int, value: float) -> None:
        self.biases = self._leaves["biases"] = self.add_weight(
            name="biases",
            shape=(num_channels,),
            initializer=keras.initializers.Constant(value),
            autocast=False,
        )

    @property
    def kernel_leaves(self) -> list[str]:
        """Names below the scope of the kernels, in the order of their use."""
        return [leaf for leaf in self._leaves if leaf != "biases"]

    def named_variables(self) -> dict[str, keras.Variable]:
        """Returns checkpoint name -> variable."""
        return {
            f"{self.scope}/{leaf}": variable
            for leaf, variable in self._leaves.items()
        }

    def float32_kernels(self) -> tuple[Tensor, ...]:
        """Returns the kernels as they are trained."""
        return tuple(self._leaves[leaf].value for leaf in self.kernel_leaves)

    def scale_outputs(
        self, kernels: Sequence[Tensor], scale: Tensor
    ) -> tuple[Tensor, ...]:
        """Returns kernels whose outputs are multiplied by `scale`.

        Args:
            kernels: in the order of their use.
            scale: [output channels].
        """
        *others, last = kernels
        return (*others, last * self._beside_kernel(scale))

    def to_compute_dtype(self, kernels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the kernels as `convolve` takes them."""
        return tuple(ops.cast(k, self.compute_dtype) for k in kernels)

    def kernels(self, scale: Tensor | None = None) -> tuple[Tensor, ...]:
        """Returns what `convolve` takes, the outputs multiplied by `scale`."""
        kernels = self.float32_kernels()
        if scale is not None:
            kernels = self.scale_outputs(kernels, scale)
        return self.to_compute_dtype(kernels)

    def _beside_kernel(self, channels: Tensor) -> Tensor:
        """Shapes [output channels] to be broadcast over the last kernel."""
        return channels

    def convolve(
        self,
        inputs: Tensor,
        kernels: Sequence[Tensor],
        shift: Tensor | None = None,
    ) -> Tensor:
        """Convolves with what `kernels` returned, then adds biases or shift.

        Args:
            inputs: [B, H, W, F], of the compute dtype.
            kernels: result of `self.kernels`.
            shift: float32 [output channels], or None.

        Returns:
            [B, ceil(H / stride), ceil(W / stride), output channels].
        """
        padding = self._padding
        if self.pad_explicitly:
            inputs = explicit_padding(inputs, self.kernel_size)
            padding = "valid"
        outputs = self._convolve(inputs, kernels, padding)
        if shift is None and self.biases is not None:
            shift = self.biases.value
        if shift is None:
            return outputs
        return ops.add(outputs, ops.cast(shift, self.compute_dtype))

    def call(self, inputs: Tensor) -> Tensor:
        """Convolves [B, H, W, F]."""
        return self.convolve(inputs, self.kernels())


class Conv2D(Convolution):
    """A convolution over all channels."""

    def __init__(
        self,
        scope: str,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        hyperparams: ConvHyperparams,
        *,
        stride: int = 1,
        pad_explicitly: bool = False,
        padding: str = "same",
        dilation: int = 1,
        bias_init: float | None = None,
        dtype: DTypePolicy = None,
    ) -> None:
        """Makes `weights`, and `biases` if `bias_init` is given.

        `kernel_size` is a side, or height and width; `padding`, 'same' or
        'valid', and `dilation`, how many pixels apart the kernel's elements
        are, count without `pad_explicitly`.
        """
        height, width = np.broadcast_to(kernel_size, 2).tolist()
        super().__init__(
            scope, max(height, width), stride, pad_explicitly, dtype
        )
        self._padding = padding
        self._dilation = dilation
        self._add_kernel(
            "weights",
            (height, width, in_channels, out_channels),
            hyperparams,
        )
        if bias_init is not None:
            self._add_biases(out_channels, bias_init)

    def _convolve(
        self, inputs: Tensor, kernels: Sequence[Tensor], padding: str
    ) -> Tensor:
        return ops.conv(
            inputs,
            kernels[0],
            strides=self.stride,
            padding=padding,
            dilation_rate=self._dilation,
        )


class DepthwiseConv2D(Convolution):
    """A convolution of each channel with a kernel of its own."""

    def __init__(
        self,
        scope: str,
        in_channels: int,
        kernel_size: int,
        hyperparams: ConvHyperparams,
        *,
        stride: int = 1,
        pad_explicitly: bool = False,
        bias_init: float | None = None,
        dtype: DTypePolicy = None,
    ) -> None:
        """Makes `depthwise_weights`, and `biases` if `bias_init` is given."""
        super().__init__(scope, kernel_size, stride, pad_explicitly, dtype)
        self._add_kernel(
            "depthwise_weights",
            (kernel_size, kernel_size, in_channels, 1),
            hyperparams,
        )
        if bias_init is not None:
            self._add_biases(in_channels, bias_init)

    def _beside_kernel(self, channels: Tensor) -> Tensor:
        return channels[:, None]

    def _convolve(
        self, inputs: Tensor, kernels: Sequence[Tensor], padding: str
    ) -> Tensor:
        return ops.depthwise_conv(
            inputs, kernels[0], strides=self.stride, padding=padding
        )


class SeparableConv2D(Convolution):
    """A depthwise convolution and a 1x1 one, with nothing between them."""

    def __init__(
        self,
        scope: str,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        hyperparams: ConvHyperparams,
        *,
        stride: int = 1,
        pad_explicitly: bool = False,
        channel_multiplier: int = 1,
        bias_init: float | None = None,
        dtype: DTypePolicy = None,
    ) -> None:
        """Makes `depthwise_weights`, `pointwise_weights` and any `biases`.

        The first convolution has `channel_multiplier` kernels a channel.
        """
        super().__init__(scope, kernel_size, stride, pad_explicitly, dtype)
        self._add_kernel(
            "depthwise_weights",
            (kernel_size, kernel_size, in_channels, channel_multiplier),
            hyperparams,
        )
        self._add_kernel(
            "pointwise_weights",
            (1, 1, in_channels * channel_multiplier, out_channels),
            hyperparams,
        )
        if bias_init is not None:
            self._add_biases(out_channels, bias_init)

    def _convolve(
        self, inputs: Tensor, kernels: Sequence[Tensor], padding: str
    ) -> Tensor:
        depthwise, pointwise = kernels
        outputs = ops.depthwise_conv(
            inputs, depthwise, strides=self.stride, padding=padding
        )
        return ops.conv(outputs, pointwise, strides=1, padding="valid")


def regularization_loss(variables: Sequence[keras.Variable]) -> Tensor:
    """Sums the regularisation of all variables, frozen ones included.

    Returns:
        float32 scalar; 0 when none has a regularizer.
    """
    total = ops.zeros((), "float32")
    for variable in variables:
        regularizer = variable.regularizer
        if isinstance(regularizer, keras.regularizers.L2):
            squares = kernels_lib.half_sum_of_squares(variable.value)
            total = total + 2.0 * regularizer.l2 * squares
        elif regularizer is not None:
            total = total + regularizer(variable.value)
    return total
