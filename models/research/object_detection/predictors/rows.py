"""From the outputs of a head to one row an anchor.

Dimensions: B image, H height, W width, A anchor (all maps).
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

Tensor = Any


def join_maps(
    outputs: Sequence[Tensor],
    num_columns: int,
    *,
    is_shape_major: bool = False,
) -> Tensor:
    """Joins the outputs of all maps, row after row.

    Args:
        outputs: [B, H_i, W_i, anchors of a location * num_columns] of each
            map; the channels of a location go anchor by anchor.
        num_columns: numbers that are predicted for an anchor.
        is_shape_major: whether the rows of a map go by anchor of a location,
            then y, then x; else by y, x, anchor of a location.

    Returns:
        float32 [B, A, num_columns], map after map.
    """
    rows = [
        _shape_major_rows(output, num_columns)
        if is_shape_major
        else ops.reshape(output, (ops.shape(output)[0], -1, num_columns))
        for output in outputs
    ]
    return ops.cast(ops.concatenate(rows, axis=1), "float32")


def _shape_major_rows(output: Tensor, num_columns: int) -> Tensor:
    num_images = ops.shape(output)[0]
    num_shapes = output.shape[-1] // num_columns
    by_cell = ops.reshape(output, (num_images, -1, num_shapes, num_columns))
    return ops.reshape(
        ops.transpose(by_cell, (0, 2, 1, 3)), (num_images, -1, num_columns)
    )
