"""Builds the SSD feature extractor that a config's `type` names."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging

from object_detection.builders import hyperparams_builder
from object_detection.core import conv_layers, errors
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import ssd_feature_extractor
from object_detection.models import (
    ssd_inception_feature_extractor as ssd_inception,
)
from object_detection.models import (
    ssd_mobilenet_v1_feature_extractor as ssd_mobilenet_v1,
)
from object_detection.models import (
    ssd_mobilenet_v1_fpn_feature_extractor as ssd_mobilenet_v1_fpn,
)
from object_detection.models import (
    ssd_mobilenet_v2_feature_extractor as ssd_mobilenet_v2,
)
from object_detection.models import (
    ssd_mobilenet_v2_fpn_feature_extractor as ssd_mobilenet_v2_fpn,
)
from object_detection.models import (
    ssd_pnasnet_feature_extractor as ssd_pnasnet,
)
from object_detection.models import (
    ssd_resnet_v1_fpn_feature_extractor as ssd_resnet_v1_fpn,
)
from object_detection.models import (
    ssd_resnet_v1_ppn_feature_extractor as ssd_resnet_v1_ppn,
)
from object_detection.protos import ssd_pb2
from object_detection.utils import config_hints
from slim.nets import mobilenet_v1, mobilenet_v2, pnasnet, resnet_v1

_PATH = "model.ssd.feature_extractor"


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What one `type` is made by, and which fields it takes.

    Attributes:
        build: makes the extractor.
        default_hyperparams: whether normalisations train -> the backbone's
            own hyperparameters; None where those of the config are a must.
        override: makes the backbone's hyperparameters of its own and the
            config's, where override_base_feature_extractor_hyperparams is
            true.
        has_pyramid: whether it takes `fpn`.
        only: field -> the one value that it may have.
        ignored: fields that it does not use.
        starts_from_averages: whether the moving averages in the backbone's
            own checkpoint are the weights to start from.
    """

    build: Callable[
        [ssd_feature_extractor.ExtractorOptions],
        ssd_feature_extractor.SSDFeatureExtractor,
    ]
    default_hyperparams: (
        Callable[[bool], hyperparams_lib.ConvHyperparams] | None
    )
    override: Callable[
        [hyperparams_lib.ConvHyperparams, hyperparams_lib.ConvHyperparams],
        hyperparams_lib.ConvHyperparams,
    ] = lambda own, config: config
    has_pyramid: bool = False
    only: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ignored: Sequence[str] = ()
    starts_from_averages: bool = False


# The one place where an extractor is registered.
_KINDS = {
    "ssd_mobilenet_v1": _Kind(
        ssd_mobilenet_v1.build, mobilenet_v1.default_hyperparams
    ),
    "embedded_ssd_mobilenet_v1": _Kind(
        ssd_mobilenet_v1.build_embedded,
        mobilenet_v1.default_hyperparams,
        only={"pad_to_multiple": 1},
    ),
    "ssd_mobilenet_v1_fpn": _Kind(
        ssd_mobilenet_v1_fpn.build,
        mobilenet_v1.default_hyperparams,
        has_pyramid=True,
    ),
    "ssd_mobilenet_v1_ppn": _Kind(
        ssd_mobilenet_v1.build_with_pooling,
        mobilenet_v1.default_hyperparams,
        ignored=("use_depthwise",),
    ),
    "ssd_mobilenet_v2": _Kind(
        ssd_mobilenet_v2.build,
        mobilenet_v2.default_hyperparams,
        mobilenet_v2.overridden_hyperparams,
    ),
    "ssd_mobilenet_v2_fpn": _Kind(
        ssd_mobilenet_v2_fpn.build,
        mobilenet_v2.default_hyperparams,
        mobilenet_v2.overridden_hyperparams,
        has_pyramid=True,
    ),
    # Keras' variant takes all that a config overrides.
    "ssd_mobilenet_v2_keras": _Kind(
        ssd_mobilenet_v2.build, mobilenet_v2.default_hyperparams
    ),
    "ssd_inception_v2": _Kind(ssd_inception.build_v2, default_hyperparams=None),
    "ssd_inception_v3": _Kind(ssd_inception.build_v3, default_hyperparams=None),
    "ssd_pnasnet": _Kind(
        ssd_pnasnet.build,
        pnasnet.default_hyperparams,
        # A config's would give each convolution a second normalisation.
        only={"override_base_feature_extractor_hyperparams": False},
        starts_from_averages=True,
    ),
    **{
        f"ssd_resnet{num_layers}_v1_fpn": _Kind(
            functools.partial(ssd_resnet_v1_fpn.build, num_layers),
            resnet_v1.default_hyperparams,
            has_pyramid=True,
            only={"depth_multiplier": 1.0, "use_explicit_padding": False},
            ignored=("min_depth", "use_depthwise"),
        )
        for num_layers in resnet_v1.NUM_UNITS_PER_BLOCK
    },
    **{
        f"ssd_resnet{num_layers}_v1_ppn": _Kind(
            functools.partial(ssd_resnet_v1_ppn.build, num_layers),
            resnet_v1.default_hyperparams,
            ignored=(
                "depth_multiplier",
                "min_depth",
                "use_depthwise",
                "use_explicit_padding",
            ),
        )
        for num_layers in resnet_v1.NUM_UNITS_PER_BLOCK
    },
}


def types() -> list[str]:
    """Returns every value that `type` may have."""
    return sorted(_KINDS)


def starts_from_averages(extractor_type: str) -> bool:
    """Returns whether the averages in a backbone's checkpoint are to be used.

    Else the weights themselves are. An unknown type has none; `build` says so.
    """
    kind = _KINDS.get(extractor_type)
    return kind is not None and kind.starts_from_averages


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
    if config.type not in _KINDS:
        raise errors.ConfigError(
            f"{_PATH}.type: unknown {config.type!r}; "
            f"{config_hints.nearest_name(config.type, types())}"
        )
    kind = _KINDS[config.type]
    _check_ranges(config)
    _check_kind(config, kind)
    trains_batch_norm = is_training and not enforce_freeze_batchnorm
    hyperparams = hyperparams_builder.build(
        config.conv_hyperparams, trains_batch_norm, f"{_PATH}.conv_hyperparams"
    )
    backbone_hyperparams = hyperparams
    if kind.default_hyperparams is not None:
        backbone_hyperparams = kind.default_hyperparams(
            trains_batch_norm and not freeze_batchnorm
        )
        if config.override_base_feature_extractor_hyperparams:
            backbone_hyperparams = kind.override(
                backbone_hyperparams, hyperparams
            )
    return kind.build(
        ssd_feature_extractor.ExtractorOptions(
            hyperparams=hyperparams,
            backbone_hyperparams=backbone_hyperparams,
            depth_multiplier=config.depth_multiplier,
            min_depth=config.min_depth,
            use_depthwise=config.use_depthwise,
            use_explicit_padding=config.use_explicit_padding,
            pad_to_multiple=config.pad_to_multiple,
            in_channels=in_channels,
            min_level=config.fpn.min_level,
            max_level=config.fpn.max_level,
            additional_layer_depth=config.fpn.additional_layer_depth,
            dtype=dtype_policy,
        )
    )


def _check_kind(config: ssd_pb2.SsdFeatureExtractor, kind: _Kind) -> None:
    """Refuses or warns about the fields that the type does not take."""
    if config.HasField("fpn") and not kind.has_pyramid:
        raise errors.ConfigError(
            f"{_PATH}.fpn: {config.type} has no feature pyramid; remove the "
            "block or use a type that ends in _fpn"
        )
    if (
        kind.default_hyperparams is None
        and not config.override_base_feature_extractor_hyperparams
    ):
        raise errors.ConfigError(
            f"{_PATH}.override_base_feature_extractor_hyperparams: "
            f"{config.type} takes only true, got false"
        )
    for field, value in kind.only.items():
        if getattr(config, field) != value:
            raise errors.ConfigError(
                f"{_PATH}.{field}: {config.type} takes only "
                f"{str(value).lower()}, got "
                f"{str(getattr(config, field)).lower()}"
            )
    for field in kind.ignored:
        default = config.DESCRIPTOR.fields_by_name[field].default_value
        if getattr(config, field) != default:
            logging.warning(
                "%s.%s: has no effect on %s", _PATH, field, config.type
            )


def _check_ranges(config: ssd_pb2.SsdFeatureExtractor) -> None:
    if config.conv_hyperparams.HasField("group_norm"):
        raise errors.ConfigError(
            f"{_PATH}.conv_hyperparams.group_norm: not supported; "
            "use batch_norm"
        )
    for field in ("pad_to_multiple", "min_depth"):
        if getattr(config, field) < 1:
            raise errors.ConfigError(
                f"{_PATH}.{field}: expected at least 1, got "
                f"{getattr(config, field)}"
            )
    if config.depth_multiplier <= 0:
        raise errors.ConfigError(
            f"{_PATH}.depth_multiplier: expected more than 0, got "
            f"{config.depth_multiplier:g}"
        )
    fpn = config.fpn
    if not 2 <= fpn.min_level <= min(fpn.max_level, 5):
        raise errors.ConfigError(
            f"{_PATH}.fpn: expected min_level from 2 to 5 and "
            f"max_level not below it, got {fpn.min_level} and {fpn.max_level}"
        )
    if fpn.additional_layer_depth < 1:
        raise errors.ConfigError(
            f"{_PATH}.fpn.additional_layer_depth: expected at least "
            f"1, got {fpn.additional_layer_depth}"
        )
