"""SSD feature extractors of MobileNet v1: plain, embedded and with pooling."""

from object_detection.models import (
    extra_feature_maps,
    pooling_pyramid,
    ssd_feature_extractor,
)
from slim.nets import mobilenet_v1

ExtraLayer = extra_feature_maps.ExtraLayer

_SCOPE = f"{ssd_feature_extractor.SCOPE}/MobilenetV1"
_ENDPOINTS = ("Conv2d_11_pointwise", "Conv2d_13_pointwise")
_EXTRA_LAYERS = tuple(ExtraLayer(depth) for depth in (512, 256, 256, 128))
# The last kernel is as wide as the map it works on.
_EMBEDDED_EXTRA_LAYERS = (ExtraLayer(512), ExtraLayer(256), ExtraLayer(256, 2))
_EMBEDDED_SIZE_PX = (256, 256)


def build(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps, from stride 16 on."""
    return extra_feature_maps.extractor_with_extra_maps(
        _backbone(options), _SCOPE, _ENDPOINTS, _EXTRA_LAYERS, options
    )


def build_embedded(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds five maps, of 16, 8, 4, 2 and 1 px, of images of 256 x 256 px."""
    return extra_feature_maps.extractor_with_extra_maps(
        _backbone(options),
        _SCOPE,
        _ENDPOINTS,
        _EMBEDDED_EXTRA_LAYERS,
        options,
        image_size_rule=ssd_feature_extractor.ImageSizeRule(
            only_size_px=_EMBEDDED_SIZE_PX
        ),
    )


def build_with_pooling(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps: one of stride 16 and its poolings.

    The backbone's last two layers are there, as they are in checkpoints, but
    not used.
    """
    backbone = _backbone(options)
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        _ENDPOINTS[:1],
        pooling_pyramid.PoolingPyramid(
            _SCOPE, backbone.endpoint_channels[_ENDPOINTS[0]], None, options
        ),
        preprocess=ssd_feature_extractor.scale_to_unit_range,
        pad_to_multiple=options.pad_to_multiple,
        dtype=options.dtype,
    )


def _backbone(
    options: ssd_feature_extractor.ExtractorOptions,
) -> mobilenet_v1.MobileNetV1:
    return mobilenet_v1.MobileNetV1(
        _SCOPE,
        options.backbone_hyperparams,
        options.depth_multiplier,
        options.min_depth,
        mobilenet_v1.LAYERS,
        options.use_explicit_padding,
        options.in_channels,
        options.dtype,
    )
