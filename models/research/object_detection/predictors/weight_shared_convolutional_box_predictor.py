"""The box predictor whose weights all feature maps share (RetinaNet's).

Dimensions: B image, H height, W width, F channels, A anchor (all levels), K
class including a background column.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.predictors import rows

Tensor = Any

_SCOPE = "WeightSharedConvolutionalBoxPredictor"


@dataclasses.dataclass(frozen=True)
class Options:
    """What a predictor consists of.

    Attributes:
        depth: channels of the towers.
        num_layers_before_predictor: convolutions in a tower.
        kernel_size: of the towers and heads.
        box_code_size: numbers that encode one box.
        class_prediction_bias_init: initial bias of the class logits.
        dropout_rate: share of the class head's inputs that training sets to
            zero. (The original also did so when it evaluated.)
        share_prediction_tower: one tower for boxes and classes.
        use_depthwise: separable convolutions in towers and heads.
        converts_scores_to_sigmoid: outside training, returns the sigmoid of
            the class logits.
        box_encodings_clip_range: (least, greatest) value of a code.
    """

    depth: int
    num_layers_before_predictor: int
    kernel_size: int = 3
    box_code_size: int = 4
    class_prediction_bias_init: float = 0.0
    dropout_rate: float = 0.0
    share_prediction_tower: bool = False
    use_depthwise: bool = False
    converts_scores_to_sigmoid: bool = False
    box_encodings_clip_range: tuple[float, float] | None = None


class WeightSharedConvolutionalBoxPredictor(keras.layers.Layer):
    """Predicts boxes and class logits by towers of convolutions.

    One set of convolution weights serves all maps; each map has batch
    normalisations of its own. The towers' activation is always relu6,
    whatever the hyperparameters say, as in the original.
    """

    def __init__(
        self,
        num_channels: Sequence[int],
        num_anchors_per_location: Sequence[int],
        num_class_slots: int,
        hyperparams: hyperparams_lib.ConvHyperparams,
        options: Options,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables.

        Args:
            num_channels: channels of each feature map. Where they differ,
                every map is first projected to the most common number.
            num_anchors_per_location: for each map; all the same.
            num_class_slots: K.
            hyperparams: of all convolutions; without batch_norm they have
                biases.
            options: what to make.
            dtype: Keras dtype policy.

        Raises:
            ValueError: maps differ in their number of anchors.
        """
        super().__init__(dtype=dtype)
        if len(set(num_anchors_per_location)) != 1:
            raise ValueError(
                f"{_SCOPE}: expected the same number of anchors per location "
                f"on all feature maps, got {list(num_anchors_per_location)}"
            )
        num_anchors = num_anchors_per_location[0]
        self._num_class_slots = num_class_slots
        self._options = options
        self._projections, in_channels = _make_projections(
            num_channels, hyperparams, dtype
        )
        make_tower, make_head = (
            functools.partial(
                make,
                in_channels=in_channels,
                hyperparams=hyperparams,
                options=options,
                dtype=dtype,
            )
            for make in (_make_tower, _make_head)
        )
        shares = options.share_prediction_tower
        num_maps = len(num_channels)
        self._box_tower = make_tower(
            "PredictionTower" if shares else "BoxPredictionTower", num_maps
        )
        self._class_tower = None
        if not shares:
            self._class_tower = make_tower("ClassPredictionTower", num_maps)
        self._box_head = make_head(
            "BoxPredictor", num_anchors * options.box_code_size, bias_init=0.0
        )
        self._class_head = make_head(
            "ClassPredictor",
            num_anchors * num_class_slots,
            bias_init=options.class_prediction_bias_init,
        )
        self._dropout = keras.layers.Dropout(options.dropout_rate, dtype=dtype)
        self.built = True

    def call(
        self, feature_maps: Sequence[Tensor], training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Predicts for every anchor: map, then y, then x, then box.

        Args:
            feature_maps: [B, H_i, W_i, num_channels[i]], finest first.
            training: whether normalisations use batch statistics and dropout
                is on.

        Returns:
            float32 [B, A, box_code_size] box encodings and float32 [B, A, K]
            class logits (or scores, see `Options`).
        """
        feature_maps = list(feature_maps)
        if self._projections:
            feature_maps = [
                projection(feature_map, training=training)
                for projection, feature_map in zip(
                    self._projections, feature_maps, strict=True
                )
            ]
        box_maps = _apply_tower(self._box_tower, feature_maps, training)
        class_maps = box_maps
        if self._class_tower is not None:
            class_maps = _apply_tower(self._class_tower, feature_maps, training)
        class_maps = [
            self._dropout(class_map, training=training)
            for class_map in class_maps
        ]
        box_encodings = rows.join_maps(
            self._box_head.call_levels(box_maps, training),
            self._options.box_code_size,
        )
        class_predictions = rows.join_maps(
            self._class_head.call_levels(class_maps, training),
            self._num_class_slots,
        )
        if self._options.box_encodings_clip_range is not None:
            box_encodings = ops.clip(
                box_encodings, *self._options.box_encodings_clip_range
            )
        if self._options.converts_scores_to_sigmoid and not training:
            class_predictions = ops.sigmoid(class_predictions)
        return box_encodings, class_predictions

    def regularization_loss(self) -> Tensor:
        """Returns the float32 scalar regularisation of its weights."""
        return conv_layers.regularization_loss(self.variables)


def _make_projections(
    num_channels: Sequence[int],
    hyperparams: hyperparams_lib.ConvHyperparams,
    dtype: conv_layers.DTypePolicy,
) -> tuple[list[conv_blocks.ConvBlock], int]:
    """Returns a projection of each map, none if all agree, and the depth."""
    # Of equally common numbers the first map's wins.
    depth = max(dict.fromkeys(num_channels), key=list(num_channels).count)
    if set(num_channels) == {depth}:
        return [], depth
    projections = [
        conv_blocks.conv_block(
            f"{_SCOPE}/ProjectionLayer/conv2d_{level}",
            channels,
            depth,
            1,
            hyperparams.linear(),
            dtype=dtype,
        )
        for level, channels in enumerate(num_channels)
    ]
    return projections, depth


def _make_tower(
    name: str,
    num_levels: int,
    in_channels: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    options: Options,
    dtype: conv_layers.DTypePolicy,
) -> list[conv_blocks.ConvBlock]:
    return [
        conv_blocks.conv_block(
            f"{_SCOPE}/{name}/conv2d_{layer}",
            options.depth if layer else in_channels,
            options.depth,
            options.kernel_size,
            hyperparams.with_activation("relu6"),
            separable=options.use_depthwise,
            num_levels=num_levels,
            dtype=dtype,
        )
        for layer in range(options.num_layers_before_predictor)
    ]


def _make_head(
    name: str,
    out_channels: int,
    in_channels: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    options: Options,
    dtype: conv_layers.DTypePolicy,
    *,
    bias_init: float,
) -> conv_blocks.ConvBlock:
    has_tower = options.num_layers_before_predictor > 0
    make = conv_layers.Conv2D
    if options.use_depthwise:
        make = conv_layers.SeparableConv2D
    conv = make(
        f"{_SCOPE}/{name}",
        options.depth if has_tower else in_channels,
        out_channels,
        options.kernel_size,
        hyperparams,
        bias_init=bias_init,
        dtype=dtype,
    )
    return conv_blocks.ConvBlock(conv, [], None, dtype)


def _apply_tower(
    tower: Sequence[conv_blocks.ConvBlock],
    feature_maps: list[Tensor],
    training: bool,
) -> list[Tensor]:
    for block in tower:
        feature_maps = block.call_levels(feature_maps, training)
    return feature_maps
