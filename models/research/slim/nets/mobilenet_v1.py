"""MobileNet v1 (Howard et al. 2017, https://arxiv.org/abs/1704.04861)."""

from collections.abc import Sequence
from typing import Any

import keras

from object_detection.core import conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

# (channels, stride) of the first convolution and the 13 separable ones.
LAYERS = (
    (32, 2),
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
# The two last layers are lighter where the pyramid is separable too.
LIGHT_LAYERS = LAYERS[:-2] + ((512, 2), (256, 1))


def default_hyperparams(
    trains_batch_norm: bool,
) -> hyperparams_lib.ConvHyperparams:
    """Returns the network's own hyperparameters, without a config's."""
    return hyperparams_lib.ConvHyperparams(
        initializer=keras.initializers.TruncatedNormal(stddev=0.09),
        regularizer=keras.regularizers.L2(0.5 * 4e-5),
        activation="relu6",
        batch_norm=hyperparams_lib.BatchNormParams(
            decay=0.9997, epsilon=0.001, scale=True, train=trains_batch_norm
        ),
    )


def scaled_depth(depth: int, depth_multiplier: float, min_depth: int) -> int:
    """Returns how many channels a layer of `depth` gets."""
    return max(int(depth * depth_multiplier), min_depth)


class MobileNetV1(keras.layers.Layer):
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
        layers: Sequence[tuple[int, int]] = LAYERS,
        pad_explicitly: bool = False,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables, under `scope` in checkpoints.

        Args:
            scope: such as 'FeatureExtractor/MobilenetV1'.
            hyperparams: of every convolution, depthwise ones included.
            depth_multiplier: multiplies the channels of every layer.
            min_depth: least number of channels of a layer.
            layers: (channels, stride); `LAYERS` or `LIGHT_LAYERS`.
            pad_explicitly: `conv_layers.explicit_padding` in place of 'same'.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        self._blocks_per_layer = []
        self.endpoint_channels = {}
        channels = in_channels
        for index, (depth, stride) in enumerate(layers):
            out_channels = scaled_depth(depth, depth_multiplier, min_depth)
            make = _separable_layer if index else _first_layer
            self._blocks_per_layer.append(
                make(
                    f"{scope}/Conv2d_{index}",
                    channels,
                    out_channels,
                    hyperparams,
                    stride,
                    pad_explicitly,
                    dtype,
                )
            )
            channels = out_channels
            endpoint = f"Conv2d_{index}" + ("_pointwise" if index else "")
            self.endpoint_channels[endpoint] = channels
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: whether trained normalisations use batch statistics.

        Returns:
            'Conv2d_0', then 'Conv2d_<i>_pointwise' for i in 1 to 13.
        """
        outputs = images
        endpoints = {}
        for endpoint, blocks in zip(
            self.endpoint_channels, self._blocks_per_layer, strict=True
        ):
            for block in blocks:
                outputs = block(outputs, training=training)
            endpoints[endpoint] = outputs
        return endpoints


def _first_layer(
    scope: str,
    in_channels: int,
    out_channels: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    stride: int,
    pad_explicitly: bool,
    dtype: conv_layers.DTypePolicy,
) -> list[conv_blocks.ConvBlock]:
    block = conv_blocks.conv_block(
        scope,
        in_channels,
        out_channels,
        3,
        hyperparams,
        stride=stride,
        pad_explicitly=pad_explicitly,
        dtype=dtype,
    )
    return [block]


def _separable_layer(
    scope: str,
    in_channels: int,
    out_channels: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    stride: int,
    pad_explicitly: bool,
    dtype: conv_layers.DTypePolicy,
) -> list[conv_blocks.ConvBlock]:
    depthwise = conv_blocks.depthwise_block(
        f"{scope}_depthwise",
        in_channels,
        3,
        hyperparams,
        stride=stride,
        pad_explicitly=pad_explicitly,
        dtype=dtype,
    )
    pointwise = conv_blocks.conv_block(
        f"{scope}_pointwise",
        in_channels,
        out_channels,
        1,
        hyperparams,
        dtype=dtype,
    )
    return [depthwise, pointwise]
