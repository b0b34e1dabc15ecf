"""ResNet v1 (He et al. 2015, https://arxiv.org/abs/1512.03385), TF1-slim's.

It differs from the paper in where it halves the resolution: at the end of
blocks 1 to 3, after the endpoint is taken, by dropping every second row and
column. So the endpoints are at strides 4, 8, 16 and 32.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers, quantization
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

NUM_UNITS_PER_BLOCK = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
BLOCK_DEPTHS = (64, 128, 256, 512)
_EXPANSION = 4
STEM_CHANNELS = 64

# These hold whatever the config says, as do the original's.
_BATCH_NORM_DECAY = 0.997
_BATCH_NORM_EPSILON = 1e-5


def default_hyperparams(
    trains_batch_norm: bool,
) -> hyperparams_lib.ConvHyperparams:
    """Returns the network's own hyperparameters, without a config's."""
    return hyperparams_lib.ConvHyperparams(
        # TF1-slim's default: He et al. 2015, truncated normal over fan-in.
        initializer=keras.initializers.VarianceScaling(scale=2.0),
        regularizer=keras.regularizers.L2(0.5 * 1e-4),
        activation="relu",
        batch_norm=hyperparams_lib.BatchNormParams(
            scale=True, train=trains_batch_norm
        ),
    )


class UnitConv(NamedTuple):
    """A convolution of a residual unit.

    Attributes:
        kernel_size: its side.
        depth: channels that come out.
        stride: above 1, padding depends on the kernel alone.
    """

    kernel_size: int
    depth: int
    stride: int = 1


class ResidualUnit(keras.layers.Layer):
    """Convolutions around a shortcut, the last one linear up to the sum.

    Attributes:
        out_channels: of the last convolution.
    """

    def __init__(
        self,
        scope: str,
        in_channels: int,
        convs: Sequence[UnitConv],
        hyperparams: hyperparams_lib.ConvHyperparams,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes a unit; the shortcut is a convolution where shapes differ."""
        super().__init__(dtype=dtype)
        self.out_channels = convs[-1].depth
        stride = math.prod(conv.stride for conv in convs)
        linear = hyperparams.linear()
        self._shortcut = None
        if in_channels != self.out_channels or stride != 1:
            self._shortcut = conv_blocks.conv_block(
                f"{scope}/shortcut",
                in_channels,
                self.out_channels,
                1,
                linear,
                stride=stride,
                dtype=dtype,
            )
        self._convs = []
        channels = in_channels
        for number, conv in enumerate(convs, start=1):
            self._convs.append(
                conv_blocks.conv_block(
                    f"{scope}/conv{number}",
                    channels,
                    conv.depth,
                    conv.kernel_size,
                    linear if number == len(convs) else hyperparams,
                    stride=conv.stride,
                    pad_explicitly=conv.stride > 1,
                    dtype=dtype,
                )
            )
            channels = conv.depth
        self._sum_quantizer = quantization.FakeQuantizer(f"{scope}/add_quant")
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Maps [B, H, W, in_channels] to the depth of the last convolution.

        Sides are divided by the product of the strides, and rounded up.
        """
        shortcut = inputs
        if self._shortcut is not None:
            shortcut = self._shortcut(inputs, training=training)
        outputs = inputs
        for conv in self._convs:
            outputs = conv(outputs, training=training)
        # Plain relu whatever the activation of the convolutions is.
        return self._sum_quantizer.fake_quantize(
            [ops.relu(shortcut + outputs)], training
        )[0]


def bottleneck(
    scope: str,
    in_channels: int,
    depth: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    stride: int = 1,
    dtype: conv_layers.DTypePolicy = None,
) -> ResidualUnit:
    """Makes a unit of 1x1, 3x3 and 1x1 convolutions.

    Args:
        scope: of the unit.
        in_channels: of the inputs.
        depth: of all but the last convolution, which has `4 * depth`.
        hyperparams: of all convolutions.
        stride: of the 3x3 one.
        dtype: Keras dtype policy.
    """
    return ResidualUnit(
        f"{scope}/bottleneck_v1",
        in_channels,
        [
            UnitConv(1, depth),
            UnitConv(3, depth, stride),
            UnitConv(1, _EXPANSION * depth),
        ],
        hyperparams,
        dtype,
    )


class ResNetV1(keras.layers.Layer):
    """The network up to its fourth block, without a classifier.

    Attributes:
        endpoint_channels: endpoint name -> number of channels.
    """

    def __init__(
        self,
        scope: str,
        num_layers: int,
        hyperparams: hyperparams_lib.ConvHyperparams,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables, under `scope` in checkpoints.

        Args:
            scope: such as 'FeatureExtractor/resnet_v1_50'.
            num_layers: 50, 101 or 152.
            hyperparams: decay, epsilon and scale of its batch_norm are
                replaced by the network's own.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        if hyperparams.batch_norm is not None:
            hyperparams = dataclasses.replace(
                hyperparams,
                batch_norm=dataclasses.replace(
                    hyperparams.batch_norm,
                    decay=_BATCH_NORM_DECAY,
                    epsilon=_BATCH_NORM_EPSILON,
                    scale=True,
                ),
            )
        self._conv1 = conv_blocks.conv_block(
            f"{scope}/conv1",
            in_channels,
            STEM_CHANNELS,
            7,
            hyperparams,
            stride=2,
            pad_explicitly=True,
            dtype=dtype,
        )
        self._blocks = []
        self.endpoint_channels = {}
        channels = STEM_CHANNELS
        num_units = NUM_UNITS_PER_BLOCK[num_layers]
        for block, depth in enumerate(BLOCK_DEPTHS, start=1):
            units = []
            for unit in range(1, num_units[block - 1] + 1):
                unit_scope = f"{scope}/block{block}/unit_{unit}"
                units.append(
                    bottleneck(
                        unit_scope, channels, depth, hyperparams, dtype=dtype
                    )
                )
                channels = units[-1].out_channels
            self._blocks.append(units)
            self.endpoint_channels[f"block{block}"] = channels
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: whether trained normalisations use batch statistics.

        Returns:
            'block1' to 'block4', at strides 4, 8, 16, 32 (sizes round up).
        """
        outputs = self._conv1(images, training=training)
        outputs = ops.max_pool(outputs, 3, strides=2, padding="same")
        endpoints = {}
        for block, units in enumerate(self._blocks, start=1):
            if block > 1:
                outputs = outputs[:, ::2, ::2, :]
            for unit in units:
                outputs = unit(outputs, training=training)
            endpoints[f"block{block}"] = outputs
        return endpoints
