"""The cell of PNASNet-5 (Liu et al. 2017, https://arxiv.org/abs/1712.00559).

Figure 2 of the paper; names and the order of steps are TF1-slim's. Unlike in
other networks here, activations come before convolutions, and normalisations
have scopes of their own.
"""

import dataclasses
from typing import Any, NamedTuple

import keras
from keras import ops

from object_detection.core import batch_norm, chain, conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

NUM_COMBINATIONS = 5


class _Operation(NamedTuple):
    """One side of a combination.

    Attributes:
        source: 0 for the cell's input, 1 for that of the cell before, 2 and
            more for the combinations made so far.
        kind: 'separable', 'pool' or 'none'.
        kernel_size: side in pixels.
    """

    source: int
    kind: str
    kernel_size: int = 3


# The left and right side of each combination, which are added up.
_COMBINATIONS = (
    (_Operation(1, "separable", 5), _Operation(1, "pool")),
    (_Operation(0, "separable", 7), _Operation(0, "pool")),
    (_Operation(0, "separable", 5), _Operation(0, "separable", 3)),
    (_Operation(4, "separable", 3), _Operation(0, "pool")),
    (_Operation(1, "separable", 3), _Operation(0, "none")),
)


class Shape(NamedTuple):
    """Of an input: its channels, and its stride in pixels of the stem's."""

    channels: int
    stride: int


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes convolutions, each with its normalisation.

    Attributes:
        hyperparams: with batch_norm, without activation.
        dtype: Keras dtype policy.
    """

    hyperparams: hyperparams_lib.ConvHyperparams
    dtype: conv_layers.DTypePolicy

    def norm(self, scope: str, num_channels: int) -> batch_norm.BatchNorm:
        """Makes a normalisation."""
        return batch_norm.BatchNorm(
            scope, num_channels, self.hyperparams.batch_norm, self.dtype
        )

    def conv(
        self,
        scope: str,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        separable: bool = False,
        **arguments: Any,  # noqa: ANN401
    ) -> conv_layers.Convolution:
        """Makes a convolution without biases."""
        kind = conv_layers.SeparableConv2D if separable else conv_layers.Conv2D
        return kind(
            scope,
            in_channels,
            out_channels,
            kernel_size,
            self.hyperparams,
            dtype=self.dtype,
            **arguments,
        )

    def conv_norm(
        self,
        scope: str,
        norm_scope: str,
        in_channels: int,
        out_channels: int,
        **arguments: Any,  # noqa: ANN401
    ) -> conv_blocks.ConvBlock:
        """Makes a convolution and its normalisation."""
        conv = self.conv(scope, in_channels, out_channels, **arguments)
        norm = self.norm(norm_scope, out_channels)
        return conv_blocks.ConvBlock(conv, [norm], None, self.dtype)

    def relu_conv_norm(
        self,
        scope: str,
        norm_scope: str,
        in_channels: int,
        out_channels: int,
        **arguments: Any,  # noqa: ANN401
    ) -> chain.Chain:
        """Makes the two with an activation before them."""
        block = self.conv_norm(
            scope, norm_scope, in_channels, out_channels, **arguments
        )
        return chain.Chain([ops.relu, block], self.dtype)


class Cell(keras.layers.Layer):
    """Five combinations of two inputs and of each other."""

    def __init__(
        self,
        scope: str,
        shape: Shape,
        previous: Shape | None,
        depth: int,
        stride: int,
        maker: Maker,
    ) -> None:
        """Makes all variables.

        Args:
            scope: such as 'cell_3'.
            shape: of its input.
            previous: of the input of the cell before; None where there is
                none, the input takes its place then.
            depth: channels of each combination.
            stride: of the outputs, in pixels of the input.
            maker: of its convolutions.
        """
        super().__init__(dtype=maker.dtype)
        self._reduce = maker.relu_conv_norm(
            f"{scope}/1x1", f"{scope}/beginning_bn", shape.channels, depth
        )
        self._match = None
        previous_channels = depth
        if previous is None:
            previous_channels = shape.channels
        elif previous.stride != shape.stride:
            self._match = _FactorizedReduction(
                scope, previous.channels, depth, maker
            )
        elif previous.channels != depth:
            self._match = maker.relu_conv_norm(
                f"{scope}/prev_1x1",
                f"{scope}/prev_bn",
                previous.channels,
                depth,
            )
        channels = [depth, previous_channels] + [depth] * NUM_COMBINATIONS
        self._sides = [
            [
                _side(
                    f"{scope}/comb_iter_{number}/{name}",
                    operation,
                    channels[operation.source],
                    depth,
                    # What a combination made has the final size already.
                    stride if operation.source < 2 else 1,
                    maker,
                )
                for name, operation in zip(
                    ("left", "right"), operations, strict=True
                )
            ]
            for number, operations in enumerate(_COMBINATIONS)
        ]
        self.built = True

    def call(
        self, current: Tensor, previous: Tensor, training: bool = False
    ) -> Tensor:
        """Maps the two inputs to [B, H', W', 5 * depth]."""
        if self._match is not None:
            previous = self._match(previous, training=training)
        states = [self._reduce(current, training=training), previous]
        for sides, operations in zip(self._sides, _COMBINATIONS, strict=True):
            left, right = (
                side(states[operation.source], training=training)
                for side, operation in zip(sides, operations, strict=True)
            )
            states.append(left + right)
        return ops.concatenate(states[2:], axis=-1)


class _FactorizedReduction(keras.layers.Layer):
    """Halves the resolution; each half of the channels sees other pixels."""

    def __init__(
        self, scope: str, in_channels: int, out_channels: int, maker: Maker
    ) -> None:
        super().__init__(dtype=maker.dtype)
        half = out_channels // 2
        self._convs = [
            maker.conv(f"{scope}/path{number}_conv", in_channels, channels)
            for number, channels in ((1, half), (2, out_channels - half))
        ]
        self._norm = maker.norm(f"{scope}/final_path_bn", out_channels)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        inputs = ops.relu(inputs)
        shifted = ops.pad(inputs, ((0, 0), (0, 1), (0, 1), (0, 0)))
        paths = (inputs[:, ::2, ::2], shifted[:, 1::2, 1::2])
        outputs = [
            conv(path) for conv, path in zip(self._convs, paths, strict=True)
        ]
        return self._norm(ops.concatenate(outputs, axis=-1), training=training)


def _side(
    scope: str,
    operation: _Operation,
    in_channels: int,
    depth: int,
    stride: int,
    maker: Maker,
) -> keras.layers.Layer:
    """Makes one side of a combination, with `depth` channels."""
    if operation.kind == "separable":
        return _stacked_separable(
            scope, operation.kernel_size, in_channels, depth, stride, maker
        )
    conv_scopes = (f"{scope}/1x1", f"{scope}/bn_1", in_channels, depth)
    if operation.kind == "none":
        if stride == 1 and in_channels == depth:
            return chain.Chain([], maker.dtype)
        return maker.relu_conv_norm(*conv_scopes, stride=stride)

    def pool(inputs: Tensor) -> Tensor:
        return ops.max_pool(
            inputs, operation.kernel_size, strides=stride, padding="same"
        )

    if in_channels == depth:
        return chain.Chain([pool], maker.dtype)
    return chain.Chain([pool, maker.conv_norm(*conv_scopes)], maker.dtype)


def _stacked_separable(
    scope: str,
    kernel_size: int,
    in_channels: int,
    depth: int,
    stride: int,
    maker: Maker,
) -> keras.layers.Layer:
    """Makes two separable convolutions, the first of which may stride."""
    steps = []
    for number in (1, 2):
        suffix = f"{kernel_size}x{kernel_size}_{number}"
        block = maker.conv_norm(
            f"{scope}/separable_{suffix}",
            f"{scope}/bn_sep_{suffix}",
            in_channels,
            depth,
            kernel_size=kernel_size,
            separable=True,
            stride=stride,
        )
        steps += [ops.relu, block]
        in_channels, stride = depth, 1
    return chain.Chain(steps, maker.dtype)
