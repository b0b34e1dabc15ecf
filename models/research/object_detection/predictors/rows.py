"""From the outputs of a head to one row an anchor.

Dimensions: B image, H height, W width, A anchor (all maps).
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

Tensor = Any


def join_maps(outputs: Sequence[Tensor], num_columns: int) -> Tensor:
    """Joins the outputs of all maps, row after row.

    Args:
        outputs: [B, H_i, W_i, anchors of a location * num_columns] of each
            map; the channels of a location go anchor by anchor.
        num_columns: numbers that are predicted for an anchor.

    Returns:
        float32 [B, A, num_columns]: map, then y, then x, then anchor.
    """
    rows = [
        ops.reshape(output, (ops.shape(output)[0], -1, num_columns))
        for output in outputs
    ]
    return ops.cast(ops.concatenate(rows, axis=1), "float32")
