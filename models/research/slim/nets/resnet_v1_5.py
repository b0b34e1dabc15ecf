"""ResNet v1.5 up to its third block, as SSD300 uses it.

It differs from ResNet v1 (He et al. 2015, https://arxiv.org/abs/1512.03385)
in where it halves the resolution: in the first 3x3 convolution of a block, and
strided layers pad both sides alike. The networks of torchvision are of this
kind. For SSD300 the third block ("conv4_x") keeps the resolution of the
second, and the fourth does not exist.

Variables are named as those of `resnet_v1`, the units of two 3x3 convolutions
`basic_v1`. So weights of TF1-slim and of Keras fit, too, but their features
differ until they are trained on, as those networks halve the resolution
elsewhere. Of an epsilon of 1e-5, as torchvision's is, `batch_norm.MIN_EPSILON`
makes 1e-8 more.
"""

from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib
from slim.nets import resnet_v1

Tensor = Any

_NUM_UNITS_OF_BASIC = {18: (2, 2, 2), 34: (3, 4, 6)}
_NUM_UNITS_OF_BOTTLENECKS = {
    num_layers: num_units[:3]
    for num_layers, num_units in resnet_v1.NUM_UNITS_PER_BLOCK.items()
}
NUM_UNITS_PER_BLOCK = {**_NUM_UNITS_OF_BASIC, **_NUM_UNITS_OF_BOTTLENECKS}

_BLOCK_STRIDES = (1, 2, 1)


class ResNetV15(keras.layers.Layer):
    """The network up to its third block.

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
            num_layers: 18, 34, 50, 101 or 152.
            hyperparams: of every convolution; its activation has no negative
                values.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        self._conv1 = conv_blocks.conv_block(
            f"{scope}/conv1",
            in_channels,
            resnet_v1.STEM_CHANNELS,
            7,
            hyperparams,
            stride=2,
            pad_explicitly=True,
            dtype=dtype,
        )
        make_unit = _basic
        if num_layers in _NUM_UNITS_OF_BOTTLENECKS:
            make_unit = resnet_v1.bottleneck
        self._blocks = []
        self.endpoint_channels = {}
        channels = resnet_v1.STEM_CHANNELS
        for block, num_units in enumerate(NUM_UNITS_PER_BLOCK[num_layers], 1):
            depth = resnet_v1.BLOCK_DEPTHS[block - 1]
            units = []
            for number in range(1, num_units + 1):
                stride = _BLOCK_STRIDES[block - 1] if number == 1 else 1
                unit = make_unit(
                    f"{scope}/block{block}/unit_{number}",
                    channels,
                    depth,
                    hyperparams,
                    stride,
                    dtype,
                )
                units.append(unit)
                channels = unit.out_channels
            self._blocks.append(units)
            self.endpoint_channels[f"block{block}"] = channels
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: whether trained normalisations use batch statistics.

        Returns:
            'block1' to 'block3', at strides 4, 8 and 8 (sizes round up).
        """
        outputs = self._conv1(images, training=training)
        # Zeros are never above what a rectifier returns.
        outputs = conv_layers.explicit_padding(outputs, 3)
        outputs = ops.max_pool(outputs, 3, strides=2, padding="valid")
        endpoints = {}
        for block, units in enumerate(self._blocks, start=1):
            for unit in units:
                outputs = unit(outputs, training=training)
            endpoints[f"block{block}"] = outputs
        return endpoints


def _basic(
    scope: str,
    in_channels: int,
    depth: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    stride: int,
    dtype: conv_layers.DTypePolicy,
) -> resnet_v1.ResidualUnit:
    """Makes a unit of two 3x3 convolutions, the first one strided."""
    return resnet_v1.ResidualUnit(
        f"{scope}/basic_v1",
        in_channels,
        [resnet_v1.UnitConv(3, depth, stride), resnet_v1.UnitConv(3, depth)],
        hyperparams,
        dtype,
    )
