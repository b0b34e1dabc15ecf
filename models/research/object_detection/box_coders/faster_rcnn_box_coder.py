"""Box codes of Faster R-CNN: an offset from the anchor and a log ratio.

ty = (y - ya) / ha    tx = (x - xa) / wa
th = log(h / ha)      tw = log(w / wa)

with (y, x, h, w) centre and size of the box and (ya, xa, ha, wa) of the anchor,
each multiplied by its scale factor. Source: Ren et al. 2015,
https://arxiv.org/abs/1506.01497, section 3.1.2.
"""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from object_detection.core import box_ops, checks

Tensor = Any

# Keeps the code of an empty box, and of an empty anchor, finite.
EPSILON = 1e-8


@dataclasses.dataclass(frozen=True)
class FasterRcnnBoxCoder:
    """Encodes boxes against anchors and decodes them again.

    Attributes:
        scale_factors: four positive numbers that multiply ty, tx, th, tw.
        max_decoded_code: the greatest number that `decode_boxes` takes a code
            to have, as SSD-VGG has it; 0 for any.
    """

    scale_factors: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    max_decoded_code: float = 0.0

    code_size = 4
    num_keypoints = 0

    def __post_init__(self) -> None:
        y_scale, x_scale, height_scale, width_scale = self.scale_factors
        checks.require_positive(
            y_scale=[y_scale],
            x_scale=[x_scale],
            height_scale=[height_scale],
            width_scale=[width_scale],
        )
        if self.max_decoded_code < 0:
            raise ValueError(
                "max_decoded_code: expected at least 0, got "
                f"{self.max_decoded_code:g}"
            )

    def encode_boxes(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Expresses each box as an offset from its anchor.

        Inverse of `decode_boxes` up to `EPSILON`, which is added to every
        side first.

        Args:
            boxes: float32 [..., 4] yxyx.
            anchors: float32 yxyx, broadcastable to `boxes`, same unit.

        Returns:
            float32 [..., 4] codes (ty, tx, th, tw).
        """
        boxes_cyxhw = box_ops.yxyx_to_cyxhw(boxes)
        anchors_cyxhw = box_ops.yxyx_to_cyxhw(anchors)
        anchor_size = anchors_cyxhw[..., 2:] + EPSILON
        offset = (boxes_cyxhw[..., :2] - anchors_cyxhw[..., :2]) / anchor_size
        log_ratio = ops.log((boxes_cyxhw[..., 2:] + EPSILON) / anchor_size)
        codes = ops.concatenate([offset, log_ratio], axis=-1)
        return codes * np.asarray(self.scale_factors, np.float32)

    def decode_boxes(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """Places each code's box around its anchor; nothing is clipped.

        Args:
            codes: float32 [..., 4] (ty, tx, th, tw).
            anchors: float32 yxyx, broadcastable to `codes`.

        Returns:
            float32 [..., 4] yxyx, in the anchors' unit.
        """
        anchors_cyxhw = box_ops.yxyx_to_cyxhw(anchors)
        anchor_size = anchors_cyxhw[..., 2:]
        if self.max_decoded_code:
            codes = ops.minimum(codes, self.max_decoded_code)
        codes = codes / np.asarray(self.scale_factors, np.float32)
        center = codes[..., :2] * anchor_size + anchors_cyxhw[..., :2]
        size = ops.exp(codes[..., 2:]) * anchor_size
        return box_ops.cyxhw_to_yxyx(ops.concatenate([center, size], axis=-1))
