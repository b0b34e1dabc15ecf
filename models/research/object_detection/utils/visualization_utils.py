"""Draws boxes with class names and scores on pictures.

Boxes are in pixels of the picture that is drawn on, corners (ymin, xmin,
ymax, xmax). Dimensions: H W pixel, N box.
"""

import colorsys
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from object_detection.core import standard_fields as fields

_INPUT = fields.InputDataFields
_RESULT = fields.DetectionResultFields

# Hues a golden section apart stay distinct however many classes there are.
_GOLDEN_SECTION = 0.618034
_GAP_BETWEEN_PICTURES_PX = 6
_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)


class VisualizationOptions(NamedTuple):
    """What is drawn in an evaluation.

    Attributes:
        num_visualizations: so many images, the first ones.
        min_score_threshold: only detections with a score above it.
        max_num_boxes: only so many detections, the highest scores first.
    """

    num_visualizations: int = 10
    min_score_threshold: float = 0.5
    max_num_boxes: int = 20


class Label(NamedTuple):
    """The text of one box and its colour."""

    text: str
    color: tuple[int, int, int]


class _Rectangle(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int

    def overlaps(self, other: "_Rectangle") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def draw_boxes(
    image: np.ndarray, boxes_yxyx_px: np.ndarray, labels: Sequence[Label]
) -> np.ndarray:
    """Draws boxes, the first on top, with their labels inside the picture.

    A label goes where there is room: above its box, inside it, or below; the
    first boxes choose first. Line and letters grow with the picture.

    Args:
        image: uint8 [H, W, 3], left as it is.
        boxes_yxyx_px: float [N, 4], clipped to the picture.
        labels: N labels; an empty text draws the box alone.

    Returns:
        uint8 [H, W, 3].
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    draw = ImageDraw.Draw(picture)
    font_px = max(11, round(min(picture.size) / 32))
    line_px = max(2, round(min(picture.size) / 240))
    rectangles = [
        _to_rectangle(box, picture.size) for box in np.asarray(boxes_yxyx_px)
    ]
    pairs = list(zip(rectangles, labels, strict=True))
    for rectangle, label in reversed(pairs):
        draw.rectangle(rectangle, outline=label.color, width=line_px)
    taken: list[_Rectangle] = []
    placed: list[tuple[_Rectangle, Label]] = []
    for rectangle, label in pairs:
        if label.text:
            size = _text_size(label.text, font_px)
            place = _place_label(rectangle, size, picture.size, taken)
            taken.append(place)
            placed.append((place, label))
    for place, label in reversed(placed):
        draw.rectangle(place, fill=label.color)
        draw.text(
            (place.left + font_px // 4, place.top),
            label.text,
            fill=_readable_on(label.color),
            font=_font(font_px),
        )
    return np.asarray(picture)


def class_color(class_id: int) -> tuple[int, int, int]:
    """Returns the class's own colour, bright, as (red, green, blue)."""
    hue = (class_id * _GOLDEN_SECTION) % 1.0
    # Neighbouring hues also differ in brightness.
    value = (1.0, 0.82)[class_id % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_detections_beside_groundtruth(
    image: np.ndarray,
    detections: Mapping[str, np.ndarray],
    groundtruth: Mapping[str, np.ndarray],
    category_index: Mapping[int, Mapping[str, Any]],
    *,
    min_score_threshold: float = 0.5,
    max_num_boxes: int = 20,
) -> np.ndarray:
    """Draws detections on the left and all groundtruth on the right.

    Args:
        image: uint8 [H, W, 3].
        detections: `detection_boxes` [N, 4] in pixels of `image`,
            `detection_scores` [N], `detection_classes` [N], ids from 1.
        groundtruth: `groundtruth_boxes` [N, 4] in pixels of `image`,
            `groundtruth_classes` [N]; optional `groundtruth_is_crowd` [N].
        category_index: class id to a mapping with its 'name'.
        min_score_threshold: only scores above it are drawn.
        max_num_boxes: only so many detections, the highest scores first.

    Returns:
        uint8 [H, 2 * W + gap, 3].
    """
    scores = np.asarray(detections[_RESULT.detection_scores])
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > min_score_threshold][:max_num_boxes]
    classes = np.asarray(detections[_RESULT.detection_classes]).astype(int)
    left = draw_boxes(
        image,
        np.asarray(detections[_RESULT.detection_boxes])[order],
        [
            _label(classes[i], category_index, f" {scores[i]:.0%}")
            for i in order
        ],
    )
    gt_classes = np.asarray(groundtruth[_INPUT.groundtruth_classes]).astype(int)
    is_crowd = groundtruth.get(_INPUT.groundtruth_is_crowd)
    if is_crowd is None:
        is_crowd = np.zeros(len(gt_classes), bool)
    right = draw_boxes(
        image,
        groundtruth[_INPUT.groundtruth_boxes],
        [
            _label(class_id, category_index, " crowd" if crowd else "")
            for class_id, crowd in zip(gt_classes, is_crowd, strict=True)
        ],
    )
    return side_by_side(left, right)


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Joins two uint8 [H, W, 3] pictures with a thin white line between."""
    gap = np.full((left.shape[0], _GAP_BETWEEN_PICTURES_PX, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _label(
    class_id: int, category_index: Mapping[int, Mapping[str, Any]], suffix: str
) -> Label:
    category = category_index.get(int(class_id))
    name = str(category["name"]) if category else f"class {class_id}"
    return Label(name + suffix, class_color(int(class_id)))


def _to_rectangle(
    box_yxyx: np.ndarray, picture_size: tuple[int, int]
) -> _Rectangle:
    width, height = picture_size
    high = [height - 1, width - 1] * 2
    ymin, xmin, ymax, xmax = np.clip(np.round(box_yxyx), 0, high).astype(int)
    return _Rectangle(
        int(xmin), int(ymin), int(max(xmin, xmax)), int(max(ymin, ymax))
    )


def _place_label(
    box: _Rectangle,
    text_size: tuple[int, int],
    picture_size: tuple[int, int],
    taken: Sequence[_Rectangle],
) -> _Rectangle:
    """Finds a free place for a label, wholly inside the picture if it fits."""
    width, height = text_size
    candidates = []
    for left, top in (
        (box.left, box.top - height),
        (box.left, box.top),
        (box.left, box.bottom),
        (box.left, box.bottom - height),
        (box.right, box.top),
    ):
        left = max(0, min(left, picture_size[0] - 1 - width))
        top = max(0, min(top, picture_size[1] - 1 - height))
        candidates.append(_Rectangle(left, top, left + width, top + height))
    for place in candidates:
        if not any(place.overlaps(other) for other in taken):
            return place
    return candidates[0]


def _text_size(text: str, font_px: int) -> tuple[int, int]:
    # The height is that of a whole line, so that all labels are equal.
    ascent, descent = _font(font_px).getmetrics()
    width = _font(font_px).getlength(text)
    return round(width) + 2 * (font_px // 4), ascent + descent


@functools.cache
def _font(font_px: int) -> ImageFont.FreeTypeFont:
    # DejaVu comes with matplotlib and has Latin, Greek, Cyrillic and more.
    path = os.path.join(
        matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"
    )
    return ImageFont.truetype(path, font_px)


def _readable_on(color: tuple[int, int, int]) -> tuple[int, int, int]:
    # Luma of ITU-R BT.601.
    luma = float(np.dot(color, (0.299, 0.587, 0.114)))
    return _BLACK if luma > 140 else _WHITE
