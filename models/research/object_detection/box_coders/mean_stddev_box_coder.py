"""Box codes that are distances of corners, in standard deviations.

code = (corner - corner of the anchor) / stddev, for each of the four numbers.
"""

import dataclasses
from typing import Any

from object_detection.core import checks

Tensor = Any


@dataclasses.dataclass(frozen=True)
class MeanStddevBoxCoder:
    """Encodes boxes against anchors and decodes them again.

    Attributes:
        stddev: positive, in the unit of the boxes.
    """

    stddev: float = 0.01

    code_size = 4
    num_keypoints = 0

    def __post_init__(self) -> None:
        checks.require_positive(stddev=[self.stddev])

    def encode_boxes(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Expresses the corners of each box as distances from its anchor's.

        Inverse of `decode_boxes`.

        Args:
            boxes: float32 [..., 4] yxyx.
            anchors: float32 yxyx, broadcastable to `boxes`, same unit.

        Returns:
            float32 [..., 4] codes, in the order of the corners.
        """
        return (boxes - anchors) / self.stddev

    def decode_boxes(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """Places each code's box around its anchor; nothing is clipped.

        Args:
            codes: float32 [..., 4].
            anchors: float32 yxyx, broadcastable to `codes`.

        Returns:
            float32 [..., 4] yxyx, in the anchors' unit.
        """
        return codes * self.stddev + anchors
