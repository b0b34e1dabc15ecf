"""SSD feature extractors of ResNet v1.5 up to its third block."""

import dataclasses

from object_detection.models import (
    extra_feature_maps,
    image_normalization,
    ssd_feature_extractor,
)
from slim.nets import resnet_v1_5

_ENDPOINT = "block3"
_MIDDLE_DEPTHS = (256, 256, 128, 128, 128)
_DEPTHS = (512, 512, 256, 256, 256)
_DEPTHS_OF_NUM_LAYERS = {18: (512, 512, 256, 256, 128)}
_NUM_STRIDED = 3
# Below this, a map is smaller than the kernel of the next one.
_MIN_SIDE_PX = 257


def build(
    num_layers: int, options: ssd_feature_extractor.ExtractorOptions
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps: of 38, 19, 10, 5, 3 and 1 px for images of 300 px.

    Args:
        num_layers: 18, 34, 50, 101 or 152.
        options: hyperparams, in_channels and dtype count; strided layers pad
            both sides alike in any case.
    """
    scope = f"{ssd_feature_extractor.SCOPE}/resnet_v1_{num_layers}"
    backbone = resnet_v1_5.ResNetV15(
        scope,
        num_layers,
        options.backbone_hyperparams,
        options.in_channels,
        options.dtype,
    )
    depths = _DEPTHS_OF_NUM_LAYERS.get(num_layers, _DEPTHS)
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        [_ENDPOINT],
        extra_feature_maps.ExtraFeatureMaps(
            f"{scope}/{_ENDPOINT}",
            [backbone.endpoint_channels[_ENDPOINT]],
            [
                extra_feature_maps.ExtraLayer(
                    depth,
                    stride=2 if index < _NUM_STRIDED else 1,
                    padding="same" if index < _NUM_STRIDED else "valid",
                    middle_depth=_MIDDLE_DEPTHS[index],
                )
                for index, depth in enumerate(depths)
            ],
            dataclasses.replace(options, use_explicit_padding=True),
        ),
        preprocess=image_normalization.UNIT_VARIANCE,
        image_size_rule=ssd_feature_extractor.ImageSizeRule(_MIN_SIDE_PX),
        dtype=options.dtype,
    )
