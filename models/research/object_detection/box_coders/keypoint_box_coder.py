"""Codes of Faster R-CNN, and each keypoint as an offset from the anchor.

tky = (ky - ya) / ha    tkx = (kx - xa) / wa

follow the four numbers of `faster_rcnn_box_coder`, keypoint by keypoint, with
(ya, xa, ha, wa) centre and size of the anchor, multiplied by the scale factors
of ty and tx.

Letters: k keypoint.
"""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from object_detection.box_coders import faster_rcnn_box_coder
from object_detection.core import box_ops

Tensor = Any


@dataclasses.dataclass(frozen=True)
class KeypointBoxCoder:
    """Encodes boxes and their keypoints against anchors.

    Attributes:
        num_keypoints: keypoints of a box, 1 or more.
        scale_factors: four positive numbers that multiply ty, tx, th, tw.
    """

    num_keypoints: int
    scale_factors: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)

    def __post_init__(self) -> None:
        if self.num_keypoints < 1:
            raise ValueError(
                f"num_keypoints: expected at least 1, got {self.num_keypoints}"
            )
        faster_rcnn_box_coder.FasterRcnnBoxCoder(self.scale_factors)

    @property
    def code_size(self) -> int:
        """How many numbers encode a box and its keypoints."""
        return 4 + 2 * self.num_keypoints

    def encode_boxes(
        self, boxes: Tensor, anchors: Tensor, keypoints: Tensor
    ) -> Tensor:
        """Expresses each box and its keypoints as offsets from its anchor.

        Inverse of `decode_boxes` and `decode_keypoints` up to an epsilon,
        which is added to every side first.

        Args:
            boxes: float32 [..., 4] yxyx.
            anchors: float32 yxyx, broadcastable to `boxes`, same unit.
            keypoints: float32 [..., num_keypoints, 2] (y, x), same unit. The
                code of a coordinate that is NaN (of a keypoint that is not
                there) is NaN, which the losses leave out.

        Returns:
            float32 [..., code_size] codes (ty, tx, th, tw, tky, tkx of each
            keypoint).
        """
        box_codes = self._box_coder.encode_boxes(boxes, anchors)
        center, size = _center_and_size(anchors)
        size = size + faster_rcnn_box_coder.EPSILON
        offsets_k2 = (keypoints - center) / size * self._yx_factors
        num_numbers = 2 * self.num_keypoints
        keypoint_codes = ops.reshape(
            offsets_k2, (*ops.shape(box_codes)[:-1], num_numbers)
        )
        return ops.concatenate([box_codes, keypoint_codes], axis=-1)

    def decode_boxes(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """Places each code's box around its anchor; nothing is clipped.

        Args:
            codes: float32 [..., code_size].
            anchors: float32 yxyx, broadcastable to the boxes.

        Returns:
            float32 [..., 4] yxyx, in the anchors' unit.
        """
        return self._box_coder.decode_boxes(codes[..., :4], anchors)

    def decode_keypoints(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """Places each code's keypoints; nothing is clipped.

        Args:
            codes: float32 [..., code_size].
            anchors: float32 yxyx, broadcastable to the boxes.

        Returns:
            float32 [..., num_keypoints, 2] (y, x), in the anchors' unit.
        """
        offsets_k2 = ops.reshape(
            codes[..., 4:], (*ops.shape(codes)[:-1], self.num_keypoints, 2)
        )
        center, size = _center_and_size(anchors)
        return offsets_k2 / self._yx_factors * size + center

    @property
    def _box_coder(self) -> faster_rcnn_box_coder.FasterRcnnBoxCoder:
        return faster_rcnn_box_coder.FasterRcnnBoxCoder(self.scale_factors)

    @property
    def _yx_factors(self) -> np.ndarray:
        return np.asarray(self.scale_factors[:2], np.float32)


def _center_and_size(anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Returns [..., 1, 2] each, to be combined with all keypoints of a box."""
    anchors_cyxhw = box_ops.yxyx_to_cyxhw(anchors)[..., None, :]
    return anchors_cyxhw[..., :2], anchors_cyxhw[..., 2:]
