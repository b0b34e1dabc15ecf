"""SSD feature extractor of PNASNet-5 large."""

from object_detection.models import extra_feature_maps, ssd_feature_extractor
from slim.nets import pnasnet

_ENDPOINTS = ("Cell_7", "Cell_11")
_EXTRA_LAYERS = tuple(
    extra_feature_maps.ExtraLayer(depth) for depth in (512, 256, 256, 128)
)


def build(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps, from stride 16 on.

    depth_multiplier and min_depth count for the last four of them alone.
    """
    scope = ssd_feature_extractor.SCOPE
    backbone = pnasnet.PNASNet(
        scope, options.backbone_hyperparams, options.in_channels, options.dtype
    )
    return extra_feature_maps.extractor_with_extra_maps(
        backbone,
        f"{scope}/SSD_feature_maps",
        _ENDPOINTS,
        _EXTRA_LAYERS,
        options,
        # The stem's first convolution is the only one without padding.
        image_size_rule=ssd_feature_extractor.ImageSizeRule(min_side_px=3),
    )
