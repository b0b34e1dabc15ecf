"""SSD feature extractor of PNASNet-5 large."""

from object_detection.models import extra_feature_maps, ssd_feature_extractor
from slim.nets import pnasnet

_ENDPOINTS = ("Cell_7", "Cell_11")
_EXTRA_DEPTHS = (512, 256, 256, 128)


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
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        _ENDPOINTS,
        extra_feature_maps.ExtraFeatureMaps(
            f"{scope}/SSD_feature_maps/{_ENDPOINTS[-1]}",
            [backbone.endpoint_channels[name] for name in _ENDPOINTS],
            [extra_feature_maps.ExtraLayer(depth) for depth in _EXTRA_DEPTHS],
            options,
        ),
        preprocess=ssd_feature_extractor.scale_to_unit_range,
        # The stem's first convolution is the only one without padding.
        image_size_rule=ssd_feature_extractor.ImageSizeRule(min_side_px=3),
        pad_to_multiple=options.pad_to_multiple,
        dtype=options.dtype,
    )
