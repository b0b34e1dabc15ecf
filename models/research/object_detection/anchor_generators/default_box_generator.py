"""Default boxes of SSD, of which every number is given.

A box of scale s and aspect ratio a is s * sqrt(a) of the image wide and s /
sqrt(a) of it high. Source: Liu et al. 2016, https://arxiv.org/abs/1512.02325,
section 2.2.

Letters: A anchor (all maps), P anchor at one location, N place of a map.
"""

import dataclasses
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from object_detection.anchor_generators import tiling
from object_detection.core import checks

Tensor = Any
Size = tiling.Size


class Shape(NamedTuple):
    """A box without its place.

    Attributes:
        scale: square root of the area, as a share of the image.
        aspect_ratio: width over height.
    """

    scale: float
    aspect_ratio: float = 1.0


@dataclasses.dataclass(frozen=True)
class Level:
    """The boxes of one feature map: a scale, or the shapes themselves.

    Attributes:
        scale: of a square, of boxes of other ratios, and, between it and the
            next level's, of another square.
        aspect_ratios: those of the others, in their order.
        step_px: distance of the centres in px of the image, the first at half
            of it; None is the image size over the map's.
        shapes: all boxes, in place of scale and ratios.
    """

    scale: float | None = None
    aspect_ratios: tuple[float, ...] = ()
    step_px: float | None = None
    shapes: tuple[Shape, ...] = ()


@dataclasses.dataclass(frozen=True)
class DefaultBoxGenerator:
    """Tiles each feature map with the boxes that are given for it.

    Attributes:
        levels: one for each map, finest first.
        extra_scale: the last level's next scale.
        is_interpolated_second: whether the square between two scales comes
            before the other ratios, else last.
        is_shape_major: whether the boxes of a map go by shape, y, x; else by
            y, x, shape.
        clamps: whether y and x of the centres, heights and widths are each
            clamped to 0..1. Corners follow from what is left, so that they
            may still lie outside.
    """

    levels: tuple[Level, ...]
    extra_scale: float | None = None
    is_interpolated_second: bool = False
    is_shape_major: bool = False
    clamps: bool = False

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("level: expected one or more, got none")
        for i, level in enumerate(self.levels):
            _check_level(f"level[{i}]", level)
        self._check_extra_scale()
        for i, level in enumerate(self.levels[1:]):
            if self.levels[i].scale is not None and level.scale is None:
                raise ValueError(
                    f"level[{i + 1}].scale: expected one, for the square "
                    f"between it and that of level[{i}], got none; give "
                    f"level[{i}] shapes, too"
                )
        if self.is_interpolated_second and not any(
            level.scale for level in self.levels
        ):
            raise ValueError(
                "shape_order: has no effect where every level has shapes; "
                "remove it"
            )

    def _check_extra_scale(self) -> None:
        last = len(self.levels) - 1
        if self.levels[-1].scale is None:
            if self.extra_scale is not None:
                raise ValueError(
                    f"extra_scale: has no effect, as level[{last}] has "
                    "shapes; remove it"
                )
        elif self.extra_scale is None:
            raise ValueError(
                "extra_scale: expected one, for the square between it and "
                f"the scale of level[{last}], got none"
            )
        else:
            checks.require_positive(extra_scale=[self.extra_scale])

    @property
    def num_anchors_per_location(self) -> list[int]:
        """How many anchors each location has, map by map."""
        return [len(self._shapes(i)) for i in range(len(self.levels))]

    def generate(
        self,
        feature_map_sizes: Sequence[tuple[Size, Size]],
        image_size: tuple[Size, Size],
    ) -> Tensor:
        """Returns the anchors of an image, map after map.

        Args:
            feature_map_sizes: (height, width) of each map.
            image_size: (height, width) in px of the image that the network
                sees, padding included.

        Returns:
            float32 [A, 4] yxyx, normalised to the image: a numpy array when
            every size is a Python int, else a tensor. Not clipped.

        Raises:
            ValueError: another number of maps than levels.
        """
        if len(feature_map_sizes) != len(self.levels):
            raise ValueError(
                f"{len(self.levels)} levels need as many feature maps, got "
                f"{len(feature_map_sizes)}"
            )
        sizes = [*image_size, *(s for hw in feature_map_sizes for s in hw)]
        xp = tiling.array_namespace(sizes)
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
        image_size: tuple[Size, Size],
    ) -> Tensor:
        """Returns float32 [N * P, 4] yxyx, normalised."""
        strides = tuple(tiling.inverse(xp, size) for size in grid_size)
        step_px = self.levels[i].step_px
        if step_px is not None:
            strides = tuple(
                np.float32(step_px) / tiling.to_float32(xp, size)
                for size in image_size
            )
        offsets = tuple(np.float32(0.5) * stride for stride in strides)
        centers_N2 = tiling.grid_centers(xp, grid_size, strides, offsets)
        scales, aspect_ratios = zip(*self._shapes(i), strict=True)
        whole_image = (np.float32(1), np.float32(1))
        shapes_P2 = tiling.anchor_shapes(xp, scales, aspect_ratios, whole_image)
        if self.clamps:
            centers_N2 = xp.clip(centers_N2, 0.0, 1.0)
            shapes_P2 = xp.clip(shapes_P2, 0.0, 1.0)
        if self.is_shape_major:
            return tiling.place(xp, centers_N2[None], shapes_P2[:, None])
        return tiling.place(xp, centers_N2[:, None], shapes_P2[None])

    def _shapes(self, i: int) -> tuple[Shape, ...]:
        """Returns those of the boxes at each place of map i."""
        level = self.levels[i]
        if level.scale is None:
            return level.shapes
        next_scale = self.extra_scale
        if i + 1 < len(self.levels):
            next_scale = self.levels[i + 1].scale
        others = [Shape(level.scale, ratio) for ratio in level.aspect_ratios]
        between = [Shape(math.sqrt(level.scale * next_scale))]
        rest = (
            between + others
            if self.is_interpolated_second
            else others + between
        )
        return (Shape(level.scale), *rest)


def _check_level(name: str, level: Level) -> None:
    """Refuses a level that says too little, too much or nonsense."""
    if level.step_px is not None:
        checks.require_positive(**{f"{name}.step_px": [level.step_px]})
    if level.scale is None:
        if not level.shapes:
            raise ValueError(
                f"{name}: expected a scale, or shapes, got neither"
            )
        if level.aspect_ratios:
            raise ValueError(
                f"{name}.aspect_ratio: needs a scale; shapes have ratios of "
                "their own"
            )
        for i, shape in enumerate(level.shapes):
            checks.require_positive(
                **{
                    f"{name}.shape[{i}].scale": [shape.scale],
                    f"{name}.shape[{i}].aspect_ratio": [shape.aspect_ratio],
                }
            )
        return
    if level.shapes:
        raise ValueError(
            f"{name}.shape: does not go with {name}.scale; remove one of them"
        )
    checks.require_positive(
        **{
            f"{name}.scale": [level.scale],
            f"{name}.aspect_ratio": level.aspect_ratios or [1.0],
        }
    )
    if 1.0 in level.aspect_ratios:
        raise ValueError(
            f"{name}.aspect_ratio: expected none of 1, as the square is there "
            "without it; remove it"
        )
