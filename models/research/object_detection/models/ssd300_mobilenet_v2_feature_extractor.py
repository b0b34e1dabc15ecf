"""SSD feature extractor of MobileNet v2 with an expansion of its own."""

from object_detection.core import conv_blocks
from object_detection.models import (
    extra_feature_maps,
    image_normalization,
    ssd_feature_extractor,
)
from slim.nets import mobilenet_v2

_SCOPE = f"{ssd_feature_extractor.SCOPE}/MobilenetV2"
# The inputs of the bottleneck that goes from stride 16 to 32, and the end.
_ENDPOINTS = ("layer_14", "layer_19")
_EXPANDED_DEPTH = 576
_EXTRA_LAYERS = tuple(
    extra_feature_maps.ExtraLayer(depth) for depth in (512, 256, 256, 128)
)


def build(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps: of 19, 10, 5, 3, 2 and 1 px for images of 300 px.

    The first one is no endpoint of the network: a 1x1 convolution makes it
    that no bottleneck uses.

    Args:
        options: use_depthwise must be true; hyperparams, in_channels and
            dtype count.
    """
    backbone = mobilenet_v2.MobileNetV2(
        _SCOPE,
        options.backbone_hyperparams,
        in_channels=options.in_channels,
        dtype=options.dtype,
    )
    first, last = (backbone.endpoint_channels[name] for name in _ENDPOINTS)
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        _ENDPOINTS,
        extra_feature_maps.ExtraFeatureMaps(
            f"{_SCOPE}/{_ENDPOINTS[-1]}",
            [_EXPANDED_DEPTH, last],
            _EXTRA_LAYERS,
            options,
            first_layer=conv_blocks.conv_block(
                f"{_SCOPE}/expand_layer_conv_13",
                first,
                _EXPANDED_DEPTH,
                1,
                options.hyperparams,
                dtype=options.dtype,
            ),
        ),
        preprocess=image_normalization.UNIT_VARIANCE,
        dtype=options.dtype,
    )
