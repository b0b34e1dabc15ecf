"""Convolutions with what follows them: normalisation, biases, activation.

Dimensions: B image, H height, W width, F channels.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import batch_norm, conv_layers, quantization
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any


class ConvBlock(keras.layers.Layer):
    """A convolution, its normalisation or biases, and its activation.

    A block may serve several feature maps ("levels") with one convolution
    and one normalisation each.

    Quantized, its outputs are rounded (`<scope>/act_quant`), and its kernels
    with the moving statistics folded in (`<scope>/weights_quant`), which are
    those of integer inference, in training as well.
    """

    def __init__(
        self,
        conv: conv_layers.Convolution,
        norms: Sequence[batch_norm.BatchNorm],
        activation: str | None,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Joins the layers; `norms` is empty, or has one for each level."""
        super().__init__(dtype=dtype)
        self._conv = conv
        self._norms = list(norms)
        self._activate = hyperparams_lib.activation_function(activation)
        # Folded kernels differ from level to level, as do their ranges.
        levels = [""]
        if len(self._norms) > 1:
            levels = [f"/feature_{i}" for i in range(len(self._norms))]
        self._kernel_quantizers = [
            _kernel_quantizers(conv, level) for level in levels
        ]
        self._output_quantizer = quantization.FakeQuantizer(
            f"{conv.scope}/act_quant"
        )
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Maps [B, H, W, F] to [B, H', W', F']."""
        return self.call_levels([inputs], training)[0]

    def call_levels(
        self, inputs: Sequence[Tensor], training: bool = False
    ) -> list[Tensor]:
        """Maps one tensor of each level, reading the weights once."""
        if not self._norms:
            kernels = self._kernels(0, None, training)
            outputs = [self._conv.convolve(level, kernels) for level in inputs]
        elif self._norms[0].uses_batch_statistics(training):
            outputs = [
                norm(self._conv.convolve(level, kernels), training=True)
                for level, norm, kernels in zip(
                    inputs, self._norms, self._unfolded_kernels(), strict=True
                )
            ]
        else:
            outputs = []
            for index, (level, norm) in enumerate(
                zip(inputs, self._norms, strict=True)
            ):
                scale, shift = norm.scale_and_shift()
                kernels = self._kernels(index, scale, training)
                outputs.append(self._conv.convolve(level, kernels, shift))
        return self._output_quantizer.fake_quantize(
            [self._activate(level) for level in outputs], training
        )

    def _kernels(
        self, level: int, scale: Tensor | None, training: bool
    ) -> tuple[Tensor, ...]:
        """Returns what a level is convolved with, `scale` folded in."""
        kernels = self._conv.float32_kernels()
        if scale is not None:
            kernels = self._conv.scale_outputs(kernels, scale)
        return self._conv.to_compute_dtype(
            [
                quantizer.fake_quantize([kernel], training)[0]
                for quantizer, kernel in zip(
                    self._kernel_quantizers[level], kernels, strict=True
                )
            ]
        )

    def _unfolded_kernels(self) -> list[tuple[Tensor, ...]]:
        """Returns for each level what batch statistics are to be taken of.

        Quantized, that are the kernels of inference with the folding undone:
        the moving statistics folded in, rounded, and taken out again. So the
        statistics are those of the convolution that inference makes. (The
        original takes them of a second one, without the rounding.)
        """
        if not self._output_quantizer.is_enabled:
            return [self._conv.kernels()] * len(self._norms)
        return [
            self._conv.to_compute_dtype(_rounded_unfolded(self._conv, norm, q))
            for norm, q in zip(
                self._norms, self._kernel_quantizers, strict=True
            )
        ]


def _kernel_quantizers(
    conv: conv_layers.Convolution, level: str
) -> list[quantization.FakeQuantizer]:
    leaves = conv.kernel_leaves
    if len(leaves) == 1:
        # In checkpoints, depthwise weights have this name too.
        leaves = ["weights"]
    return [
        quantization.FakeQuantizer(
            f"{conv.scope}/{leaf}_quant{level}", is_of_weights=True
        )
        for leaf in leaves
    ]


def _rounded_unfolded(
    conv: conv_layers.Convolution,
    norm: batch_norm.BatchNorm,
    quantizers: Sequence[quantization.FakeQuantizer],
) -> tuple[Tensor, ...]:
    """Returns float32 kernels, rounded as they are with the norm folded in.

    That norm's scale takes part in the rounding alone: its gradient comes
    from the normalisation that follows.
    """
    kernels = conv.float32_kernels()
    is_on = quantizers[0].quantization.is_on()
    # Before the delay a scale of 1 leaves every bit as it is.
    scale = ops.where(is_on, norm.scale_and_shift()[0], 1.0)
    scale = ops.stop_gradient(scale)
    rounded = [
        quantizer.fake_quantize([kernel], training=True)[0]
        for quantizer, kernel in zip(
            quantizers, conv.scale_outputs(kernels, scale), strict=True
        )
    ]
    # A scale of 0 erases a channel. It keeps its weights here, or its scale
    # would have no gradient any more.
    is_erased = ops.equal(scale, 0.0)
    unfolding = ops.where(
        is_erased, 0.0, 1.0 / ops.where(is_erased, 1.0, scale)
    )
    *others, last = conv.scale_outputs(rounded, unfolding)
    erased = conv.scale_outputs(kernels, ops.cast(is_erased, "float32"))
    return (*others, last + erased[-1])


def conv_block(
    scope: str,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    hyperparams: hyperparams_lib.ConvHyperparams,
    *,
    stride: int = 1,
    pad_explicitly: bool = False,
    padding: str = "same",
    dilation: int = 1,
    separable: bool = False,
    channel_multiplier: int = 1,
    num_levels: int | None = None,
    dtype: conv_layers.DTypePolicy = None,
) -> ConvBlock:
    """Makes a block around a plain or separable convolution.

    Args:
        scope: checkpoint scope of the convolution.
        in_channels: channels of the inputs.
        out_channels: channels of the outputs.
        kernel_size: side of the kernel; height and width are possible where
            it is not separable.
        hyperparams: decide whether there are norms or biases.
        stride: of the convolution.
        pad_explicitly: `conv_layers.explicit_padding` in place of
            `padding`.
        padding: 'same', or 'valid' where the convolution is not separable.
        dilation: pixels between the elements of a kernel that is not
            separable; counts without `pad_explicitly`.
        separable: whether the convolution is depthwise, then 1x1.
        channel_multiplier: kernels a channel of a separable convolution's
            first half.
        num_levels: makes one normalisation for each level, named
            `BatchNorm/feature_<i>`; None makes a single `BatchNorm`.
        dtype: Keras dtype policy.
    """
    make = functools.partial(
        conv_layers.Conv2D, padding=padding, dilation=dilation
    )
    if separable:
        make = functools.partial(
            conv_layers.SeparableConv2D, channel_multiplier=channel_multiplier
        )
    conv = make(
        scope,
        in_channels,
        out_channels,
        kernel_size,
        hyperparams,
        stride=stride,
        pad_explicitly=pad_explicitly,
        bias_init=None if hyperparams.batch_norm else 0.0,
        dtype=dtype,
    )
    norms = _norms(scope, out_channels, hyperparams, num_levels, dtype)
    return ConvBlock(conv, norms, hyperparams.activation, dtype)


def depthwise_block(
    scope: str,
    in_channels: int,
    kernel_size: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    *,
    stride: int = 1,
    pad_explicitly: bool = False,
    dtype: conv_layers.DTypePolicy = None,
) -> ConvBlock:
    """Makes a block around a depthwise convolution; see `conv_block`."""
    conv = conv_layers.DepthwiseConv2D(
        scope,
        in_channels,
        kernel_size,
        hyperparams,
        stride=stride,
        pad_explicitly=pad_explicitly,
        bias_init=None if hyperparams.batch_norm else 0.0,
        dtype=dtype,
    )
    norms = _norms(scope, in_channels, hyperparams, None, dtype)
    return ConvBlock(conv, norms, hyperparams.activation, dtype)


def _norms(
    scope: str,
    num_channels: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    num_levels: int | None,
    dtype: conv_layers.DTypePolicy,
) -> list[batch_norm.BatchNorm]:
    if hyperparams.batch_norm is None:
        return []
    scopes = [f"{scope}/BatchNorm"]
    if num_levels is not None:
        scopes = [f"{scopes[0]}/feature_{i}" for i in range(num_levels)]
    return [
        batch_norm.BatchNorm(
            norm_scope, num_channels, hyperparams.batch_norm, dtype
        )
        for norm_scope in scopes
    ]
