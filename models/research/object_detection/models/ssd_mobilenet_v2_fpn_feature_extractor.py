"""SSD feature extractor of MobileNet v2 with a feature pyramid."""

from object_detection.models import feature_pyramid, ssd_feature_extractor
from slim.nets import mobilenet_v2

_ENDPOINT_OF_LEVEL = {2: "layer_4", 3: "layer_7", 4: "layer_14", 5: "layer_19"}
# What the coarse layers' numbers, which go on from the backbone's, exceed
# their levels by.
_COARSE_LAYER_OFFSET = 15


def build(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds the feature maps of levels `min_level` to `max_level`.

    Up to level 5 they come from the backbone's layers, the rest from strided
    convolutions. With use_depthwise the backbone's last layer is lighter,
    too.
    """
    scope = f"{ssd_feature_extractor.SCOPE}/MobilenetV2"
    return feature_pyramid.extractor_with_pyramid(
        mobilenet_v2.MobileNetV2(
            scope,
            options.backbone_hyperparams,
            options.depth_multiplier,
            options.min_depth,
            mobilenet_v2.LIGHT_LAST_DEPTH
            if options.use_depthwise
            else mobilenet_v2.LAST_DEPTH,
            options.use_explicit_padding,
            options.in_channels,
            options.dtype,
        ),
        scope,
        _ENDPOINT_OF_LEVEL,
        lambda level: f"bottom_up_Conv2d_{level + _COARSE_LAYER_OFFSET}",
        options,
        depth=options.scaled_depth(options.additional_layer_depth),
        preprocess=ssd_feature_extractor.scale_to_unit_range,
        min_side_px=33,
    )
