"""Feature maps by max pooling alone.

Dimensions: B image, H height, W width, F channels.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks
from object_detection.models import ssd_feature_extractor

Tensor = Any


class PoolingPyramid(keras.layers.Layer):
    """Feature maps by max pooling alone, from one endpoint.

    Pooling pyramid network (Jin et al. 2018, arxiv.org/abs/1807.03284).

    Attributes:
        feature_map_channels: list of the channels of each map, finest first.
    """

    def __init__(
        self,
        scope: str,
        in_channels: int,
        base_depth: int | None,
        options: ssd_feature_extractor.ExtractorOptions,
        num_maps: int = 6,
    ) -> None:
        """Makes all variables.

        Args:
            scope: such as 'FeatureExtractor/resnet_v1_50'.
            in_channels: channels of the endpoint.
            base_depth: channels of a 1x1 convolution before the pooling;
                None for no convolution.
            options: hyperparams count.
            num_maps: the first one and its poolings.
        """
        super().__init__(dtype=options.dtype)
        self._base = None
        if base_depth is not None:
            self._base = conv_blocks.conv_block(
                f"{scope}/Base_Conv2d_1x1_{base_depth}",
                in_channels,
                base_depth,
                1,
                options.hyperparams,
                dtype=options.dtype,
            )
        self.feature_map_channels = [base_depth or in_channels] * num_maps
        self.built = True

    def call(
        self, endpoints: Sequence[Tensor], training: bool = False
    ) -> list[Tensor]:
        """Computes the maps, each half the size (rounded up) of the last.

        Args:
            endpoints: one, [B, H, W, in_channels].
            training: whether trained normalisations use batch statistics.
        """
        (outputs,) = endpoints
        if self._base is not None:
            outputs = self._base(outputs, training=training)
        maps = [outputs]
        while len(maps) < len(self.feature_map_channels):
            maps.append(ops.max_pool(maps[-1], 2, strides=2, padding="same"))
        return maps
