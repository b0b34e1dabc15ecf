"""Anchors of one feature map, in sizes and strides given in pixels.

The boxes of a detector are normalised, so the anchors are divided by the image
size. The original made them in pixels, and refused to do so for SSD.

Letters: A anchor.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from object_detection.anchor_generators import tiling
from object_detection.core import checks

Tensor = Any
Size = tiling.Size


@dataclasses.dataclass(frozen=True)
class GridAnchorGenerator:
    """Tiles the only feature map with every scale in every aspect ratio.

    Attributes:
        scales: multiply the base size.
        aspect_ratios: width over height.
        base_size_px: (height, width).
        stride_px: (height, width).
        offset_px: (y, x) of the first centre.
    """

    scales: tuple[float, ...]
    aspect_ratios: tuple[float, ...]
    base_size_px: tuple[int, int] = (256, 256)
    stride_px: tuple[int, int] = (16, 16)
    offset_px: tuple[int, int] = (0, 0)

    is_shape_major = False

    def __post_init__(self) -> None:
        checks.require_positive(
            scales=self.scales,
            aspect_ratios=self.aspect_ratios,
            height=self.base_size_px[:1],
            width=self.base_size_px[1:],
            height_stride=self.stride_px[:1],
            width_stride=self.stride_px[1:],
        )

    @property
    def num_anchors_per_location(self) -> list[int]:
        """How many anchors each location of the only map has."""
        return [len(self.scales) * len(self.aspect_ratios)]

    def generate(
        self,
        feature_map_sizes: Sequence[tuple[Size, Size]],
        image_size: tuple[Size, Size],
    ) -> Tensor:
        """Returns the anchors of an image.

        The order is y, x, aspect ratio, scale, the last fastest.

        Args:
            feature_map_sizes: (height, width) of the only map.
            image_size: (height, width) in px of the image that the network
                sees, padding included.

        Returns:
            float32 [A, 4] yxyx, normalised to the image: a numpy array when
            every size is a Python int, else a tensor. Not clipped.

        Raises:
            ValueError: more than one map.
        """
        if len(feature_map_sizes) != 1:
            raise ValueError(
                "expected one feature map for a grid of anchors, got "
                f"{len(feature_map_sizes)}"
            )
        grid_size = feature_map_sizes[0]
        xp = tiling.array_namespace([*image_size, *grid_size])
        anchors_A4 = tiling.tile(
            xp,
            grid_size,
            tuple(np.float32(self.stride_px)),
            tuple(np.float32(self.offset_px)),
            tiling.anchor_shapes(
                xp,
                *tiling.cross(self.scales, self.aspect_ratios),
                tuple(np.float32(self.base_size_px)),
            ),
        )
        return tiling.divide_by_image_size(xp, anchors_A4, image_size)
