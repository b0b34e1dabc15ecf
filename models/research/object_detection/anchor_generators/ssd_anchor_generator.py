"""Anchors of SSD: each feature map has a scale, the finest the smallest.

Map i has anchors of scale s_i in every aspect ratio, and one more of scale
sqrt(s_i * s_{i+1}). A scale is a share of the image's shorter side. Source:
Liu et al. 2016, https://arxiv.org/abs/1512.02325, section 2.2.

Letters: A anchor (all maps).
"""

import dataclasses
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from object_detection.anchor_generators import tiling
from object_detection.core import checks

Tensor = Any
Size = tiling.Size

# What the coarsest map's scale is interpolated with: the whole image.
_LAST_SCALE = 1.0
# Scale and ratio of the only square anchor of a reduced first map.
_REDUCED_ANCHOR = (0.1, 1.0)


def linear_scales(
    min_scale: float, max_scale: float, num_layers: int
) -> tuple[float, ...]:
    """Returns scales at equal distances, ends included; one is `min_scale`."""
    if num_layers == 1:
        return (min_scale,)
    step = (max_scale - min_scale) / (num_layers - 1)
    return tuple(min_scale + step * i for i in range(num_layers))


@dataclasses.dataclass(frozen=True)
class SsdAnchorGenerator:
    """Tiles each feature map with anchors of its own scale.

    Attributes:
        scales: one for each map.
        aspect_ratios: width over height; may be empty.
        interpolated_scale_aspect_ratio: of the anchor between two scales; 0
            or less for none.
        reduce_boxes_in_lowest_layer: three anchors on the first map: scale
            0.1 of ratio 1, and its scale of ratios 2 and 0.5.
        base_anchor_size: height and width at scale 1, as shares of the
            image's shorter side.
        strides_px: (height, width) for each map; None is the image size over
            the map's.
        offsets_px: (y, x) of the first centre of each map; None is half the
            stride.
    """

    scales: tuple[float, ...]
    aspect_ratios: tuple[float, ...]
    interpolated_scale_aspect_ratio: float = 1.0
    reduce_boxes_in_lowest_layer: bool = True
    base_anchor_size: tuple[float, float] = (1.0, 1.0)
    strides_px: tuple[tuple[int, int], ...] | None = None
    offsets_px: tuple[tuple[int, int], ...] | None = None

    is_shape_major = False

    def __post_init__(self) -> None:
        height, width = self.base_anchor_size
        # Without any aspect ratio the interpolated anchor is left.
        checks.require_positive(
            scales=self.scales,
            aspect_ratios=self.aspect_ratios or [1.0],
            base_anchor_height=[height],
            base_anchor_width=[width],
        )
        if 0 in self.num_anchors_per_location:
            raise ValueError(
                "aspect_ratios: expected some, or a positive "
                "interpolated_scale_aspect_ratio, got neither"
            )
        for name, pairs in (
            ("stride", self.strides_px),
            ("offset", self.offsets_px),
        ):
            if pairs is not None and len(pairs) != len(self.scales):
                raise ValueError(
                    f"height_{name}: expected one for each of the "
                    f"{len(self.scales)} layers, got {len(pairs)}"
                )
        if self.strides_px is not None:
            heights, widths = zip(*self.strides_px, strict=True)
            checks.require_positive(height_stride=heights, width_stride=widths)

    @property
    def num_anchors_per_location(self) -> list[int]:
        """How many anchors each location has, map by map."""
        return [len(self._anchors(i)) for i in range(len(self.scales))]

    def generate(
        self,
        feature_map_sizes: Sequence[tuple[Size, Size]],
        image_size: tuple[Size, Size],
    ) -> Tensor:
        """Returns the anchors of an image, map after map.

        Within a map the order is y, x, anchor, the last fastest; anchors go
        by ratio as given, then comes the interpolated one.

        Args:
            feature_map_sizes: (height, width) of each map.
            image_size: (height, width) in px of the image that the network
                sees, padding included.

        Returns:
            float32 [A, 4] yxyx, normalised to the image: a numpy array when
            every size is a Python int, else a tensor. Not clipped.

        Raises:
            ValueError: another number of maps than scales.
        """
        if len(feature_map_sizes) != len(self.scales):
            raise ValueError(
                f"{len(self.scales)} layers need as many feature maps, got "
                f"{len(feature_map_sizes)}"
            )
        sizes = [*image_size, *(s for hw in feature_map_sizes for s in hw)]
        xp = tiling.array_namespace(sizes)
        image_size = tuple(tiling.to_float32(xp, size) for size in image_size)
        return xp.concatenate(
            [
                self._tile_map(xp, i, grid_size, image_size)
                for i, grid_size in enumerate(feature_map_sizes)
            ],
            axis=0,
        )

    def _tile_map(
        self,
        xp: ModuleType,
        i: int,
        grid_size: tuple[Size, Size],
        image_size: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Returns float32 [H * W * P, 4] yxyx, normalised."""
        strides = tuple(tiling.inverse(xp, size) for size in grid_size)
        if self.strides_px is not None:
            strides = _divide(self.strides_px[i], image_size)
        offsets = tuple(np.float32(0.5) * stride for stride in strides)
        if self.offsets_px is not None:
            offsets = _divide(self.offsets_px[i], image_size)
        shorter_side = xp.minimum(*image_size)
        base_size = tuple(
            shorter_side / side * np.float32(base)
            for side, base in zip(
                image_size, self.base_anchor_size, strict=True
            )
        )
        scales, aspect_ratios = zip(*self._anchors(i), strict=True)
        shapes_P2 = tiling.anchor_shapes(xp, scales, aspect_ratios, base_size)
        return tiling.tile(xp, grid_size, strides, offsets, shapes_P2)

    def _anchors(self, i: int) -> list[tuple[float, float]]:
        """Returns (scale, aspect ratio) of each anchor of map i."""
        scale = self.scales[i]
        if i == 0 and self.reduce_boxes_in_lowest_layer:
            return [_REDUCED_ANCHOR, (scale, 2.0), (scale, 0.5)]
        anchors = [(scale, ratio) for ratio in self.aspect_ratios]
        if self.interpolated_scale_aspect_ratio > 0:
            next_scale = (*self.scales, _LAST_SCALE)[i + 1]
            anchors.append(
                (
                    math.sqrt(scale * next_scale),
                    self.interpolated_scale_aspect_ratio,
                )
            )
        return anchors


def _divide(
    pair_px: tuple[int, int], image_size: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    return tuple(
        np.float32(value) / size
        for value, size in zip(pair_px, image_size, strict=True)
    )
