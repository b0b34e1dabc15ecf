"""VGG-16 (Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556).

As SSD uses it (Liu et al. 2016, https://arxiv.org/abs/1512.02325, section 3):
the two fully connected layers are convolutions with a quarter of the channels,
the first of which has holes, and the pooling before them keeps the resolution.
Every layer has biases and is rectified; there is no normalisation, no dropout
and no classifier.
"""

from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

# (number, channels) of the 3x3 convolutions of each block.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
# Of conv6 and conv7.
LAST_DEPTH = 1024

_CONV6_DILATION = 6


class VGG16(keras.layers.Layer):
    """The network up to conv7.

    Attributes:
        endpoint_channels: endpoint name -> number of channels.
    """

    def __init__(
        self,
        scope: str,
        hyperparams: hyperparams_lib.ConvHyperparams,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables, under `scope` in checkpoints.

        Args:
            scope: such as 'FeatureExtractor/vgg_16'.
            hyperparams: of every convolution.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        self._blocks = []
        self.endpoint_channels = {}
        channels = in_channels
        for block, (num_convs, depth) in enumerate(BLOCKS, start=1):
            convs = []
            for number in range(1, num_convs + 1):
                name = f"conv{block}_{number}"
                convs.append(
                    conv_blocks.conv_block(
                        f"{scope}/conv{block}/{name}",
                        channels,
                        depth,
                        3,
                        hyperparams,
                        dtype=dtype,
                    )
                )
                channels = depth
                self.endpoint_channels[name] = depth
            self._blocks.append(convs)
        self._conv6 = conv_blocks.conv_block(
            f"{scope}/conv6",
            channels,
            LAST_DEPTH,
            3,
            hyperparams,
            dilation=_CONV6_DILATION,
            dtype=dtype,
        )
        self._conv7 = conv_blocks.conv_block(
            f"{scope}/conv7",
            LAST_DEPTH,
            LAST_DEPTH,
            1,
            hyperparams,
            dtype=dtype,
        )
        self.endpoint_channels |= {"conv6": LAST_DEPTH, "conv7": LAST_DEPTH}
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: changes nothing here.

        Returns:
            'conv1_1' to 'conv5_3', at strides 1, 2, 4, 8 and 16 by their
            first number, and 'conv6' and 'conv7' at stride 16. Sizes round
            up.
        """
        endpoints = {}
        outputs = images
        for block, convs in enumerate(self._blocks, start=1):
            if block > 1:
                outputs = ops.max_pool(outputs, 2, strides=2, padding="same")
            for number, conv in enumerate(convs, start=1):
                outputs = conv(outputs, training=training)
                endpoints[f"conv{block}_{number}"] = outputs
        outputs = ops.max_pool(outputs, 3, strides=1, padding="same")
        endpoints["conv6"] = self._conv6(outputs, training=training)
        endpoints["conv7"] = self._conv7(endpoints["conv6"], training=training)
        return endpoints
