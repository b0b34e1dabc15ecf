"""Codes of square boxes: an offset from the anchor and one log ratio.

ty = (y - ya) / la    tx = (x - xa) / la    tl = log(l / la)

with (y, x) the centre of the box, l = sqrt(h * w) the side of the square of
its area, and the same with `a` of the anchor, each multiplied by its scale
factor.
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
class SquareBoxCoder:
    """Encodes boxes as squares of their area, and decodes these.

    Attributes:
        scale_factors: three positive numbers that multiply ty, tx, tl.
    """

    scale_factors: tuple[float, float, float] = (10.0, 10.0, 5.0)

    code_size = 3
    num_keypoints = 0

    def __post_init__(self) -> None:
        y_scale, x_scale, length_scale = self.scale_factors
        checks.require_positive(
            y_scale=[y_scale], x_scale=[x_scale], length_scale=[length_scale]
        )

    def encode_boxes(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Expresses centre and area of each box by those of its anchor.

        `decode_boxes` makes of it the square of the same centre and area, up
        to `EPSILON`, which is added to every length first.

        Args:
            boxes: float32 [..., 4] yxyx.
            anchors: float32 yxyx, broadcastable to `boxes`, same unit.

        Returns:
            float32 [..., 3] codes (ty, tx, tl).
        """
        center, length = _center_and_length(boxes)
        anchor_center, anchor_length = _center_and_length(anchors)
        anchor_length = anchor_length + EPSILON
        offset = (center - anchor_center) / anchor_length
        log_ratio = ops.log((length + EPSILON) / anchor_length)
        codes = ops.concatenate([offset, log_ratio], axis=-1)
        return codes * np.asarray(self.scale_factors, np.float32)

    def decode_boxes(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """Places each code's square around its anchor; nothing is clipped.

        Args:
            codes: float32 [..., 3] (ty, tx, tl).
            anchors: float32 [..., 4] yxyx, its leading axes broadcastable to
                those of `codes`.

        Returns:
            float32 [..., 4] yxyx, in the anchors' unit.
        """
        anchor_center, anchor_length = _center_and_length(anchors)
        codes = codes / np.asarray(self.scale_factors, np.float32)
        center = codes[..., :2] * anchor_length + anchor_center
        length = ops.exp(codes[..., 2:]) * anchor_length
        return box_ops.cyxhw_to_yxyx(
            ops.concatenate([center, length, length], axis=-1)
        )


def _center_and_length(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns [..., 2] (y, x) and [..., 1]."""
    cyxhw = box_ops.yxyx_to_cyxhw(boxes)
    length = ops.sqrt(cyxhw[..., 2:3] * cyxhw[..., 3:4])
    return cyxhw[..., :2], length
