"""Anchor shapes, and tiling a grid with them.

Everything is computed by numpy while all sizes are known, so that anchors are
constants, and by keras.ops otherwise.

Letters: P anchor at one location, H W grid, N place of it.
"""

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from keras import ops

Tensor = Any
Size = Any  # a Python int, or a scalar int tensor where it is not known yet


def array_namespace(sizes: Iterable[Size]) -> ModuleType:
    """Returns numpy if every size is a Python int, else keras.ops."""
    return np if all(isinstance(size, int) for size in sizes) else ops


def to_float32(xp: ModuleType, size: Size) -> Tensor:
    """Returns a size as a float32 scalar of `xp`."""
    return np.float32(size) if xp is np else ops.cast(size, "float32")


def inverse(xp: ModuleType, size: Size) -> Tensor:
    """Returns 1 / size as a float32 scalar of `xp`."""
    # By a Python 1, NumPy 1 would make it a float64.
    return np.float32(1) / to_float32(xp, size)


def anchor_shapes(
    xp: ModuleType,
    scales: Sequence[float],
    aspect_ratios: Sequence[float],
    base_size: tuple[Tensor, Tensor],
) -> Tensor:
    """Returns the height and width of each anchor of a location.

    Height is scale / sqrt(aspect ratio) * base height, width is scale *
    sqrt(aspect ratio) * base width.

    Args:
        xp: numpy or keras.ops.
        scales: P of them.
        aspect_ratios: width over height, P of them.
        base_size: float32 scalars, height and width.

    Returns:
        float32 [P, 2].
    """
    scales_P = np.float32(scales)
    roots_P = np.sqrt(np.float32(aspect_ratios))
    base_height, base_width = base_size
    return xp.stack(
        [scales_P / roots_P * base_height, scales_P * roots_P * base_width],
        axis=-1,
    )


def cross(
    scales: Sequence[float], aspect_ratios: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Returns scales and ratios of all pairs, the scale running fastest."""
    pairs = [(scale, ratio) for ratio in aspect_ratios for scale in scales]
    return [scale for scale, _ in pairs], [ratio for _, ratio in pairs]


def tile(
    xp: ModuleType,
    grid_size: tuple[Size, Size],
    strides: tuple[Tensor, Tensor],
    offsets: tuple[Tensor, Tensor],
    shapes_P2: Tensor,
) -> Tensor:
    """Puts anchors of all shapes at every place of a grid.

    Args:
        xp: numpy or keras.ops.
        grid_size: (height, width) in places.
        strides: float32 scalars, between centres along y and x.
        offsets: float32 scalars, y and x of the first centre.
        shapes_P2: float32 [P, 2], height and width in the strides' unit.

    Returns:
        float32 [H * W * P, 4] yxyx; the order is y, x, shape, the last
        fastest.
    """
    centers_N2 = grid_centers(xp, grid_size, strides, offsets)
    return place(xp, centers_N2[:, None], shapes_P2[None])


def grid_centers(
    xp: ModuleType,
    grid_size: tuple[Size, Size],
    strides: tuple[Tensor, Tensor],
    offsets: tuple[Tensor, Tensor],
) -> Tensor:
    """Returns the places of a grid, float32 [N, 2] (y, x), N = H * W.

    Args:
        xp: as of `tile`, like the others.
    """
    centers_y, centers_x = (
        xp.arange(num_places, dtype="float32") * stride + offset
        for num_places, stride, offset in zip(
            grid_size, strides, offsets, strict=True
        )
    )
    centers_y_HW, centers_x_HW = xp.meshgrid(
        centers_y, centers_x, indexing="ij"
    )
    centers_HW2 = xp.stack([centers_y_HW, centers_x_HW], axis=-1)
    return xp.reshape(centers_HW2, (-1, 2))


def place(xp: ModuleType, centers: Tensor, shapes: Tensor) -> Tensor:
    """Makes an anchor of each centre and shape, the last axis but one fastest.

    Args:
        xp: numpy or keras.ops.
        centers: float32 [N, 1, 2] or [1, N, 2] (y, x).
        shapes: float32 (height, width), [1, P, 2] or [P, 1, 2].

    Returns:
        float32 [N * P, 4] yxyx.
    """
    half_sizes = shapes / np.float32(2)
    corners = xp.concatenate(
        [centers - half_sizes, centers + half_sizes], axis=-1
    )
    return xp.reshape(corners, (-1, 4))


def divide_by_image_size(
    xp: ModuleType, anchors_A4: Tensor, image_size: tuple[Size, Size]
) -> Tensor:
    """Turns yxyx in pixels into yxyx normalised to the image."""
    # Multiplying by the inverse gives the last bit of the original.
    height, width = (inverse(xp, size) for size in image_size)
    return anchors_A4 * xp.stack([height, width, height, width])
