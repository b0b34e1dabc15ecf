"""Builds the SSD feature extractor that a config's `type` names."""

from collections.abc import Callable

from absl import logging

from object_detection.builders import hyperparams_builder
from object_detection.core import conv_layers, errors
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import ssd_feature_extractor
from object_detection.models import (
    ssd_mobilenet_v1_fpn_feature_extractor as mobilenet_v1_fpn,
)
from object_detection.models import (
    ssd_resnet_v1_fpn_feature_extractor as resnet_v1_fpn,
)
from object_detection.protos import ssd_pb2
from slim.nets import mobilenet_v1, resnet_v1

_RESNET_LAYERS = {
    "ssd_resnet50_v1_fpn": 50,
    "ssd_resnet101_v1_fpn": 101,
    "ssd_resnet152_v1_fpn": 152,
}


def build(
    config: ssd_pb2.SsdFeatureExtractor,
    is_training: bool,
    *,
    freeze_batchnorm: bool = False,
    enforce_freeze_batchnorm: bool = False,
    in_channels: int = 3,
    dtype_policy: conv_layers.DTypePolicy = None,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Builds the feature extractor, with all its variables.

    Args:
        config: the `feature_extractor` message.
        is_training: False freezes every normalisation.
        freeze_batchnorm: freezes the backbone's normalisations where it uses
            its own hyperparameters. Where a `conv_hyperparams` governs, it
            has no effect, as in the original, whose published results were
            reached that way.
        enforce_freeze_batchnorm: really freezes them all.
        in_channels: channels of the images.
        dtype_policy: Keras dtype policy.

    Raises:
        errors.ConfigError: an unknown type, or a field that it does not take.
    """
    builders: dict[str, Callable] = {
        **dict.fromkeys(_RESNET_LAYERS, _build_resnet_v1_fpn),
        "ssd_mobilenet_v1_fpn": _build_mobilenet_v1_fpn,
    }
    if config.type not in builders:
        raise errors.ConfigError(
            f"feature_extractor.type: unknown {config.type!r}: expected one "
            f"of {', '.join(sorted(builders))}"
        )
    if config.conv_hyperparams.HasField("group_norm"):
        raise errors.ConfigError(
            "feature_extractor.conv_hyperparams.group_norm: not supported; "
            "use batch_norm"
        )
    _check_sizes(config)
    trains_batch_norm = is_training and not enforce_freeze_batchnorm
    return builders[config.type](
        config,
        hyperparams_builder.build(config.conv_hyperparams, trains_batch_norm),
        trains_batch_norm and not freeze_batchnorm,
        in_channels=in_channels,
        pad_to_multiple=config.pad_to_multiple,
        min_level=config.fpn.min_level,
        max_level=config.fpn.max_level,
        additional_layer_depth=config.fpn.additional_layer_depth,
        dtype=dtype_policy,
    )


def _check_sizes(config: ssd_pb2.SsdFeatureExtractor) -> None:
    for field in ("pad_to_multiple", "min_depth"):
        if getattr(config, field) < 1:
            raise errors.ConfigError(
                f"feature_extractor.{field}: expected at least 1, got "
                f"{getattr(config, field)}"
            )
    if config.depth_multiplier <= 0:
        raise errors.ConfigError(
            "feature_extractor.depth_multiplier: expected more than 0, got "
            f"{config.depth_multiplier:g}"
        )
    fpn = config.fpn
    if not 2 <= fpn.min_level <= min(fpn.max_level, 5):
        raise errors.ConfigError(
            "feature_extractor.fpn: expected min_level from 2 to 5 and "
            f"max_level not below it, got {fpn.min_level} and {fpn.max_level}"
        )
    if fpn.additional_layer_depth < 1:
        raise errors.ConfigError(
            "feature_extractor.fpn.additional_layer_depth: expected at least "
            f"1, got {fpn.additional_layer_depth}"
        )


def _build_resnet_v1_fpn(
    config: ssd_pb2.SsdFeatureExtractor,
    hyperparams: hyperparams_lib.ConvHyperparams,
    trains_default_batch_norm: bool,
    **arguments: int | conv_layers.DTypePolicy,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    if config.depth_multiplier != 1.0:
        raise errors.ConfigError(
            f"feature_extractor.depth_multiplier: {config.type} takes only "
            f"1.0, got {config.depth_multiplier}"
        )
    if config.use_explicit_padding:
        raise errors.ConfigError(
            f"feature_extractor.use_explicit_padding: {config.type} takes "
            "only false, got true"
        )
    for field in ("use_depthwise", "min_depth"):
        default = config.DESCRIPTOR.fields_by_name[field].default_value
        if getattr(config, field) != default:
            logging.warning(
                "feature_extractor.%s: has no effect on %s",
                field,
                config.type,
            )
    backbone_hyperparams = hyperparams
    if not config.override_base_feature_extractor_hyperparams:
        backbone_hyperparams = resnet_v1.default_hyperparams(
            trains_default_batch_norm
        )
    return resnet_v1_fpn.SSDResnetV1FpnFeatureExtractor(
        _RESNET_LAYERS[config.type],
        hyperparams,
        backbone_hyperparams,
        **arguments,
    )


def _build_mobilenet_v1_fpn(
    config: ssd_pb2.SsdFeatureExtractor,
    hyperparams: hyperparams_lib.ConvHyperparams,
    trains_default_batch_norm: bool,
    **arguments: int | conv_layers.DTypePolicy,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    backbone_hyperparams = hyperparams
    if not config.override_base_feature_extractor_hyperparams:
        backbone_hyperparams = mobilenet_v1.default_hyperparams(
            trains_default_batch_norm
        )
    return mobilenet_v1_fpn.SSDMobileNetV1FpnFeatureExtractor(
        hyperparams,
        backbone_hyperparams,
        depth_multiplier=config.depth_multiplier,
        min_depth=config.min_depth,
        use_depthwise=config.use_depthwise,
        use_explicit_padding=config.use_explicit_padding,
        **arguments,
    )
