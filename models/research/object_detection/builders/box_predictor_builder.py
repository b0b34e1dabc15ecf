"""Builds the box predictor that a config names."""

import functools
from collections.abc import Mapping, Sequence

import keras
from absl import logging
from google.protobuf import message

from object_detection.builders import hyperparams_builder, oneof
from object_detection.core import conv_layers, errors
from object_detection.predictors import (
    convolutional_box_predictor as convolutional,
)
from object_detection.predictors import (
    weight_shared_convolutional_box_predictor as weight_shared,
)
from object_detection.protos import box_predictor_pb2, hyperparams_pb2

_PATH = "model.ssd.box_predictor"
_CONVOLUTIONAL = f"{_PATH}.convolutional_box_predictor"
_WEIGHT_SHARED = f"{_PATH}.weight_shared_convolutional_box_predictor"


def kind(config: box_predictor_pb2.BoxPredictor) -> str:
    """Returns the field of the predictor that a config names.

    Raises:
        errors.ConfigError: none, or one that is not supported.
    """
    supported = [
        path.removeprefix(f"{_PATH}.")
        for path in (_CONVOLUTIONAL, _WEIGHT_SHARED)
    ]
    return oneof.require(config, "box_predictor_oneof", _PATH, supported)


def build(
    config: box_predictor_pb2.BoxPredictor,
    is_training: bool,
    *,
    num_channels: Sequence[int],
    num_anchors_per_location: Sequence[int],
    num_class_slots: int,
    is_shape_major: bool = False,
    enforce_freeze_batchnorm: bool = False,
    dtype_policy: conv_layers.DTypePolicy = None,
) -> keras.layers.Layer:
    """Builds the box predictor, with all its variables.

    Args:
        config: the `box_predictor` message.
        is_training: False freezes every normalisation.
        num_channels: channels of each feature map, finest first.
        num_anchors_per_location: for each feature map.
        num_class_slots: columns of the class predictions.
        is_shape_major: the order of the anchors of a map; see
            `predictors.rows`.
        enforce_freeze_batchnorm: freezes every normalisation.
        dtype_policy: Keras dtype policy.

    Raises:
        errors.ConfigError: a kind or field that is not supported.
    """
    field = kind(config)
    if field == "convolutional_box_predictor":
        make = functools.partial(
            convolutional.ConvolutionalBoxPredictor,
            options=_convolutional_options(config.convolutional_box_predictor),
            is_shape_major=is_shape_major,
        )
    else:
        shared = config.weight_shared_convolutional_box_predictor
        _check_order(is_shape_major)
        _check_equal_numbers_of_anchors(num_anchors_per_location)
        make = functools.partial(
            weight_shared.WeightSharedConvolutionalBoxPredictor,
            options=_weight_shared_options(shared),
        )
    return make(
        num_channels,
        num_anchors_per_location,
        num_class_slots,
        hyperparams_builder.build(
            getattr(config, field).conv_hyperparams,
            is_training and not enforce_freeze_batchnorm,
            f"{_PATH}.{field}.conv_hyperparams",
        ),
        dtype=dtype_policy,
    )


def _convolutional_options(
    config: box_predictor_pb2.ConvolutionalBoxPredictor,
) -> convolutional.Options:
    least_values = {
        "num_layers_before_predictor": 0,
        "min_depth": 0,
        "max_depth": 0,
        "kernel_size": 1,
        "box_code_size": 1,
    }
    _check_least(config, _CONVOLUTIONAL, least_values)
    if config.use_depthwise and config.class_prediction_bias_init:
        logging.warning(
            "%s.class_prediction_bias_init: has no effect with "
            "use_depthwise: true, as in the original; the biases start at 0",
            _CONVOLUTIONAL,
        )
    if config.apply_sigmoid_to_scores:
        logging.warning(
            "%s.apply_sigmoid_to_scores: true also holds in training, as in "
            "the original, where the classification loss takes the scores for "
            "logits",
            _CONVOLUTIONAL,
        )
    _check_group_norm(config)
    return convolutional.Options(
        num_layers_before_predictor=config.num_layers_before_predictor,
        min_depth=config.min_depth,
        max_depth=config.max_depth,
        kernel_size=config.kernel_size,
        box_code_size=config.box_code_size,
        class_prediction_bias_init=config.class_prediction_bias_init,
        dropout_rate=_dropout_rate(config, _CONVOLUTIONAL),
        use_depthwise=config.use_depthwise,
        applies_sigmoid_to_scores=config.apply_sigmoid_to_scores,
    )


def _check_group_norm(
    config: box_predictor_pb2.ConvolutionalBoxPredictor,
) -> None:
    has_layers = config.use_depthwise or (
        config.num_layers_before_predictor
        and max(config.min_depth, config.max_depth)
    )
    if has_layers and config.conv_hyperparams.HasField("group_norm"):
        raise errors.ConfigError(
            f"{_CONVOLUTIONAL}.conv_hyperparams.group_norm: not supported; "
            "use batch_norm"
        )


def _weight_shared_options(
    config: box_predictor_pb2.WeightSharedConvolutionalBoxPredictor,
) -> weight_shared.Options:
    least_values = {
        "num_layers_before_predictor": 0,
        "depth": 1 if config.num_layers_before_predictor else 0,
        "kernel_size": 1,
        "box_code_size": 1,
    }
    _check_least(config, _WEIGHT_SHARED, least_values)
    _warn_of_fields_without_effect(config.conv_hyperparams)
    clip_range = None
    if config.HasField("box_encodings_clip_range"):
        limits = config.box_encodings_clip_range
        clip_range = (limits.min, limits.max)
        if limits.min > limits.max:
            raise errors.ConfigError(
                f"{_WEIGHT_SHARED}.box_encodings_clip_range: expected min at "
                f"most max, got {limits.min:g} and {limits.max:g}"
            )
    return weight_shared.Options(
        depth=config.depth,
        num_layers_before_predictor=config.num_layers_before_predictor,
        kernel_size=config.kernel_size,
        box_code_size=config.box_code_size,
        class_prediction_bias_init=config.class_prediction_bias_init,
        dropout_rate=_dropout_rate(config, _WEIGHT_SHARED),
        share_prediction_tower=config.share_prediction_tower,
        use_depthwise=config.use_depthwise,
        converts_scores_to_sigmoid=config.score_converter == config.SIGMOID,
        box_encodings_clip_range=clip_range,
    )


def _check_order(is_shape_major: bool) -> None:
    if is_shape_major:
        raise errors.ConfigError(
            f"{_WEIGHT_SHARED}: predicts by cell, but model.ssd."
            "anchor_generator.default_box_generator.box_order is SHAPE_MAJOR; "
            "make it CELL_MAJOR or use convolutional_box_predictor"
        )


def _check_equal_numbers_of_anchors(
    num_anchors_per_location: Sequence[int],
) -> None:
    if len(set(num_anchors_per_location)) != 1:
        raise errors.ConfigError(
            f"{_WEIGHT_SHARED}: expected the same number of anchors per "
            "location on all feature maps, got "
            f"{list(num_anchors_per_location)} from model.ssd."
            "anchor_generator; make them equal (in ssd_anchor_generator, "
            "reduce_boxes_in_lowest_layer: false) or use "
            "convolutional_box_predictor"
        )


def _warn_of_fields_without_effect(
    hyperparams: hyperparams_pb2.Hyperparams,
) -> None:
    if hyperparams.HasField("group_norm"):
        logging.warning(
            "%s.conv_hyperparams.group_norm: has no effect, as in the "
            "original; the convolutions have biases",
            _WEIGHT_SHARED,
        )
    if hyperparams.activation != hyperparams_pb2.Hyperparams.RELU_6:
        logging.warning(
            "%s.conv_hyperparams.activation: has no effect, as in the "
            "original; the towers use RELU_6",
            _WEIGHT_SHARED,
        )


def _check_least(
    config: message.Message, path: str, least_values: Mapping[str, int]
) -> None:
    for field, least in least_values.items():
        if getattr(config, field) < least:
            raise errors.ConfigError(
                f"{path}.{field}: expected at least {least}, got "
                f"{getattr(config, field)}"
            )


def _dropout_rate(
    config: box_predictor_pb2.ConvolutionalBoxPredictor
    | box_predictor_pb2.WeightSharedConvolutionalBoxPredictor,
    path: str,
) -> float:
    keep = config.dropout_keep_probability
    if not config.use_dropout:
        return 0.0
    if not 0 < keep <= 1:
        raise errors.ConfigError(
            f"{path}.dropout_keep_probability: expected more than 0 and at "
            f"most 1, got {keep:g}"
        )
    return 1.0 - keep
