"""SSD feature extractor of MobileNet v2."""

from object_detection.models import extra_feature_maps, ssd_feature_extractor
from slim.nets import mobilenet_v2

_SCOPE = f"{ssd_feature_extractor.SCOPE}/MobilenetV2"
_ENDPOINTS = ("layer_15/expansion_output", "layer_19")
_EXTRA_LAYERS = tuple(
    extra_feature_maps.ExtraLayer(depth) for depth in (512, 256, 256, 128)
)


def build(
    options: ssd_feature_extractor.ExtractorOptions,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds six maps, from stride 16 on.

    Keras' variant (`ssd_mobilenet_v2_keras`) is the same network: its
    `block_13_expand_relu` and `out_relu` are these endpoints. Differs from
    the TF1 API: its variables have these names, too, so it takes the
    checkpoints of `ssd_mobilenet_v2`. The names that Keras gives by itself
    depend on what a process has built before.
    """
    backbone = mobilenet_v2.MobileNetV2(
        _SCOPE,
        options.backbone_hyperparams,
        options.depth_multiplier,
        options.min_depth,
        mobilenet_v2.LAST_DEPTH,
        options.use_explicit_padding,
        options.in_channels,
        options.dtype,
    )
    return extra_feature_maps.extractor_with_extra_maps(
        backbone, _SCOPE, _ENDPOINTS, _EXTRA_LAYERS, options
    )
