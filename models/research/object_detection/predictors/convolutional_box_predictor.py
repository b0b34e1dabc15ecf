"""The box predictor of SSD: each feature map has weights of its own.

Dimensions: B image, H height, W width, F channels, A anchor (all maps), K
class including a background column.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.predictors import rows

Tensor = Any


@dataclasses.dataclass(frozen=True)
class Options:
    """What a predictor consists of.

    Attributes:
        num_layers_before_predictor: 1x1 convolutions before the heads of each
            map, none where their depth is 0.
        min_depth: least depth of these; takes precedence.
        max_depth: greatest depth of these; the map's own below that.
        kernel_size: of the heads, however small the map is.
        box_code_size: numbers that encode one box.
        class_prediction_bias_init: initial bias of the class logits, without
            effect when `use_depthwise`.
        dropout_rate: share of the class head's inputs that training sets to
            zero.
        use_depthwise: a depthwise convolution, normalised and activated, and
            a 1x1 one in each head.
        applies_sigmoid_to_scores: returns the sigmoid of the class logits,
            also in training.
    """

    num_layers_before_predictor: int = 0
    min_depth: int = 0
    max_depth: int = 0
    kernel_size: int = 1
    box_code_size: int = 4
    class_prediction_bias_init: float = 0.0
    dropout_rate: float = 0.0
    use_depthwise: bool = False
    applies_sigmoid_to_scores: bool = False

    def depth_of(self, num_channels: int) -> int:
        """Returns the depth of the 1x1 layers on a map of `num_channels`."""
        return max(min(num_channels, self.max_depth), self.min_depth)


class ConvolutionalBoxPredictor(keras.layers.Layer):
    """Predicts boxes and class logits by convolutions, map by map.

    Maps may have different numbers of channels and of anchors.
    """

    def __init__(
        self,
        num_channels: Sequence[int],
        num_anchors_per_location: Sequence[int],
        num_class_slots: int,
        hyperparams: hyperparams_lib.ConvHyperparams,
        options: Options,
        dtype: conv_layers.DTypePolicy = None,
        *,
        is_shape_major: bool = False,
    ) -> None:
        """Makes all variables.

        Args:
            num_channels: channels of each feature map.
            num_anchors_per_location: for each map.
            num_class_slots: K.
            hyperparams: of all convolutions; the last one of a head is linear
                and has biases in any case.
            options: what to make.
            dtype: Keras dtype policy.
            is_shape_major: the order of the anchors of a map.
        """
        super().__init__(dtype=dtype)
        self._is_shape_major = is_shape_major
        self._num_class_slots = num_class_slots
        self._options = options
        scopes = [f"BoxPredictor_{i}/" for i in range(len(num_channels))]
        self._map_predictors = [
            _MapPredictor(
                # In checkpoints, an only map has no scope of its own.
                scope if len(scopes) > 1 else "",
                channels,
                num_anchors,
                num_class_slots,
                hyperparams,
                options,
                dtype,
            )
            for scope, channels, num_anchors in zip(
                scopes, num_channels, num_anchors_per_location, strict=True
            )
        ]
        self.built = True

    def call(
        self, feature_maps: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Predicts for every anchor: map, then y, then x, then box.

        Where `is_shape_major`, the order is map, then box, then y, then x.

        Args:
            feature_maps: [B, H_i, W_i, num_channels[i]], finest first.
            training: whether normalisations use batch statistics and dropout
                is on.

        Returns:
            float32 [B, A, box_code_size] box encodings and float32 [B, A, K]
            class logits (or scores, see `Options`).
        """
        outputs = [
            predictor(feature_map, training=training)
            for predictor, feature_map in zip(
                self._map_predictors, feature_maps, strict=True
            )
        ]
        box_outputs, class_outputs = zip(*outputs, strict=True)
        box_encodings, class_predictions = (
            rows.join_maps(
                maps, num_columns, is_shape_major=self._is_shape_major
            )
            for maps, num_columns in (
                (box_outputs, self._options.box_code_size),
                (class_outputs, self._num_class_slots),
            )
        )
        if self._options.applies_sigmoid_to_scores:
            class_predictions = ops.sigmoid(class_predictions)
        return box_encodings, class_predictions

    def regularization_loss(self) -> Tensor:
        """Returns the float32 scalar regularisation of its weights."""
        return conv_layers.regularization_loss(self.variables)


class _MapPredictor(keras.layers.Layer):
    """Predicts for the anchors of one feature map."""

    def __init__(
        self,
        scope: str,
        in_channels: int,
        num_anchors: int,
        num_class_slots: int,
        hyperparams: hyperparams_lib.ConvHyperparams,
        options: Options,
        dtype: conv_layers.DTypePolicy,
    ) -> None:
        super().__init__(dtype=dtype)
        depth = options.depth_of(in_channels)
        num_layers = options.num_layers_before_predictor if depth else 0
        channels = [in_channels] + [depth] * num_layers
        self._tower = [
            conv_blocks.conv_block(
                f"{scope}Conv2d_{layer}_1x1_{depth}",
                channels[layer],
                depth,
                1,
                hyperparams,
                dtype=dtype,
            )
            for layer in range(num_layers)
        ]
        self._dropout = keras.layers.Dropout(options.dropout_rate, dtype=dtype)
        self._box_head = _make_head(
            f"{scope}BoxEncodingPredictor",
            channels[-1],
            num_anchors * options.box_code_size,
            hyperparams,
            options,
            bias_init=0.0,
            dtype=dtype,
        )
        bias_init = options.class_prediction_bias_init
        self._class_head = _make_head(
            f"{scope}ClassPredictor",
            channels[-1],
            num_anchors * num_class_slots,
            hyperparams,
            options,
            bias_init=0.0 if options.use_depthwise else bias_init,
            dtype=dtype,
        )
        self.built = True

    def call(
        self, feature_map: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Maps [B, H, W, F] to the outputs [B, H, W, ...] of both heads."""
        for block in self._tower:
            feature_map = block(feature_map, training=training)
        box_output = feature_map
        for block in self._box_head:
            box_output = block(box_output, training=training)
        class_output = self._dropout(feature_map, training=training)
        for block in self._class_head:
            class_output = block(class_output, training=training)
        return box_output, class_output


def _make_head(
    scope: str,
    in_channels: int,
    out_channels: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    options: Options,
    *,
    bias_init: float,
    dtype: conv_layers.DTypePolicy,
) -> list[conv_blocks.ConvBlock]:
    blocks, kernel_size = [], options.kernel_size
    if options.use_depthwise:
        blocks.append(
            conv_blocks.depthwise_block(
                f"{scope}_depthwise",
                in_channels,
                kernel_size,
                hyperparams,
                dtype=dtype,
            )
        )
        kernel_size = 1
    conv = conv_layers.Conv2D(
        scope,
        in_channels,
        out_channels,
        kernel_size,
        hyperparams,
        bias_init=bias_init,
        dtype=dtype,
    )
    blocks.append(conv_blocks.ConvBlock(conv, [], None, dtype))
    return blocks
