"""The box predictor whose weights all feature maps share (RetinaNet's).

Dimensions: B image, H height, W width, F channels, A anchor (all levels), K
class including a background column.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

_SCOPE = "WeightSharedConvolutionalBoxPredictor"


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
        *,
        depth: int,
        num_layers_before_predictor: int,
        kernel_size: int = 3,
        box_code_size: int = 4,
        class_prediction_bias_init: float = 0.0,
        dropout_rate: float = 0.0,
        share_prediction_tower: bool = False,
        use_depthwise: bool = False,
        converts_scores_to_sigmoid: bool = False,
        box_encodings_clip_range: tuple[float, float] | None = None,
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
            depth: channels of the towers.
            num_layers_before_predictor: convolutions in a tower.
            kernel_size: of the towers and heads.
            box_code_size: numbers that encode one box.
            class_prediction_bias_init: initial bias of the class logits.
            dropout_rate: share of the class head's inputs that training
                sets to zero.
            share_prediction_tower: one tower for boxes and classes.
            use_depthwise: separable convolutions in towers and heads.
            converts_scores_to_sigmoid: outside training, returns the sigmoid
                of the class logits.
            box_encodings_clip_range: (least, greatest) value of a code.
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
        self._num_class_slots = num_class_slots
        self._box_code_size = box_code_size
        self._converts_scores_to_sigmoid = converts_scores_to_sigmoid
        self._box_encodings_clip_range = box_encodings_clip_range
        self._projections, in_channels = _make_projections(
            num_channels, hyperparams, dtype
        )

        def make_tower(name: str) -> list[conv_blocks.ConvBlock]:
            return _make_tower(
                f"{_SCOPE}/{name}",
                [in_channels] + [depth] * num_layers_before_predictor,
                kernel_size,
                hyperparams,
                use_depthwise,
                len(num_channels),
                dtype,
            )

        self._box_tower = make_tower(
            "PredictionTower"
            if share_prediction_tower
            else "BoxPredictionTower"
        )
        self._class_tower = None
        if not share_prediction_tower:
            self._class_tower = make_tower("ClassPredictionTower")

        make_head = conv_layers.Conv2D
        if use_depthwise:
            make_head = conv_layers.SeparableConv2D
        head_in_channels = depth if num_layers_before_predictor else in_channels
        num_anchors = num_anchors_per_location[0]
        self._box_head = make_head(
            f"{_SCOPE}/BoxPredictor",
            head_in_channels,
            num_anchors * box_code_size,
            kernel_size,
            hyperparams,
            bias_init=0.0,
            dtype=dtype,
        )
        self._class_head = make_head(
            f"{_SCOPE}/ClassPredictor",
            head_in_channels,
            num_anchors * num_class_slots,
            kernel_size,
            hyperparams,
            bias_init=class_prediction_bias_init,
            dtype=dtype,
        )
        self._dropout = None
        if dropout_rate > 0.0:
            self._dropout = keras.layers.Dropout(dropout_rate, dtype=dtype)
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
            class logits (or scores, see `converts_scores_to_sigmoid`).
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
        if self._dropout is not None:
            class_maps = [
                self._dropout(class_map, training=training)
                for class_map in class_maps
            ]
        box_encodings = _apply_head(
            self._box_head, box_maps, self._box_code_size
        )
        if self._box_encodings_clip_range is not None:
            box_encodings = ops.clip(
                box_encodings, *self._box_encodings_clip_range
            )
        class_predictions = _apply_head(
            self._class_head, class_maps, self._num_class_slots
        )
        if self._converts_scores_to_sigmoid and not training:
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
    scope: str,
    num_channels: Sequence[int],
    kernel_size: int,
    hyperparams: hyperparams_lib.ConvHyperparams,
    separable: bool,
    num_levels: int,
    dtype: conv_layers.DTypePolicy,
) -> list[conv_blocks.ConvBlock]:
    return [
        conv_blocks.conv_block(
            f"{scope}/conv2d_{layer}",
            in_channels,
            out_channels,
            kernel_size,
            hyperparams.with_activation("relu6"),
            separable=separable,
            num_levels=num_levels,
            dtype=dtype,
        )
        for layer, (in_channels, out_channels) in enumerate(
            zip(num_channels, num_channels[1:], strict=False)
        )
    ]


def _apply_tower(
    tower: Sequence[conv_blocks.ConvBlock],
    feature_maps: list[Tensor],
    training: bool,
) -> list[Tensor]:
    for block in tower:
        feature_maps = block.call_levels(feature_maps, training)
    return feature_maps


def _apply_head(
    head: conv_layers.Conv2D | conv_layers.SeparableConv2D,
    feature_maps: list[Tensor],
    num_columns: int,
) -> Tensor:
    """Returns float32 [B, A, num_columns] from the maps of all levels."""
    kernels = head.kernels()
    rows = []
    for feature_map in feature_maps:
        outputs = head.convolve(feature_map, kernels)
        # The channels of a location are anchor-major.
        batch = ops.shape(outputs)[0]
        rows.append(ops.reshape(outputs, (batch, -1, num_columns)))
    return ops.cast(ops.concatenate(rows, axis=1), "float32")
