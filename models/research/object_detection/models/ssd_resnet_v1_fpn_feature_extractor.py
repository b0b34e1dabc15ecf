"""SSD feature extractors of ResNet v1 with a feature pyramid."""

from object_detection.models import feature_pyramid, ssd_feature_extractor
from slim.nets import resnet_v1

MIN_SIDE_PX = 129

_ENDPOINT_OF_LEVEL = {2: "block1", 3: "block2", 4: "block3", 5: "block4"}


def build(
    num_layers: int, options: ssd_feature_extractor.ExtractorOptions
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds the feature maps of levels `min_level` to `max_level`.

    Up to level 5 they come from the backbone's blocks, the rest from strided
    convolutions.

    Args:
        num_layers: 50, 101 or 152.
        options: depth_multiplier, min_depth, use_depthwise and
            use_explicit_padding must have their defaults.
    """
    scope = f"{ssd_feature_extractor.SCOPE}/resnet_v1_{num_layers}"
    return feature_pyramid.extractor_with_pyramid(
        resnet_v1.ResNetV1(
            scope,
            num_layers,
            options.backbone_hyperparams,
            options.in_channels,
            options.dtype,
        ),
        scope,
        _ENDPOINT_OF_LEVEL,
        lambda level: f"bottom_up_block{level}",
        options,
        depth=options.additional_layer_depth,
        preprocess=ssd_feature_extractor.subtract_mean_color,
        min_side_px=MIN_SIDE_PX,
    )
