"""Builds the detector that a config describes."""

import keras

from object_detection.builders import (
    anchor_generator_builder,
    box_coder_builder,
    box_predictor_builder,
    feature_extractor_builder,
    graph_rewriter_builder,
    image_resizer_builder,
    losses_builder,
    matcher_builder,
    oneof,
    post_processing_builder,
    region_similarity_calculator_builder,
)
from object_detection.core import errors, quantization, target_assigner
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.models import ssd_feature_extractor
from object_detection.protos import (
    graph_rewriter_pb2,
    image_resizer_pb2,
    model_pb2,
    ssd_pb2,
)


def build(
    model_config: model_pb2.DetectionModel,
    is_training: bool,
    dtype_policy: str | keras.DTypePolicy = "float32",
    num_additional_channels: int = 0,
    graph_rewriter_config: graph_rewriter_pb2.GraphRewriter | None = None,
) -> ssd_meta_arch.SSDMetaArch:
    """Builds the detector, with all its variables.

    Args:
        model_config: the `model` message of a pipeline config.
        is_training: whether it will be trained; else every normalisation is
            frozen.
        dtype_policy: Keras dtype policy of the networks; variables, losses
            and detections are float32 under all of them.
        num_additional_channels: channels of the images beside their colours,
            as the input readers have it.
        graph_rewriter_config: the `graph_rewriter` message, if there is one.

    Raises:
        errors.ConfigError: a part, field or combination that is not
            supported, named by its path.
    """
    oneof.require(model_config, "model", "model", ["ssd"])
    config = model_config.ssd
    _check(config)
    # The networks come last: what is wrong elsewhere shows at once.
    anchor_generator = anchor_generator_builder.build(config.anchor_generator)
    image_resizer = image_resizer_builder.build(
        config.image_resizer, num_additional_channels
    )
    num_image_channels = (
        _num_colour_channels(config.image_resizer) + num_additional_channels
    )
    assigner = _build_target_assigner(config)
    _check_code_size(config, assigner.box_coder.code_size)
    detection_loss = losses_builder.build(
        config.loss,
        normalize_by_num_matches=config.normalize_loss_by_num_matches,
        normalize_by_code_size=config.normalize_loc_loss_by_codesize,
    )
    post_processor = post_processing_builder.build(
        config.post_processing,
        has_background_column=_has_background_column(config),
    )
    quantization_settings = None
    if graph_rewriter_config is not None:
        quantization_settings = graph_rewriter_builder.build(
            graph_rewriter_config
        )
    feature_extractor, box_predictor = _build_networks(
        config,
        is_training,
        num_image_channels=num_image_channels,
        image_size_px=image_resizer.static_size_px,
        anchor_generator=anchor_generator,
        dtype_policy=dtype_policy,
    )
    if quantization_settings is not None:
        quantization.enable(
            quantization_settings, feature_extractor, box_predictor
        )
    return ssd_meta_arch.SSDMetaArch(
        num_classes=config.num_classes,
        is_training=is_training,
        image_resizer=image_resizer,
        num_image_channels=num_image_channels,
        feature_extractor=feature_extractor,
        box_predictor=box_predictor,
        anchor_generator=anchor_generator,
        target_assigner=assigner,
        detection_loss=detection_loss,
        post_processor=post_processor,
        background_class_last=config.background_class_last,
    )


def _build_networks(
    config: ssd_pb2.Ssd,
    is_training: bool,
    *,
    num_image_channels: int,
    image_size_px: tuple[int, int] | None,
    anchor_generator: ssd_meta_arch.AnchorGenerator,
    dtype_policy: str | keras.DTypePolicy,
) -> tuple[
    ssd_feature_extractor.SSDFeatureExtractor,
    keras.layers.Layer,
]:
    feature_extractor = feature_extractor_builder.build(
        config.feature_extractor,
        is_training,
        freeze_batchnorm=config.freeze_batchnorm,
        enforce_freeze_batchnorm=config.enforce_freeze_batchnorm,
        in_channels=num_image_channels,
        dtype_policy=dtype_policy,
    )
    _check_maps(
        config,
        feature_extractor,
        image_size_px,
        len(anchor_generator.num_anchors_per_location),
    )
    box_predictor = box_predictor_builder.build(
        config.box_predictor,
        is_training,
        num_channels=feature_extractor.feature_map_channels,
        num_anchors_per_location=anchor_generator.num_anchors_per_location,
        num_class_slots=_num_class_slots(config),
        is_shape_major=anchor_generator.is_shape_major,
        enforce_freeze_batchnorm=config.enforce_freeze_batchnorm,
        dtype_policy=dtype_policy,
    )
    return feature_extractor, box_predictor


def _num_class_slots(config: ssd_pb2.Ssd) -> int:
    return config.num_classes + config.add_background_class


def _has_background_column(config: ssd_pb2.Ssd) -> bool:
    return config.add_background_class or config.explicit_background_class


def _check_maps(
    config: ssd_pb2.Ssd,
    feature_extractor: ssd_feature_extractor.SSDFeatureExtractor,
    image_size_px: tuple[int, int] | None,
    num_anchor_maps: int,
) -> None:
    """Refuses images or anchors that do not suit the feature extractor."""
    if image_size_px is not None:
        try:
            feature_extractor.check_image_size(image_size_px)
        except ValueError as error:
            raise errors.ConfigError(
                f"model.ssd.image_resizer: {config.feature_extractor.type}: "
                f"{error}"
            ) from error
    num_maps = len(feature_extractor.feature_map_channels)
    if num_maps != num_anchor_maps:
        raise errors.ConfigError(
            "model.ssd.anchor_generator: makes anchors for "
            f"{num_anchor_maps} feature maps, but "
            f"model.ssd.feature_extractor {config.feature_extractor.type} has "
            f"{num_maps}; give both the same levels or num_layers"
        )


def _check_code_size(config: ssd_pb2.Ssd, code_size: int) -> None:
    predictor = box_predictor_builder.kind(config.box_predictor)
    found = getattr(config.box_predictor, predictor).box_code_size
    if found != code_size:
        coder = config.box_coder.WhichOneof("box_coder_oneof")
        raise errors.ConfigError(
            f"model.ssd.box_predictor.{predictor}.box_code_size: model.ssd."
            f"box_coder.{coder} makes codes of size {code_size}, got {found}; "
            f"set it to {code_size}"
        )


def _num_colour_channels(config: image_resizer_pb2.ImageResizer) -> int:
    kind = config.WhichOneof("image_resizer_oneof")
    return 1 if kind and getattr(config, kind).convert_to_grayscale else 3


def _build_target_assigner(
    config: ssd_pb2.Ssd,
) -> target_assigner.TargetAssigner:
    background = 0.0 if config.encode_background_as_zeros else 1.0
    return target_assigner.TargetAssigner(
        similarity=region_similarity_calculator_builder.build(
            config.similarity_calculator
        ),
        matcher=matcher_builder.build(
            config.matcher,
            region_similarity_calculator_builder.disjoint_similarity(
                config.similarity_calculator
            ),
        ),
        box_coder=box_coder_builder.build(config.box_coder),
        unmatched_class_label=(
            background,
            *[0.0] * (_num_class_slots(config) - 1),
        ),
        negative_class_weight=config.negative_class_weight,
        implicit_example_weight=(
            config.implicit_example_weight
            if config.use_confidences_as_targets
            else None
        ),
        has_background_column=_has_background_column(config),
    )


def _check(config: ssd_pb2.Ssd) -> None:
    if config.num_classes < 1:
        raise errors.ConfigError(
            "model.ssd.num_classes: must be at least 1, got "
            f"{config.num_classes}"
        )
    if config.add_background_class and config.explicit_background_class:
        raise errors.ConfigError(
            "model.ssd.explicit_background_class: true needs "
            "model.ssd.add_background_class: false, got true, its default"
        )
    if config.background_class_last and not _has_background_column(config):
        raise errors.ConfigError(
            "model.ssd.background_class_last: true needs a background; set "
            "model.ssd.add_background_class or "
            "model.ssd.explicit_background_class: true, got false for both"
        )
