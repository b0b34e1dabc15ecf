"""PNASNet-5 large (Liu et al. 2017, https://arxiv.org/abs/1712.00559).

A stem, then twelve cells of one structure, the fifth and the ninth of which
halve the resolution. Each takes the outputs of the two before it.
"""

from typing import Any

import keras

from object_detection.core import conv_layers
from object_detection.core import hyperparams as hyperparams_lib
from slim.nets import pnasnet_cell

Tensor = Any

_STEM_CHANNELS = 96
_CELL_DEPTH = 216
_NUM_CELLS = 12
# Cells that halve the resolution and double the depth.
_REDUCTION_CELLS = (4, 8)
# The two cells of the stem each halve the resolution.
_STEM_DEPTHS = (_CELL_DEPTH // 4, _CELL_DEPTH // 2)


def default_hyperparams(
    trains_batch_norm: bool,
) -> hyperparams_lib.ConvHyperparams:
    """Returns the network's own hyperparameters."""
    return hyperparams_lib.ConvHyperparams(
        initializer=keras.initializers.VarianceScaling(
            scale=2.0, mode="fan_out"
        ),
        regularizer=keras.regularizers.L2(0.5 * 4e-5),
        activation=None,
        batch_norm=hyperparams_lib.BatchNormParams(
            decay=0.9997, epsilon=0.001, scale=True, train=trains_batch_norm
        ),
    )


class PNASNet(keras.layers.Layer):
    """The network up to its last cell, without a classifier.

    Attributes:
        endpoint_channels: endpoint name -> number of channels.
    """

    def __init__(
        self,
        scope: str,
        hyperparams: hyperparams_lib.ConvHyperparams,
        in_channels: int = 3,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables, under `scope` in checkpoints.

        Args:
            scope: such as 'FeatureExtractor'.
            hyperparams: of every convolution; see `default_hyperparams`.
            in_channels: of the images.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        maker = pnasnet_cell.Maker(hyperparams, dtype)
        self._stem = maker.conv_norm(
            f"{scope}/conv0",
            f"{scope}/conv0_bn",
            in_channels,
            _STEM_CHANNELS,
            kernel_size=3,
            stride=2,
            padding="valid",
        )
        self._cells = []
        self.endpoint_channels = {}
        shape, previous = pnasnet_cell.Shape(_STEM_CHANNELS, 1), None
        for name, depth, stride in _cell_table():
            self._cells.append(
                pnasnet_cell.Cell(
                    f"{scope}/{name}", shape, previous, depth, stride, maker
                )
            )
            previous = shape
            shape = pnasnet_cell.Shape(
                pnasnet_cell.NUM_COMBINATIONS * depth, shape.stride * stride
            )
            self.endpoint_channels[name.capitalize()] = shape.channels
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Computes the endpoints.

        Args:
            images: [B, H, W, in_channels], normalised.
            training: whether trained normalisations use batch statistics.

        Returns:
            'Cell_stem_0', 'Cell_stem_1', then 'Cell_0' to 'Cell_11'.
        """
        outputs = self._stem(images, training=training)
        previous = outputs
        endpoints = {}
        for name, cell in zip(self.endpoint_channels, self._cells, strict=True):
            previous, outputs = (
                outputs,
                cell(outputs, previous, training=training),
            )
            endpoints[name] = outputs
        return endpoints


def _cell_table() -> list[tuple[str, int, int]]:
    """Returns name, depth and stride of each cell."""
    table = [
        (f"cell_stem_{number}", depth, 2)
        for number, depth in enumerate(_STEM_DEPTHS)
    ]
    depth = _CELL_DEPTH
    for number in range(_NUM_CELLS):
        stride = 2 if number in _REDUCTION_CELLS else 1
        depth *= stride
        table.append((f"cell_{number}", depth, stride))
    return table
