"""Anchors of RetinaNet: each pyramid level has its own size.

Level l has a stride of 2^l pixels and anchors of side anchor_scale * 2^l
times 2^(k / scales_per_octave), stretched to each aspect ratio. Source: Lin
et al. 2017, https://arxiv.org/abs/1708.02002, section 4.

Letters: A anchor (all levels), P anchor at one location, H W grid.
"""

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from object_detection.anchor_generators import tiling
from object_detection.core import checks

Tensor = Any
Size = tiling.Size


@dataclasses.dataclass(frozen=True)
class MultiscaleAnchorGenerator:
    """Tiles every level of a pyramid with the same anchor shapes.

    Attributes:
        min_level: first level, of stride 2^min_level px.
        max_level: last level.
        anchor_scale: anchor side over stride, before the octave scales.
        aspect_ratios: width over height.
        scales_per_octave: number of sizes at each level.
        normalize_coordinates: divide by the image size; else pixels.
    """

    min_level: int
    max_level: int
    anchor_scale: float
    aspect_ratios: tuple[float, ...]
    scales_per_octave: int
    normalize_coordinates: bool = True

    is_shape_major = False

    def __post_init__(self) -> None:
        if self.min_level > self.max_level:
            raise ValueError(
                f"min_level: must be at most max_level {self.max_level}, got "
                f"{self.min_level}"
            )
        checks.require_positive(
            aspect_ratios=self.aspect_ratios,
            anchor_scale=[self.anchor_scale],
            scales_per_octave=[self.scales_per_octave],
        )

    @property
    def num_anchors_per_location(self) -> list[int]:
        """How many anchors each location has, level by level."""
        num_anchors = len(self.aspect_ratios) * self.scales_per_octave
        return [num_anchors] * (self.max_level - self.min_level + 1)

    def generate(
        self,
        feature_map_sizes: Sequence[tuple[Size, Size]],
        image_size: tuple[Size, Size],
    ) -> Tensor:
        """Returns the anchors of an image, level after level.

        Within a level the order is y, x, aspect ratio, octave scale, the last
        fastest. A level's first centre lies at half a stride on an axis whose
        image size is a known multiple of the stride (or 1), at 0 otherwise.

        Args:
            feature_map_sizes: (height, width) of each level's map.
            image_size: (height, width) in px of the image that the network
                sees, padding included.

        Returns:
            float32 [A, 4] yxyx: a numpy array when every size is a Python
            int, else a tensor. Not clipped to the image.

        Raises:
            ValueError: another number of maps than levels, or an image side
                of 1 px with normalised coordinates.
        """
        num_levels = self.max_level - self.min_level + 1
        if len(feature_map_sizes) != num_levels:
            raise ValueError(
                f"levels {self.min_level} to {self.max_level} need "
                f"{num_levels} feature maps, got {len(feature_map_sizes)}"
            )
        if self.normalize_coordinates and 1 in [
            size for size in image_size if isinstance(size, int)
        ]:
            raise ValueError(
                f"cannot normalise by an image size of {image_size} px"
            )
        sizes = [*image_size, *(s for hw in feature_map_sizes for s in hw)]
        xp = tiling.array_namespace(sizes)
        anchors_A4 = xp.concatenate(
            [
                self._tile_level(xp, self.min_level + i, grid_size, image_size)
                for i, grid_size in enumerate(feature_map_sizes)
            ],
            axis=0,
        )
        if self.normalize_coordinates:
            anchors_A4 = tiling.divide_by_image_size(xp, anchors_A4, image_size)
        return anchors_A4

    def _tile_level(
        self,
        xp: ModuleType,
        level: int,
        grid_size: tuple[Size, Size],
        image_size: tuple[Size, Size],
    ) -> Tensor:
        """Returns float32 [H * W * P, 4] yxyx in pixels."""
        stride_px = np.float32(2**level)
        base_px = np.float32(2**level * self.anchor_scale)
        octaves = range(self.scales_per_octave)
        scales, aspect_ratios = tiling.cross(
            [2 ** (k / self.scales_per_octave) for k in octaves],
            self.aspect_ratios,
        )
        height_px, width_px = image_size
        return tiling.tile(
            xp,
            grid_size,
            (stride_px, stride_px),
            (
                _first_center_px(height_px, 2**level),
                _first_center_px(width_px, 2**level),
            ),
            tiling.anchor_shapes(xp, scales, aspect_ratios, (base_px, base_px)),
        )


def _first_center_px(size_px: Size, stride_px: int) -> np.float32:
    # A size that is not a known multiple of the stride gives no offset. It
    # shifts the anchors, and trained weights have learnt with the shift.
    is_aligned = isinstance(size_px, int) and (
        size_px % stride_px == 0 or size_px == 1
    )
    return np.float32(stride_px / 2 if is_aligned else 0.0)
