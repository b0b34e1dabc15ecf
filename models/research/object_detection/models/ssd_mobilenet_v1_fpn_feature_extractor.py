"""SSD feature extractor of MobileNet v1 with a feature pyramid."""

from typing import Any

from object_detection.core import conv_layers
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import (
    feature_map_generators,
    ssd_feature_extractor,
)
from slim.nets import mobilenet_v1

Tensor = Any

_ENDPOINT_OF_LEVEL = {
    2: "Conv2d_3_pointwise",
    3: "Conv2d_5_pointwise",
    4: "Conv2d_11_pointwise",
    5: "Conv2d_13_pointwise",
}
_COARSEST_BACKBONE_LEVEL = 5
_FIRST_COARSE_LAYER = 14


class SSDMobileNetV1FpnFeatureExtractor(
    ssd_feature_extractor.SSDFeatureExtractor
):
    """Feature maps of levels `min_level` to `max_level`, of one depth each.

    Level l has stride 2**l. Up to level 5 they come from the backbone's
    layers, the rest from strided convolutions.
    """

    def __init__(
        self,
        hyperparams: hyperparams_lib.ConvHyperparams,
        backbone_hyperparams: hyperparams_lib.ConvHyperparams,
        *,
        depth_multiplier: float = 1.0,
        min_depth: int = 16,
        min_level: int = 3,
        max_level: int = 7,
        additional_layer_depth: int = 256,
        use_depthwise: bool = False,
        use_explicit_padding: bool = False,
        pad_to_multiple: int = 1,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables.

        Args:
            hyperparams: of the pyramid.
            backbone_hyperparams: of the backbone.
            depth_multiplier: multiplies the channels of every layer, those
                of the pyramid included.
            min_depth: least number of channels of a layer.
            min_level: 2 or more.
            max_level: `min_level` or more.
            additional_layer_depth: channels of every map at multiplier 1.
            use_depthwise: makes the pyramid's 3x3 convolutions separable and
                the backbone's last two layers lighter.
            use_explicit_padding: `conv_layers.explicit_padding` in place of
                'same' in both parts.
            pad_to_multiple: see the base class.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(pad_to_multiple, dtype)
        scope = "FeatureExtractor/MobilenetV1"
        self._backbone = mobilenet_v1.MobileNetV1(
            scope,
            backbone_hyperparams,
            depth_multiplier,
            min_depth,
            mobilenet_v1.LIGHT_LAYERS if use_depthwise else mobilenet_v1.LAYERS,
            use_explicit_padding,
            in_channels,
            dtype,
        )
        base_max_level = min(max_level, _COARSEST_BACKBONE_LEVEL)
        self._endpoints = [
            _ENDPOINT_OF_LEVEL[level]
            for level in range(min_level, base_max_level + 1)
        ]
        channels = self._backbone.endpoint_channels
        depth = mobilenet_v1.scaled_depth(
            additional_layer_depth, depth_multiplier, min_depth
        )
        num_coarse_maps = max_level - base_max_level
        self._pyramid = feature_map_generators.FeaturePyramid(
            f"{scope}/fpn",
            [channels[endpoint] for endpoint in self._endpoints],
            depth,
            [
                f"bottom_up_Conv2d_{_FIRST_COARSE_LAYER + i}"
                for i in range(num_coarse_maps)
            ],
            hyperparams,
            separable=use_depthwise,
            pad_explicitly=use_explicit_padding,
            dtype=dtype,
        )
        self.feature_map_channels = [depth] * (max_level - min_level + 1)
        self.built = True

    def preprocess(self, images: Tensor) -> Tensor:
        """Maps 0..255 to -1..1."""
        return ssd_feature_extractor.scale_to_unit_range(images)

    def _extract(self, images: Tensor, training: bool) -> list[Tensor]:
        endpoints = self._backbone(images, training=training)
        return self._pyramid(
            [endpoints[endpoint] for endpoint in self._endpoints],
            training=training,
        )
