"""Builds the box predictor that a config names."""

from collections.abc import Sequence

import keras
from absl import logging

from object_detection.builders import hyperparams_builder, oneof
from object_detection.core import conv_layers, errors
from object_detection.predictors import (
    weight_shared_convolutional_box_predictor as weight_shared,
)
from object_detection.protos import box_predictor_pb2, hyperparams_pb2

_KIND = "weight_shared_convolutional_box_predictor"


def build(
    config: box_predictor_pb2.BoxPredictor,
    is_training: bool,
    *,
    num_channels: Sequence[int],
    num_anchors_per_location: Sequence[int],
    num_class_slots: int,
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
        enforce_freeze_batchnorm: freezes every normalisation.
        dtype_policy: Keras dtype policy.

    Raises:
        errors.ConfigError: a kind or field that is not supported.
    """
    oneof.require(
        config, "box_predictor_oneof", "model.ssd.box_predictor", [_KIND]
    )
    shared = config.weight_shared_convolutional_box_predictor
    if len(set(num_anchors_per_location)) != 1:
        raise errors.ConfigError(
            f"box_predictor: {_KIND} needs the same number of anchors per "
            "location on all feature maps, got "
            f"{list(num_anchors_per_location)}; change anchor_generator"
        )
    _check(shared)
    clip_range = None
    if shared.HasField("box_encodings_clip_range"):
        limits = shared.box_encodings_clip_range
        clip_range = (limits.min, limits.max)
    converts_scores = shared.score_converter == shared.SIGMOID
    keep = shared.dropout_keep_probability
    return weight_shared.WeightSharedConvolutionalBoxPredictor(
        num_channels,
        num_anchors_per_location,
        num_class_slots,
        hyperparams_builder.build(
            shared.conv_hyperparams,
            is_training and not enforce_freeze_batchnorm,
        ),
        depth=shared.depth,
        num_layers_before_predictor=shared.num_layers_before_predictor,
        kernel_size=shared.kernel_size,
        box_code_size=shared.box_code_size,
        class_prediction_bias_init=shared.class_prediction_bias_init,
        dropout_rate=1.0 - keep if shared.use_dropout else 0.0,
        share_prediction_tower=shared.share_prediction_tower,
        use_depthwise=shared.use_depthwise,
        converts_scores_to_sigmoid=converts_scores,
        box_encodings_clip_range=clip_range,
        dtype=dtype_policy,
    )


def _check(
    config: box_predictor_pb2.WeightSharedConvolutionalBoxPredictor,
) -> None:
    least_values = {
        "num_layers_before_predictor": 0,
        "depth": 1 if config.num_layers_before_predictor else 0,
        "kernel_size": 1,
        "box_code_size": 1,
    }
    for field, least in least_values.items():
        if getattr(config, field) < least:
            raise errors.ConfigError(
                f"box_predictor.{_KIND}.{field}: expected at least {least}, "
                f"got {getattr(config, field)}"
            )
    keep = config.dropout_keep_probability
    if config.use_dropout and not 0 < keep <= 1:
        raise errors.ConfigError(
            f"box_predictor.{_KIND}.dropout_keep_probability: expected more "
            f"than 0 and at most 1, got {keep:g}"
        )
    limits = config.box_encodings_clip_range
    if config.HasField("box_encodings_clip_range") and limits.min > limits.max:
        raise errors.ConfigError(
            f"box_predictor.{_KIND}.box_encodings_clip_range: min "
            f"{limits.min:g} is above max {limits.max:g}"
        )
    hyperparams = config.conv_hyperparams
    if hyperparams.HasField("group_norm"):
        logging.warning(
            "box_predictor.%s.conv_hyperparams.group_norm: has no effect, as "
            "in the original; the convolutions have biases",
            _KIND,
        )
    if hyperparams.activation != hyperparams_pb2.Hyperparams.RELU_6:
        logging.warning(
            "box_predictor.%s.conv_hyperparams.activation: has no effect, as "
            "in the original; the towers use RELU_6",
            _KIND,
        )
