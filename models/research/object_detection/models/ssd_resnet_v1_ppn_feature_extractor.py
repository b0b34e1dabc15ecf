"""SSD feature extractors of ResNet v1 with a pooling pyramid."""

from object_detection.models import pooling_pyramid, ssd_feature_extractor
from object_detection.models import (
    ssd_resnet_v1_fpn_feature_extractor as resnet_v1_fpn,
)
from slim.nets import resnet_v1

_ENDPOINT = "block3"
_BASE_DEPTH = 1024


def build(
    num_layers: int, options: ssd_feature_extractor.ExtractorOptions
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps: the third block's, projected, and its poolings.

    The fourth block is there, as it is in checkpoints, but not used.

    Args:
        num_layers: 50, 101 or 152.
        options: those of depth, padding and pyramids have no effect.
    """
    scope = f"{ssd_feature_extractor.SCOPE}/resnet_v1_{num_layers}"
    backbone = resnet_v1.ResNetV1(
        scope,
        num_layers,
        options.backbone_hyperparams,
        options.in_channels,
        options.dtype,
    )
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        [_ENDPOINT],
        pooling_pyramid.PoolingPyramid(
            scope, backbone.endpoint_channels[_ENDPOINT], _BASE_DEPTH, options
        ),
        preprocess=ssd_feature_extractor.subtract_mean_color,
        image_size_rule=ssd_feature_extractor.ImageSizeRule(
            resnet_v1_fpn.MIN_SIDE_PX
        ),
        pad_to_multiple=options.pad_to_multiple,
        dtype=options.dtype,
    )
