"""Geometry of axis-aligned boxes.

Boxes are corners in the order (ymin, xmin, ymax, xmax), named `yxyx`, or
centre and size in the order (centre y, centre x, height, width), named
`cyxhw`; the last axis holds the four numbers and every leading axis
broadcasts. Any unit will do as long as it is the same everywhere.

Letters: G rows of the first set, A rows of the second set.
"""

from typing import Any

from keras import ops

Tensor = Any


def area_yxyx(boxes: Tensor) -> Tensor:
    """Returns height times width, [..., 4] to [...].

    A box inverted on one axis has a negative area, inverted on both a
    positive one.
    """
    ymin, xmin, ymax, xmax = _coordinates(boxes)
    return (ymax - ymin) * (xmax - xmin)


def yxyx_to_cyxhw(boxes: Tensor) -> Tensor:
    """Turns corners into centre and size; inverse of `cyxhw_to_yxyx`."""
    ymin, xmin, ymax, xmax = _coordinates(boxes)
    height, width = ymax - ymin, xmax - xmin
    return ops.stack(
        [ymin + height / 2.0, xmin + width / 2.0, height, width], axis=-1
    )


def cyxhw_to_yxyx(boxes: Tensor) -> Tensor:
    """Turns centre and size into corners; inverse of `yxyx_to_cyxhw`."""
    center_y, center_x, height, width = _coordinates(boxes)
    half_height, half_width = height / 2.0, width / 2.0
    return ops.stack(
        [
            center_y - half_height,
            center_x - half_width,
            center_y + half_height,
            center_x + half_width,
        ],
        axis=-1,
    )


def order_corners_yxyx(boxes: Tensor) -> Tensor:
    """Swaps corners where needed so that ymin <= ymax and xmin <= xmax."""
    ymin, xmin, ymax, xmax = _coordinates(boxes)
    return ops.stack(
        [
            ops.minimum(ymin, ymax),
            ops.minimum(xmin, xmax),
            ops.maximum(ymin, ymax),
            ops.maximum(xmin, xmax),
        ],
        axis=-1,
    )


def clip_yxyx(boxes: Tensor, window: Tensor) -> Tensor:
    """Moves every corner into the window.

    Args:
        boxes: [..., 4] yxyx.
        window: yxyx, broadcastable to `boxes` ([4], or [B, 1, 4] for one
            window an image).

    Returns:
        [..., 4] yxyx. A box that lies outside keeps no area.
    """
    ymin, xmin, ymax, xmax = _coordinates(boxes)
    low_y, low_x, high_y, high_x = _coordinates(window)

    def clip(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return ops.maximum(ops.minimum(value, high), low)

    return ops.stack(
        [
            clip(ymin, low_y, high_y),
            clip(xmin, low_x, high_x),
            clip(ymax, low_y, high_y),
            clip(xmax, low_x, high_x),
        ],
        axis=-1,
    )


def pairwise_intersection(boxes_G4: Tensor, boxes_A4: Tensor) -> Tensor:
    """Returns the area that each pair has in common.

    Args:
        boxes_G4: [..., G, 4] yxyx.
        boxes_A4: [..., A, 4] yxyx; leading axes broadcast with the first.

    Returns:
        [..., G, A].
    """
    ymin_G1, xmin_G1, ymax_G1, xmax_G1 = _coordinates(boxes_G4[..., None, :])
    ymin_1A, xmin_1A, ymax_1A, xmax_1A = _coordinates(boxes_A4[..., None, :, :])
    height_GA = ops.minimum(ymax_G1, ymax_1A) - ops.maximum(ymin_G1, ymin_1A)
    width_GA = ops.minimum(xmax_G1, xmax_1A) - ops.maximum(xmin_G1, xmin_1A)
    return ops.maximum(height_GA, 0.0) * ops.maximum(width_GA, 0.0)


def pairwise_iou(boxes_G4: Tensor, boxes_A4: Tensor) -> Tensor:
    """Returns intersection over union of each pair, 0 where they are apart.

    Args:
        boxes_G4: [..., G, 4] yxyx.
        boxes_A4: [..., A, 4] yxyx; leading axes broadcast with the first.

    Returns:
        [..., G, A] in [0, 1].
    """
    intersection_GA = pairwise_intersection(boxes_G4, boxes_A4)
    union_GA = (
        area_yxyx(boxes_G4)[..., :, None]
        + area_yxyx(boxes_A4)[..., None, :]
        - intersection_GA
    )
    return ops.divide_no_nan(intersection_GA, union_GA)


def _coordinates(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]
