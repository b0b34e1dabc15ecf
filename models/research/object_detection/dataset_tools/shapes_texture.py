"""Surfaces, clutter and light of the shapes scenes; all drawing in place.

Pictures are float32 [H, W, 3] in 0..255, RGB.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# The farthest that a shadow's shift and blur reach.
_SHADOW_MARGIN_PX = 12


def background(
    rng: np.random.Generator, height_px: int, width_px: int
) -> np.ndarray:
    """Returns a picture of two colours mixed by noise, grain or stripes."""
    # Nearly grey, as walls, floors and roads are beside things.
    first, second = rng.uniform(35, 220, size=(2, 1)) + rng.uniform(
        -25, 25, size=(2, 3)
    )
    # Near colours make calm backgrounds, far colours make loud ones.
    second = first + (second - first) * rng.uniform(0.1, 0.7)
    mix = _pattern(rng, height_px, width_px)[..., None]
    pixels = (first + (second - first) * mix).astype(np.float32)
    grain = rng.normal(0, rng.uniform(0, 8), (height_px, width_px, 1))
    pixels += grain.astype(np.float32)
    return pixels


def paint(
    rng: np.random.Generator,
    pixels: np.ndarray,
    coverage: np.ndarray,
    hue: float,
) -> None:
    """Paints a textured, shaded surface with a soft shadow beside it.

    Args:
        rng: source of colour, texture and shadow.
        pixels: picture, changed in place.
        coverage: float32 [H, W] in 0..1, the shape.
        hue: the middle of the colours that it may have, in 0..1.
    """
    rows = np.flatnonzero(coverage.any(axis=1))
    columns = np.flatnonzero(coverage.any(axis=0))
    if not rows.size:
        return
    margin = _SHADOW_MARGIN_PX
    around = np.s_[
        max(rows[0] - margin, 0) : rows[-1] + margin,
        max(columns[0] - margin, 0) : columns[-1] + margin,
    ]
    _cast_shadow(rng, pixels[around], coverage[around])
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alpha = coverage[window][..., None]
    colour = _contrasting_colour(rng, hue, pixels[window].mean(axis=(0, 1)))
    accent = colour * rng.uniform(0.5, 1.4) + rng.uniform(-25, 25, size=3)
    mix = _pattern(rng, *alpha.shape[:2])[..., None] * rng.uniform(0, 1)
    surface = colour + (accent - colour) * mix
    surface *= 1 + rng.uniform(0, 0.35) * _ramp(rng, *alpha.shape[:2])
    pixels[window] += alpha * (surface.clip(0, 255) - pixels[window])


def draw_clutter(rng: np.random.Generator, pixels: np.ndarray) -> None:
    """Draws one thing that is no shape: a line, scribble, streak or blob."""
    height_px, width_px = pixels.shape[:2]
    layer = Image.new("L", (width_px, height_px))
    draw = ImageDraw.Draw(layer)
    anchor = rng.uniform((0, 0), (width_px, height_px))
    kind = rng.integers(4)
    if kind == 0:
        end = rng.uniform((0, 0), (width_px, height_px))
        draw.line([*anchor, *end], fill=255, width=int(rng.integers(1, 5)))
    elif kind == 1:
        steps = rng.normal(0, 14, size=(12, 2)).cumsum(axis=0) + anchor
        draw.line([tuple(point) for point in steps], fill=255, width=2)
    elif kind == 2:
        # A fading streak, as of dirt or reflections, never closed.
        end = anchor + rng.uniform(-60, 60, size=2)
        draw.line([*anchor, *end], fill=160, width=int(rng.integers(5, 12)))
        layer = layer.filter(ImageFilter.GaussianBlur(4))
    else:
        points = anchor + rng.normal(0, 10, size=(14, 2))
        for x, y in points:
            draw.rectangle([x, y, x + 1, y + 1], fill=255)
    alpha = np.asarray(layer, np.float32)[..., None] / 255.0
    colour = rng.uniform(0, 255, size=3).astype(np.float32)
    pixels += alpha * rng.uniform(0.3, 1.0) * (colour - pixels)


def light_and_camera(rng: np.random.Generator, pixels: np.ndarray) -> None:
    """Applies a light gradient, vignetting, blur and sensor noise."""
    height_px, width_px = pixels.shape[:2]
    pixels *= 1 + rng.uniform(0, 0.3) * _ramp(rng, height_px, width_px)
    y = np.linspace(-1, 1, height_px, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width_px, dtype=np.float32)[None, :]
    pixels *= (1 - rng.uniform(0, 0.25) * (y * y + x * x))[..., None]
    radius_px = rng.uniform(0, 1.1)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    pixels[:] = np.asarray(image.filter(ImageFilter.GaussianBlur(radius_px)))
    noise = rng.normal(0, rng.uniform(1, 7), pixels.shape)
    pixels += noise.astype(np.float32)


def _cast_shadow(
    rng: np.random.Generator, pixels: np.ndarray, coverage: np.ndarray
) -> None:
    """Darkens what lies a few pixels down and aside of the shape."""
    image = Image.fromarray((coverage * 255).astype(np.uint8))
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(2)), np.float32)
    shift_yx_px = rng.integers(1, 5, size=2)
    shadow = np.roll(soft, shift_yx_px, axis=(0, 1))
    shadow[: shift_yx_px[0]] = 0
    shadow[:, : shift_yx_px[1]] = 0
    pixels *= 1 - shadow[..., None] / 255.0 * rng.uniform(0.1, 0.5)


def _contrasting_colour(
    rng: np.random.Generator, hue: float, behind: np.ndarray
) -> np.ndarray:
    """Draws a colour near `hue` that a person can tell from the one behind."""
    candidates = np.array(
        [
            colorsys.hsv_to_rgb(
                (hue + rng.uniform(-0.07, 0.07)) % 1.0,
                rng.uniform(0.55, 1.0),
                rng.uniform(0.45, 1.0),
            )
            for _ in range(16)
        ]
    )
    candidates *= 255
    distances = np.linalg.norm(candidates - behind, axis=1)
    visible = np.flatnonzero(distances > 70)
    return candidates[visible[0] if visible.size else distances.argmax()]


def _ramp(
    rng: np.random.Generator, height_px: int, width_px: int
) -> np.ndarray:
    """Returns float32 [H, W, 1] from -1 to 1 along a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, height_px, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width_px, dtype=np.float32)[None, :]
    ramp = np.float32(np.sin(angle)) * y + np.float32(np.cos(angle)) * x
    return (ramp / np.float32(np.sqrt(2)))[..., None]


def _pattern(
    rng: np.random.Generator, height_px: int, width_px: int
) -> np.ndarray:
    """Returns float32 [H, W] in 0..1: ramp, clouds, stripes or waves."""
    kind = rng.integers(4)
    if kind == 0:
        return 0.5 + 0.5 * _ramp(rng, height_px, width_px)[..., 0]
    clouds = _clouds(rng, height_px, width_px)
    if kind == 1:
        return clouds
    angle, period_px = rng.uniform(0, np.pi), rng.uniform(5, 30)
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32)
    phase = (np.sin(angle) * y + np.cos(angle) * x) / period_px
    if kind == 3:
        phase += 2 * clouds
    return 0.5 + 0.5 * np.sin(2 * np.pi * phase).astype(np.float32)


def _clouds(
    rng: np.random.Generator, height_px: int, width_px: int
) -> np.ndarray:
    """Returns float32 [H, W] in 0..1: smooth noise of three octaves."""
    total = np.zeros((height_px, width_px), np.float32)
    for octave in range(3):
        cells = 3 * 2**octave
        grid = rng.uniform(0, 255, size=(cells, cells)).astype(np.uint8)
        image = Image.fromarray(grid).resize(
            (width_px, height_px), Image.Resampling.BICUBIC
        )
        total += np.asarray(image, np.float32) / 255.0 / 2**octave
    return total / 1.75
