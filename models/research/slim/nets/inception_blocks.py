"""What Inception networks are described by, and made of.

A network is a table from endpoint to `Conv`, `Pool` or `Mixed`, in order.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from object_detection.core import chain, conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any


class Conv(NamedTuple):
    """A convolution.

    Attributes:
        name: last part of its scope.
        depth: channels at depth multiplier 1.
        kernel_size: side, or height and width.
        stride: in pixels of its input.
        padding: 'same' or 'valid'.
        stddev: of its weights' truncated normal initializer; None for the
            config's initializer.
        max_channel_multiplier: makes it separable, with up to this many
            kernels a channel; None for a plain convolution.
    """

    name: str
    depth: int
    kernel_size: int | tuple[int, int]
    stride: int = 1
    padding: str = "same"
    stddev: float | None = None
    max_channel_multiplier: int | None = None


class Pool(NamedTuple):
    """A pooling; `kind` is 'max' or 'average', `size` a side in pixels."""

    kind: str
    size: int
    stride: int = 1
    padding: str = "same"


class Fork(NamedTuple):
    """Convolutions of one input, whose outputs are joined channel-wise."""

    convs: Sequence[Conv]


class Mixed(NamedTuple):
    """Branches of one input, whose outputs are joined channel-wise.

    The scope of branch i is `Branch_<i>`; each applies its parts in order.
    """

    branches: Sequence[Sequence[Conv | Pool | Fork]]


# What makes one endpoint of the one before.
Part = Conv | Pool | Mixed


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes layers of descriptions, each with its number of channels."""

    hyperparams: hyperparams_lib.ConvHyperparams
    depth_multiplier: float
    min_depth: int
    dtype: conv_layers.DTypePolicy

    def make(
        self, scope: str, part: Conv | Pool | Fork | Mixed, in_channels: int
    ) -> tuple[keras.layers.Layer, int]:
        if isinstance(part, Pool):
            return chain.Chain([_pooling(part)], self.dtype), in_channels
        if isinstance(part, Conv):
            return self._conv(scope, part, in_channels)
        if isinstance(part, Fork):
            made = [self._conv(scope, c, in_channels) for c in part.convs]
        else:
            made = [
                self._chain(f"{scope}/Branch_{number}", parts, in_channels)
                for number, parts in enumerate(part.branches)
            ]
        layers = [layer for layer, _ in made]
        return _Parallel(layers, self.dtype), sum(depth for _, depth in made)

    def _chain(
        self, scope: str, parts: Sequence[Conv | Pool | Fork], channels: int
    ) -> tuple[keras.layers.Layer, int]:
        layers = []
        for part in parts:
            layer, channels = self.make(scope, part, channels)
            layers.append(layer)
        return chain.Chain(layers, self.dtype), channels

    def _conv(
        self, scope: str, conv: Conv, in_channels: int
    ) -> tuple[conv_blocks.ConvBlock, int]:
        depth = max(int(conv.depth * self.depth_multiplier), self.min_depth)
        hyperparams = self.hyperparams
        if conv.stddev is not None:
            hyperparams = dataclasses.replace(
                hyperparams,
                initializer=keras.initializers.TruncatedNormal(
                    stddev=conv.stddev
                ),
            )
        separable = {}
        if conv.max_channel_multiplier is not None:
            separable = {
                "separable": True,
                "channel_multiplier": min(
                    depth // in_channels, conv.max_channel_multiplier
                ),
            }
        block = conv_blocks.conv_block(
            f"{scope}/{conv.name}",
            in_channels,
            depth,
            conv.kernel_size,
            hyperparams,
            stride=conv.stride,
            padding=conv.padding,
            dtype=self.dtype,
            **separable,
        )
        return block, depth


def _pooling(pool: Pool) -> Callable[[Tensor], Tensor]:
    function = {"max": ops.max_pool, "average": ops.average_pool}[pool.kind]
    return functools.partial(
        function,
        pool_size=pool.size,
        strides=pool.stride,
        padding=pool.padding,
    )


class _Parallel(keras.layers.Layer):
    """Layers side by side."""

    def __init__(
        self,
        layers: Sequence[keras.layers.Layer],
        dtype: conv_layers.DTypePolicy,
    ) -> None:
        super().__init__(dtype=dtype)
        self._parts = list(layers)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        outputs = [part(inputs, training=training) for part in self._parts]
        return ops.concatenate(outputs, axis=-1)


class InceptionNetwork(keras.layers.Layer):
    """A network made of a table.

    Attributes:
        endpoint_channels: endpoint name -> number of channels.
    """

    def __init__(
        self,
        scope: str,
        table: Mapping[str, Part],
        hyperparams: hyperparams_lib.ConvHyperparams,
        depth_multiplier: float,
        min_depth: int,
        in_channels: int,
        dtype: conv_layers.DTypePolicy,
    ) -> None:
        """Makes all variables, under `scope` in checkpoints.

        Args:
            scope: such as 'FeatureExtractor/InceptionV2'.
            table: such as `inception_v2.LAYERS`.
            hyperparams: of every convolution, but for the initializers that
                the table sets.
            depth_multiplier: multiplies the channels of every layer.
            min_depth: least number of channels of a layer.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        maker = _Maker(hyperparams, depth_multiplier, min_depth, dtype)
        self._parts = []
        self.endpoint_channels = {}
        channels = in_channels
        for endpoint, part in table.items():
            is_mixed = isinstance(part, Mixed)
            part_scope = f"{scope}/{endpoint}" if is_mixed else scope
            layer, channels = maker.make(part_scope, part, channels)
            self._parts.append(layer)
            self.endpoint_channels[endpoint] = channels
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints of the table.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: whether trained normalisations use batch statistics.
        """
        outputs = itertools.accumulate(
            self._parts,
            lambda inputs, part: part(inputs, training=training),
            initial=images,
        )
        next(outputs)  # The images themselves.
        return dict(zip(self.endpoint_channels, outputs, strict=True))
