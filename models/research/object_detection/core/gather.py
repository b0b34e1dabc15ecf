"""Taking rows of a batch, each image its own."""

from typing import Any

from keras import ops

Tensor = Any


def take_rows(values: Tensor, index_BR: Tensor) -> Tensor:
    """Takes values[b, index[b, r]].

    Whole rows are gathered from the flattened first two axes, which is much
    faster than `take_along_axis`, and exact unlike a matrix product.

    Args:
        values: [B, A, ...].
        index_BR: int32 [B, R], each in [0, A).

    Returns:
        [B, R, ...].
    """
    num_images, num_rows = ops.shape(values)[:2]
    first_row_B1 = ops.arange(num_images, dtype="int32")[:, None] * num_rows
    flat_values = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(flat_values, first_row_B1 + index_BR, axis=0)
