"""Builds the SSD feature extractor that a config's `type` names."""

import functools
from collections.abc import Callable

from object_detection.builders import (
    hyperparams_builder,
    image_normalization_builder,
)
from object_detection.builders.extractor_kind import PATH, Kind, Layers
from object_detection.core import conv_layers, errors
from object_detection.models import (
    ssd300_mobilenet_v2_feature_extractor as ssd300_mobilenet_v2,
)
from object_detection.models import (
    ssd300_resnet_feature_extractor as ssd300_resnet,
)
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
from object_detection.models import ssd_vgg16_feature_extractor as ssd_vgg16
from object_detection.protos import ssd_pb2
from object_detection.utils import config_hints
from slim.nets import (
    mobilenet_v1,
    mobilenet_v2,
    pnasnet,
    resnet_v1,
    resnet_v1_5,
)


def _given_to_the_last_layer(
    build: Callable[
        [ssd_feature_extractor.ExtractorOptions],
        ssd_feature_extractor.SSDFeatureExtractor,
    ],
    layers: Layers,
    uses_depthwise: bool = False,
) -> Kind:
    """Returns a type of which a config says only what governs its layers.

    These are initialised, regularised and normalised as it says.
    """
    return Kind(
        build,
        default_hyperparams=None,
        layers=layers,
        only={
            "depth_multiplier": 1.0,
            "min_depth": 16,
            "pad_to_multiple": 1,
            "use_depthwise": uses_depthwise,
            "use_explicit_padding": False,
        },
    )


# The one place where an extractor is registered.
_KINDS = {
    "ssd_mobilenet_v1": Kind(
        ssd_mobilenet_v1.build, mobilenet_v1.default_hyperparams
    ),
    "embedded_ssd_mobilenet_v1": Kind(
        ssd_mobilenet_v1.build_embedded,
        mobilenet_v1.default_hyperparams,
        only={"pad_to_multiple": 1},
    ),
    "ssd_mobilenet_v1_fpn": Kind(
        ssd_mobilenet_v1_fpn.build,
        mobilenet_v1.default_hyperparams,
        has_pyramid=True,
    ),
    "ssd_mobilenet_v1_ppn": Kind(
        ssd_mobilenet_v1.build_with_pooling,
        mobilenet_v1.default_hyperparams,
        ignored=("use_depthwise",),
    ),
    "ssd_mobilenet_v2": Kind(
        ssd_mobilenet_v2.build,
        mobilenet_v2.default_hyperparams,
        mobilenet_v2.overridden_hyperparams,
    ),
    "ssd_mobilenet_v2_fpn": Kind(
        ssd_mobilenet_v2_fpn.build,
        mobilenet_v2.default_hyperparams,
        mobilenet_v2.overridden_hyperparams,
        has_pyramid=True,
    ),
    # Keras' variant takes all that a config overrides.
    "ssd_mobilenet_v2_keras": Kind(
        ssd_mobilenet_v2.build, mobilenet_v2.default_hyperparams
    ),
    "ssd_inception_v2": Kind(ssd_inception.build_v2, default_hyperparams=None),
    "ssd_inception_v3": Kind(ssd_inception.build_v3, default_hyperparams=None),
    "ssd_pnasnet": Kind(
        ssd_pnasnet.build,
        pnasnet.default_hyperparams,
        # A config's would give each convolution a second normalisation.
        only={"override_base_feature_extractor_hyperparams": False},
        starts_from_averages=True,
    ),
    **{
        f"ssd_resnet{num_layers}_v1_fpn": Kind(
            functools.partial(ssd_resnet_v1_fpn.build, num_layers),
            resnet_v1.default_hyperparams,
            has_pyramid=True,
            only={"depth_multiplier": 1.0, "use_explicit_padding": False},
            ignored=("min_depth", "use_depthwise"),
        )
        for num_layers in resnet_v1.NUM_UNITS_PER_BLOCK
    },
    **{
        f"ssd_resnet{num_layers}_v1_ppn": Kind(
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
    "ssd300_vgg16": _given_to_the_last_layer(
        ssd_vgg16.build_300, Layers("RELU", has_norms=False)
    ),
    "ssd512_vgg16": _given_to_the_last_layer(
        ssd_vgg16.build_512, Layers("RELU", has_norms=False)
    ),
    **{
        f"ssd300_resnet{num_layers}": _given_to_the_last_layer(
            functools.partial(ssd300_resnet.build, num_layers),
            Layers("RELU", has_norms=True),
        )
        for num_layers in resnet_v1_5.NUM_UNITS_PER_BLOCK
    },
    "ssd300_mobilenet_v2": _given_to_the_last_layer(
        ssd300_mobilenet_v2.build,
        Layers("RELU_6", has_norms=True),
        uses_depthwise=True,
    ),
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
            f"{PATH}.type: unknown {config.type!r}; "
            f"{config_hints.nearest_name(config.type, types())}"
        )
    kind = _KINDS[config.type]
    kind.check(config)
    trains_batch_norm = is_training and not enforce_freeze_batchnorm
    hyperparams = hyperparams_builder.build(
        config.conv_hyperparams, trains_batch_norm, f"{PATH}.conv_hyperparams"
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
    extractor = kind.build(
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
    extractor.preprocess = image_normalization_builder.build(
        config, in_channels, extractor.preprocess, PATH
    )
    return extractor
