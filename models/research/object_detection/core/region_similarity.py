"""How much a groundtruth box and an anchor resemble each other.

Each function maps (boxes_G4, anchors_A4), yxyx with any leading axes, to
[..., G, A]; larger means more alike.
"""

from typing import Any

from keras import ops

from object_detection.core import box_ops

Tensor = Any

iou = box_ops.pairwise_iou


def ioa(boxes_G4: Tensor, anchors_A4: Tensor) -> Tensor:
    """Returns the share of each anchor's area that the box covers.

    Returns:
        [..., G, A] in [0, 1]; 0 for an anchor without area.
    """
    intersection_GA = box_ops.pairwise_intersection(boxes_G4, anchors_A4)
    area_1A = box_ops.area_yxyx(anchors_A4)[..., None, :]
    return ops.divide_no_nan(intersection_GA, area_1A)


def thresholded_iou(
    boxes_G4: Tensor, anchors_A4: Tensor, iou_threshold: float
) -> Tensor:
    """Returns the IoU of the pairs that reach `iou_threshold`, else 0.

    Returns:
        [..., G, A] in [0, 1].
    """
    iou_GA = iou(boxes_G4, anchors_A4)
    return ops.where(iou_GA >= iou_threshold, iou_GA, 0.0)


def negative_squared_distance(boxes_G4: Tensor, anchors_A4: Tensor) -> Tensor:
    """Returns minus the squared distance between the corner vectors.

    Returns:
        [..., G, A], at most 0.
    """
    difference_GA4 = boxes_G4[..., :, None, :] - anchors_A4[..., None, :, :]
    return -ops.sum(ops.square(difference_GA4), axis=-1)
