"""MobileNet v2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381).

Dimensions: B image, H height, W width, F channels.
"""

import dataclasses
from typing import Any

import keras

from object_detection.core import conv_blocks, conv_layers, quantization
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

FIRST_DEPTH = 32
# (channels, stride) of the 17 bottlenecks.
BOTTLENECKS = (
    (16, 1),
    (24, 2),
    (24, 1),
    (32, 2),
    (32, 1),
    (32, 1),
    (64, 2),
    (64, 1),
    (64, 1),
    (64, 1),
    (96, 1),
    (96, 1),
    (96, 1),
    (160, 2),
    (160, 1),
    (160, 1),
    (320, 1),
)
LAST_DEPTH = 1280
# That of the last layer where the pyramid is separable too.
LIGHT_LAST_DEPTH = 256

_EXPANSION = 6
_DIVISOR = 8


def default_hyperparams(
    trains_batch_norm: bool,
) -> hyperparams_lib.ConvHyperparams:
    """Returns the network's own hyperparameters, without a config's."""
    return hyperparams_lib.ConvHyperparams(
        initializer=keras.initializers.TruncatedNormal(stddev=0.09),
        regularizer=keras.regularizers.L2(0.5 * 4e-5),
        regularizes_depthwise=False,
        activation="relu6",
        batch_norm=hyperparams_lib.BatchNormParams(
            decay=0.9997, epsilon=0.001, scale=True, train=trains_batch_norm
        ),
    )


def overridden_hyperparams(
    own: hyperparams_lib.ConvHyperparams,
    config: hyperparams_lib.ConvHyperparams,
) -> hyperparams_lib.ConvHyperparams:
    """Returns what governs the network where a config overrides its own.

    The activation and that there is a normalisation, with scale and offset,
    are part of the network, so they stay. Depthwise weights are regularised,
    too.

    Args:
        own: from `default_hyperparams`.
        config: of the config.
    """
    batch_norm = own.batch_norm
    if config.batch_norm is not None:
        batch_norm = dataclasses.replace(
            config.batch_norm, center=True, scale=True
        )
    return dataclasses.replace(
        config, activation=own.activation, batch_norm=batch_norm
    )


def scaled_depth(depth: int, depth_multiplier: float, min_depth: int) -> int:
    """Returns how many channels a layer of `depth` gets.

    The multiple of 8 next to `depth * depth_multiplier`, or the one after
    where that is less than 90 % of it; at least `min_depth`.
    """
    return _make_divisible(depth * depth_multiplier, min_depth)


def _make_divisible(depth: float, least: int) -> int:
    divisible = int(depth + _DIVISOR / 2) // _DIVISOR * _DIVISOR
    divisible = max(divisible, least)
    return divisible if divisible >= 0.9 * depth else divisible + _DIVISOR


class Bottleneck(keras.layers.Layer):
    """Expands, filters each channel and projects, with a shortcut.

    The shortcut is there wherever inputs and outputs have one shape.

    Attributes:
        expanded_channels: of what is filtered.
    """

    def __init__(
        self,
        scope: str,
        in_channels: int,
        out_channels: int,
        hyperparams: hyperparams_lib.ConvHyperparams,
        *,
        expansion: int,
        stride: int,
        pad_explicitly: bool,
        dtype: conv_layers.DTypePolicy,
    ) -> None:
        """Makes all variables; an `expansion` of 1 has no layer."""
        super().__init__(dtype=dtype)
        self._expand = None
        self.expanded_channels = in_channels
        if expansion > 1:
            self.expanded_channels = _make_divisible(
                in_channels * expansion, _DIVISOR
            )
            self._expand = conv_blocks.conv_block(
                f"{scope}/expand",
                in_channels,
                self.expanded_channels,
                1,
                hyperparams,
                dtype=dtype,
            )
        self._depthwise = conv_blocks.depthwise_block(
            f"{scope}/depthwise",
            self.expanded_channels,
            3,
            hyperparams,
            stride=stride,
            pad_explicitly=pad_explicitly,
            dtype=dtype,
        )
        self._project = conv_blocks.conv_block(
            f"{scope}/project",
            self.expanded_channels,
            out_channels,
            1,
            hyperparams.linear(),
            dtype=dtype,
        )
        self._has_shortcut = stride == 1 and in_channels == out_channels
        if self._has_shortcut:
            self._sum_quantizer = quantization.FakeQuantizer(
                f"{scope}/add_quant"
            )
        self.built = True

    def call(
        self, inputs: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Maps [B, H, W, in_channels] to what is expanded and what comes out.

        Returns:
            [B, H, W, expanded_channels] and [B, ceil(H / stride),
            ceil(W / stride), out_channels].
        """
        expanded = inputs
        if self._expand is not None:
            expanded = self._expand(inputs, training=training)
        outputs = self._depthwise(expanded, training=training)
        outputs = self._project(outputs, training=training)
        if self._has_shortcut:
            (outputs,) = self._sum_quantizer.fake_quantize(
                [outputs + inputs], training
            )
        return expanded, outputs


class MobileNetV2(keras.layers.Layer):
    """The network up to its last 1x1 convolution, without a classifier.

    Attributes:
        endpoint_channels: endpoint name -> number of channels.
    """

    def __init__(
        self,
        scope: str,
        hyperparams: hyperparams_lib.ConvHyperparams,
        depth_multiplier: float = 1.0,
        min_depth: int = 8,
        last_depth: int = LAST_DEPTH,
        pad_explicitly: bool = False,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables, under `scope` in checkpoints.

        Args:
            scope: such as 'FeatureExtractor/MobilenetV2'.
            hyperparams: of every convolution; projections are linear.
            depth_multiplier: multiplies the channels of every layer. The
                last one is no exception, other than in the published
                classifiers with a multiplier below 1.
            min_depth: least number of channels of a layer.
            last_depth: `LAST_DEPTH` or `LIGHT_LAST_DEPTH`.
            pad_explicitly: `conv_layers.explicit_padding` in place of 'same'.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        depths = [FIRST_DEPTH, *(depth for depth, _ in BOTTLENECKS), last_depth]
        first, *middle, last = (
            scaled_depth(depth, depth_multiplier, min_depth) for depth in depths
        )
        self._first = conv_blocks.conv_block(
            f"{scope}/Conv",
            in_channels,
            first,
            3,
            hyperparams,
            stride=2,
            pad_explicitly=pad_explicitly,
            dtype=dtype,
        )
        self.endpoint_channels = {"layer_1": first}
        self._bottlenecks = []
        channels = first
        for index, (_, stride) in enumerate(BOTTLENECKS):
            bottleneck = Bottleneck(
                f"{scope}/expanded_conv" + (f"_{index}" if index else ""),
                channels,
                middle[index],
                hyperparams,
                expansion=_EXPANSION if index else 1,
                stride=stride,
                pad_explicitly=pad_explicitly,
                dtype=dtype,
            )
            self._bottlenecks.append(bottleneck)
            channels = middle[index]
            expanded_name, name = _bottleneck_endpoints(index)
            self.endpoint_channels |= {
                expanded_name: bottleneck.expanded_channels,
                name: channels,
            }
        self._last = conv_blocks.conv_block(
            f"{scope}/Conv_1", channels, last, 1, hyperparams, dtype=dtype
        )
        self.endpoint_channels["layer_19"] = last
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: whether trained normalisations use batch statistics.

        Returns:
            'layer_1' to 'layer_19', and for bottlenecks, the layers 2 to 18,
            'layer_<i>/expansion_output', which has the size of layer i - 1.
        """
        outputs = self._first(images, training=training)
        endpoints = {"layer_1": outputs}
        for index, bottleneck in enumerate(self._bottlenecks):
            expanded, outputs = bottleneck(outputs, training=training)
            expanded_name, name = _bottleneck_endpoints(index)
            endpoints |= {expanded_name: expanded, name: outputs}
        endpoints["layer_19"] = self._last(outputs, training=training)
        return endpoints


def _bottleneck_endpoints(index: int) -> tuple[str, str]:
    """Returns the names of what is expanded and of what comes out."""
    layer = f"layer_{index + 2}"
    return f"{layer}/expansion_output", layer
