"""The types of SSD feature extractors, and which fields each takes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging

from object_detection.core import errors
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import ssd_feature_extractor
from object_detection.protos import hyperparams_pb2, ssd_pb2

PATH = "model.ssd.feature_extractor"
_HYPERPARAMS = f"{PATH}.conv_hyperparams"


@dataclasses.dataclass(frozen=True)
class Layers:
    """What the layers of a network are, whatever a config says.

    Attributes:
        activation: name in `Hyperparams.Activation`.
        has_norms: whether they are normalised, with scale and offset; else
            they have biases.
    """

    activation: str
    has_norms: bool

    def check(
        self, config: hyperparams_pb2.Hyperparams, extractor_type: str
    ) -> None:
        """Refuses what would make other layers.

        Raises:
            errors.ConfigError: names the field.
        """
        activation = hyperparams_pb2.Hyperparams.Activation.Name(
            config.activation
        )
        if activation != self.activation:
            raise errors.ConfigError(
                f"{_HYPERPARAMS}.activation: {extractor_type} takes only "
                f"{self.activation}, got {activation}"
            )
        if config.HasField("batch_norm") != self.has_norms:
            advice = "has biases instead; remove it"
            if self.has_norms:
                advice = "needs it, got none; add batch_norm { scale: true }"
            raise errors.ConfigError(
                f"{_HYPERPARAMS}.batch_norm: {extractor_type} {advice}"
            )
        for field in ("center", "scale") if self.has_norms else ():
            if not getattr(config.batch_norm, field):
                raise errors.ConfigError(
                    f"{_HYPERPARAMS}.batch_norm.{field}: {extractor_type} "
                    "takes only true, got false"
                )


@dataclasses.dataclass(frozen=True)
class Kind:
    """What one `type` is made by, and which fields it takes.

    Attributes:
        build: makes the extractor.
        default_hyperparams: whether normalisations train -> the backbone's
            own hyperparameters; None where those of the config are a must.
        override: makes the backbone's hyperparameters of its own and the
            config's, where override_base_feature_extractor_hyperparams is
            true.
        has_pyramid: whether it takes `fpn`.
        layers: what all its layers are; None where a config decides.
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
    layers: Layers | None = None
    only: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ignored: Sequence[str] = ()
    starts_from_averages: bool = False

    def check(self, config: ssd_pb2.SsdFeatureExtractor) -> None:
        """Refuses or warns about the fields that the type does not take.

        Raises:
            errors.ConfigError: names the field.
        """
        _check_ranges(config)
        _check_kind(config, self)
        if self.layers is not None:
            self.layers.check(config.conv_hyperparams, config.type)


def _check_kind(config: ssd_pb2.SsdFeatureExtractor, kind: Kind) -> None:
    """Refuses or warns about the fields that the type does not take."""
    if config.HasField("fpn") and not kind.has_pyramid:
        raise errors.ConfigError(
            f"{PATH}.fpn: {config.type} has no feature pyramid; remove the "
            "block or use a type that ends in _fpn"
        )
    if (
        kind.default_hyperparams is None
        and not config.override_base_feature_extractor_hyperparams
    ):
        raise errors.ConfigError(
            f"{PATH}.override_base_feature_extractor_hyperparams: "
            f"{config.type} takes only true, got false"
        )
    for field, value in kind.only.items():
        if getattr(config, field) != value:
            raise errors.ConfigError(
                f"{PATH}.{field}: {config.type} takes only "
                f"{str(value).lower()}, got "
                f"{str(getattr(config, field)).lower()}"
            )
    for field in kind.ignored:
        default = config.DESCRIPTOR.fields_by_name[field].default_value
        if getattr(config, field) != default:
            logging.warning(
                "%s.%s: has no effect on %s", PATH, field, config.type
            )


def _check_ranges(config: ssd_pb2.SsdFeatureExtractor) -> None:
    if config.conv_hyperparams.HasField("group_norm"):
        raise errors.ConfigError(
            f"{_HYPERPARAMS}.group_norm: not supported; use batch_norm"
        )
    for field in ("pad_to_multiple", "min_depth"):
        if getattr(config, field) < 1:
            raise errors.ConfigError(
                f"{PATH}.{field}: expected at least 1, got "
                f"{getattr(config, field)}"
            )
    if config.depth_multiplier <= 0:
        raise errors.ConfigError(
            f"{PATH}.depth_multiplier: expected more than 0, got "
            f"{config.depth_multiplier:g}"
        )
    fpn = config.fpn
    if not 2 <= fpn.min_level <= min(fpn.max_level, 5):
        raise errors.ConfigError(
            f"{PATH}.fpn: expected min_level from 2 to 5 and "
            f"max_level not below it, got {fpn.min_level} and {fpn.max_level}"
        )
    if fpn.additional_layer_depth < 1:
        raise errors.ConfigError(
            f"{PATH}.fpn.additional_layer_depth: expected at least "
            f"1, got {fpn.additional_layer_depth}"
        )
