"""SSD feature extractors of Inception v2 and v3."""

from collections.abc import Mapping, Sequence

from object_detection.models import extra_feature_maps, ssd_feature_extractor
from slim.nets import inception_blocks, inception_v2, inception_v3

_V2_ENDPOINTS = ("Mixed_4c", "Mixed_5c")
_V2_EXTRA_DEPTHS = (512, 256, 256, 128)
_V3_ENDPOINTS = ("Mixed_5d", "Mixed_6e", "Mixed_7c")
_V3_EXTRA_DEPTHS = (512, 256, 128)


def build_v2(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps, from stride 16 on."""
    return _build(
        "InceptionV2",
        inception_v2.LAYERS,
        _V2_ENDPOINTS,
        _V2_EXTRA_DEPTHS,
        options,
    )


def build_v3(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps, from stride 8 on."""
    return _build(
        "InceptionV3",
        inception_v3.LAYERS,
        _V3_ENDPOINTS,
        _V3_EXTRA_DEPTHS,
        options,
    )


def _build(
    network_scope: str,
    layers: Mapping[str, inception_blocks.Part],
    endpoints: Sequence[str],
    extra_depths: Sequence[int],
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    scope = f"{ssd_feature_extractor.SCOPE}/{network_scope}"
    backbone = inception_blocks.InceptionNetwork(
        scope,
        layers,
        options.backbone_hyperparams,
        options.depth_multiplier,
        options.min_depth,
        options.in_channels,
        options.dtype,
    )
    return extra_feature_maps.extractor_with_extra_maps(
        backbone,
        scope,
        endpoints,
        [extra_feature_maps.ExtraLayer(depth) for depth in extra_depths],
        options,
    )
