"""SSD feature extractors of VGG-16, for images of 300 and 512 px."""

from collections.abc import Sequence

from object_detection.core import l2_norm
from object_detection.models import (
    extra_feature_maps,
    image_normalization,
    ssd_feature_extractor,
)
from slim.nets import vgg

_SCOPE = f"{ssd_feature_extractor.SCOPE}/vgg_16"
_ENDPOINTS = ("conv4_3", "conv7")
_INITIAL_SCALE = 20.0
_EXTRA_LAYERS_300 = (
    extra_feature_maps.ExtraLayer(512),
    extra_feature_maps.ExtraLayer(256),
    extra_feature_maps.ExtraLayer(256, stride=1, padding="valid"),
    extra_feature_maps.ExtraLayer(256, stride=1, padding="valid"),
)
_EXTRA_LAYERS_512 = (
    extra_feature_maps.ExtraLayer(512),
    extra_feature_maps.ExtraLayer(256),
    extra_feature_maps.ExtraLayer(256),
    extra_feature_maps.ExtraLayer(256, stride=1, padding="valid"),
    # From 2x2 to 1x1.
    extra_feature_maps.ExtraLayer(256, stride=1, padding="valid", pad_end_px=1),
)
# Below these, a map is smaller than the kernel of the next one.
_MIN_SIDE_300_PX = 257
_MIN_SIDE_512_PX = 385


def build_300(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps: of 38, 19, 10, 5, 3 and 1 px for images of 300 px."""
    return _build(_EXTRA_LAYERS_300, _MIN_SIDE_300_PX, options)


def build_512(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds seven maps: of 64, 32, ..., 2 and 1 px for images of 512 px."""
    return _build(_EXTRA_LAYERS_512, _MIN_SIDE_512_PX, options)


def _build(
    extra_layers: Sequence[extra_feature_maps.ExtraLayer],
    min_side_px: int,
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Puts extra maps on the network, the first map normalised."""
    backbone = vgg.VGG16(
        _SCOPE, options.backbone_hyperparams, options.in_channels, options.dtype
    )
    in_channels = [backbone.endpoint_channels[name] for name in _ENDPOINTS]
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        _ENDPOINTS,
        extra_feature_maps.ExtraFeatureMaps(
            f"{_SCOPE}/{_ENDPOINTS[-1]}",
            in_channels,
            extra_layers,
            options,
            first_layer=l2_norm.L2Norm(
                f"{_SCOPE}/{_ENDPOINTS[0]}_norm",
                in_channels[0],
                _INITIAL_SCALE,
                options.dtype,
            ),
        ),
        preprocess=image_normalization.MEAN_COLOUR,
        image_size_rule=ssd_feature_extractor.ImageSizeRule(min_side_px),
        dtype=options.dtype,
    )
