"""Renders one small scene of shapes, with its exact groundtruth.

Everything is drawn by numpy from one random generator, so a seed gives the
same picture on every machine. The visible part of a shape is known per pixel:
boxes and areas are those of the pixels that no later shape covers.
"""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from object_detection.data_decoders.annotated_image import ObjectAnnotation
from object_detection.dataset_tools import shapes_texture

CLASS_NAMES = ("circle", "square", "triangle", "star", "ring")

# As most things in photographs, each class has its typical colours: around
# red, green, blue, yellow and violet.
_CLASS_HUES = dict(zip(CLASS_NAMES, (0.0, 0.36, 0.58, 0.15, 0.8), strict=True))

# Groundtruth follows what a person could still name: less is left out.
MIN_VISIBLE_FRACTION = 0.3
MIN_VISIBLE_SIDE_PX = 6

_SUPERSAMPLING = 3
_RING_HOLE = 0.55


@dataclasses.dataclass(frozen=True)
class SceneStyle:
    """Ranges that a scene is drawn from.

    Attributes:
        height_px: of the picture.
        width_px: of the picture.
        max_shapes: one to this many shapes are drawn.
        min_diameter_px: of a shape; log-uniform up to the largest.
        max_diameter_px: of a shape.
        crowd_probability: of one dense group of tiny shapes in the scene.
    """

    height_px: int = 160
    width_px: int = 192
    max_shapes: int = 5
    min_diameter_px: float = 32.0
    max_diameter_px: float = 96.0
    crowd_probability: float = 0.08


def render_scene(
    rng: np.random.Generator, style: SceneStyle
) -> tuple[np.ndarray, list[ObjectAnnotation]]:
    """Draws background, clutter, perhaps a crowd, then shapes, then light.

    Returns:
        uint8 [H, W, 3], and the objects from back to front. A crowd is one
        object with `is_crowd`.
    """
    size = style.height_px, style.width_px
    pixels = shapes_texture.background(rng, *size)
    for _ in range(rng.integers(0, 6)):
        shapes_texture.draw_clutter(rng, pixels)
    layers = []
    if rng.random() < style.crowd_probability:
        layers.append(_draw_crowd(rng, pixels))
    for _ in range(rng.integers(1, style.max_shapes + 1)):
        layers.append(_draw_shape(rng, pixels, style))
    shapes_texture.light_and_camera(rng, pixels)
    objects = _visible_objects(layers)
    return pixels.round().clip(0, 255).astype(np.uint8), objects


@dataclasses.dataclass
class _Layer:
    """A drawn shape; `mask` is [H, W], what it covers of the picture."""

    class_name: str
    mask: np.ndarray
    full_area_px: float
    is_crowd: bool = False


def _draw_shape(
    rng: np.random.Generator, pixels: np.ndarray, style: SceneStyle
) -> _Layer:
    """Paints one shape with its shadow; its centre lies in the picture."""
    height_px, width_px = pixels.shape[:2]
    class_name = str(rng.choice(CLASS_NAMES))
    diameter_px = np.exp(
        rng.uniform(
            np.log(style.min_diameter_px), np.log(style.max_diameter_px)
        )
    )
    center_yx_px = rng.uniform((0, 0), (height_px, width_px))
    outline = shape_outline(class_name, rng)
    outline *= rng.uniform(0.8, 1.2, size=2) * diameter_px / 2
    coverage = _coverage(class_name, outline + center_yx_px, pixels.shape)
    shapes_texture.paint(rng, pixels, coverage, _CLASS_HUES[class_name])
    return _Layer(
        class_name, coverage > 0.5, _outline_area_px(class_name, outline)
    )


def _draw_crowd(rng: np.random.Generator, pixels: np.ndarray) -> _Layer:
    """Paints 20 to 45 tiny shapes of one class, as one layer."""
    height_px, width_px = pixels.shape[:2]
    class_name = str(rng.choice(CLASS_NAMES[:3]))
    center_yx_px = rng.uniform((0.2, 0.2), (0.8, 0.8)) * (height_px, width_px)
    extent_yx_px = rng.uniform(16, 40, size=2)
    union = np.zeros((height_px, width_px), bool)
    for _ in range(rng.integers(20, 46)):
        offset_yx_px = rng.uniform(-1, 1, size=2) * extent_yx_px
        outline = shape_outline(class_name, rng) * rng.uniform(3.0, 5.5)
        coverage = _coverage(
            class_name, outline + center_yx_px + offset_yx_px, pixels.shape
        )
        shapes_texture.paint(rng, pixels, coverage, _CLASS_HUES[class_name])
        union |= coverage > 0.5
    return _Layer(class_name, union, float(union.sum()), is_crowd=True)


def shape_outline(class_name: str, rng: np.random.Generator) -> np.ndarray:
    """Returns the corners of a shape of radius 1 at a random rotation.

    Returns:
        float64 [N, 2], (y, x) around (0, 0). For "ring", the outer circle.
    """
    angle = rng.uniform(0, 2 * np.pi)
    if class_name in ("circle", "ring"):
        count, radii = 48, np.ones(48)
    elif class_name == "square":
        count, radii = 4, np.ones(4)
    elif class_name == "triangle":
        count, radii = 3, np.ones(3)
    elif class_name == "star":
        count, radii = 10, np.tile([1.0, rng.uniform(0.38, 0.5)], 5)
    else:
        raise ValueError(f"expected one of {CLASS_NAMES}, got {class_name!r}")
    angles = angle + np.arange(count) * 2 * np.pi / count
    return np.stack([np.sin(angles), np.cos(angles)], axis=1) * radii[:, None]


def _coverage(
    class_name: str, outline_yx_px: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Returns float32 [H, W], the covered fraction of each pixel."""
    coverage = np.zeros(shape[:2], np.float32)
    # Only the outline's own window is drawn: a third of the time.
    start = np.floor(outline_yx_px.min(axis=0)).astype(int).clip(0)
    stop = np.ceil(outline_yx_px.max(axis=0)).astype(int) + 1
    height_px, width_px = np.minimum(stop, shape[:2]) - start
    if height_px <= 0 or width_px <= 0:
        return coverage
    canvas = Image.new(
        "L", (width_px * _SUPERSAMPLING, height_px * _SUPERSAMPLING)
    )
    draw = ImageDraw.Draw(canvas)
    draw.polygon(_as_xy(outline_yx_px - start), fill=255)
    if class_name == "ring":
        center = outline_yx_px.mean(axis=0)
        hole = center + (outline_yx_px - center) * _RING_HOLE
        draw.polygon(_as_xy(hole - start), fill=0)
    fine = np.asarray(canvas, np.float32) / 255.0
    coarse = fine.reshape(height_px, _SUPERSAMPLING, width_px, _SUPERSAMPLING)
    window = np.s_[
        start[0] : start[0] + height_px, start[1] : start[1] + width_px
    ]
    coverage[window] = coarse.mean(axis=(1, 3))
    return coverage


def _as_xy(outline_yx_px: np.ndarray) -> list[tuple[float, float]]:
    return [(x * _SUPERSAMPLING, y * _SUPERSAMPLING) for y, x in outline_yx_px]


def _outline_area_px(class_name: str, outline_yx_px: np.ndarray) -> float:
    """Area of the whole shape by the shoelace formula."""
    y, x = outline_yx_px.T
    area = 0.5 * abs(np.dot(y, np.roll(x, 1)) - np.dot(x, np.roll(y, 1)))
    return area * (1 - _RING_HOLE**2) if class_name == "ring" else area


def _visible_objects(layers: list[_Layer]) -> list[ObjectAnnotation]:
    """Turns layers, back to front, into boxes of what can still be seen."""
    objects = []
    covered = np.zeros(layers[0].mask.shape, bool)
    for layer in reversed(layers):
        visible = layer.mask & ~covered
        covered |= layer.mask
        rows = np.flatnonzero(visible.any(axis=1))
        columns = np.flatnonzero(visible.any(axis=0))
        area_px = float(visible.sum())
        fraction = area_px / layer.full_area_px
        if fraction < MIN_VISIBLE_FRACTION or not rows.size:
            continue
        ymin, ymax = float(rows[0]), float(rows[-1] + 1)
        xmin, xmax = float(columns[0]), float(columns[-1] + 1)
        if min(ymax - ymin, xmax - xmin) < MIN_VISIBLE_SIDE_PX:
            continue
        height_px, width_px = layer.mask.shape
        objects.append(
            ObjectAnnotation(
                class_name=layer.class_name,
                box_yxyx_px=(ymin, xmin, ymax, xmax),
                area_px=area_px,
                is_crowd=layer.is_crowd,
                is_difficult=fraction < 0.5,
                is_truncated=(
                    ymin == 0
                    or xmin == 0
                    or ymax == height_px
                    or xmax == width_px
                ),
            )
        )
    return objects[::-1]
