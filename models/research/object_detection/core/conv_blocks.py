"""Convolutions with what follows them: normalisation, biases, activation.

Dimensions: B image, H height, W width, F channels.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from object_detection.core import batch_norm, conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any


class ConvBlock(keras.layers.Layer):
    """A convolution, its normalisation or biases, and its activation.

    A block may serve several feature maps ("levels") with one convolution
    and one normalisation each.
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
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Maps [B, H, W, F] to [B, H', W', F']."""
        return self.call_levels([inputs], training)[0]

    def call_levels(
        self, inputs: Sequence[Tensor], training: bool = False
    ) -> list[Tensor]:
        """Maps one tensor of each level, reading the weights once."""
        if not self._norms:
            kernels = self._conv.kernels()
            outputs = [self._conv.convolve(level, kernels) for level in inputs]
        elif self._norms[0].uses_batch_statistics(training):
            kernels = self._conv.kernels()
            outputs = [
                norm(self._conv.convolve(level, kernels), training=True)
                for level, norm in zip(inputs, self._norms, strict=True)
            ]
        else:
            outputs = []
            for level, norm in zip(inputs, self._norms, strict=True):
                scale, shift = norm.scale_and_shift()
                kernels = self._conv.kernels(scale)
                outputs.append(self._conv.convolve(level, kernels, shift))
        return [self._activate(level) for level in outputs]


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
        separable: whether the convolution is depthwise, then 1x1.
        channel_multiplier: kernels a channel of a separable convolution's
            first half.
        num_levels: makes one normalisation for each level, named
            `BatchNorm/feature_<i>`; None makes a single `BatchNorm`.
        dtype: Keras dtype policy.
    """
    make = functools.partial(conv_layers.Conv2D, padding=padding)
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
