"""SSD feature extractors of ResNet v1 with a feature pyramid."""

from typing import Any

from keras import ops

from object_detection.core import conv_layers
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import (
    feature_map_generators,
    ssd_feature_extractor,
)
from slim.nets import resnet_v1

Tensor = Any

# Mean red, green and blue of ImageNet's training images, in 0..255.
_CHANNEL_MEANS = (123.68, 116.779, 103.939)
_COARSEST_BACKBONE_LEVEL = 5


class SSDResnetV1FpnFeatureExtractor(ssd_feature_extractor.SSDFeatureExtractor):
    """Feature maps of levels `min_level` to `max_level`, of one depth each.

    Level l has stride 2**l. Up to level 5 they come from the backbone's
    blocks, the rest from strided convolutions.
    """

    min_side_px = 129

    def __init__(
        self,
        num_layers: int,
        hyperparams: hyperparams_lib.ConvHyperparams,
        backbone_hyperparams: hyperparams_lib.ConvHyperparams,
        *,
        min_level: int = 3,
        max_level: int = 7,
        additional_layer_depth: int = 256,
        pad_to_multiple: int = 1,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables.

        Args:
            num_layers: 50, 101 or 152.
            hyperparams: of the pyramid.
            backbone_hyperparams: of the backbone.
            min_level: 2 or more.
            max_level: `min_level` or more.
            additional_layer_depth: channels of every map.
            pad_to_multiple: see the base class.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(pad_to_multiple, dtype)
        scope = f"FeatureExtractor/resnet_v1_{num_layers}"
        self._backbone = resnet_v1.ResNetV1(
            scope, num_layers, backbone_hyperparams, in_channels, dtype
        )
        base_max_level = min(max_level, _COARSEST_BACKBONE_LEVEL)
        self._endpoints = [
            f"block{level - 1}"
            for level in range(min_level, base_max_level + 1)
        ]
        channels = self._backbone.endpoint_channels
        self._pyramid = feature_map_generators.FeaturePyramid(
            f"{scope}/fpn",
            [channels[endpoint] for endpoint in self._endpoints],
            additional_layer_depth,
            [
                f"bottom_up_block{level}"
                for level in range(base_max_level, max_level)
            ],
            hyperparams,
            dtype=dtype,
        )
        num_maps = max_level - min_level + 1
        self.feature_map_channels = [additional_layer_depth] * num_maps
        self.built = True

    def preprocess(self, images: Tensor) -> Tensor:
        """Subtracts the mean colour from images of three channels."""
        images = ops.cast(images, "float32")
        if images.shape[-1] != len(_CHANNEL_MEANS):
            return images
        return images - ops.convert_to_tensor(_CHANNEL_MEANS, "float32")

    def _extract(self, images: Tensor, training: bool) -> list[Tensor]:
        endpoints = self._backbone(images, training=training)
        return self._pyramid(
            [endpoints[endpoint] for endpoint in self._endpoints],
            training=training,
        )
