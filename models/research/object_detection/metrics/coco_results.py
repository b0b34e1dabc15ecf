"""Detections as rows of COCO's result format, which pycocotools reads."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_INTEGER = re.compile(r"[0-9]{1,18}")


def rows_of_image(
    image_id: int | str,
    boxes_px: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    category_ids: Mapping[int, int],
) -> Iterator[dict[str, Any]]:
    """Yields a row for each box: x, y, width and height in pixels.

    Args:
        image_id: of the image.
        boxes_px: [N, 4] yxyx.
        scores: [N].
        classes: [N], ids of the label map.
        category_ids: what the rows call classes, where it is not their id.
    """
    for (ymin, xmin, ymax, xmax), score, class_id in zip(
        boxes_px, scores, classes, strict=True
    ):
        yield {
            "image_id": image_id,
            "category_id": category_ids.get(int(class_id), int(class_id)),
            "bbox": [
                _shortest(side)
                for side in (xmin, ymin, xmax - xmin, ymax - ymin)
            ],
            "score": _shortest(score),
        }


def image_id_of(source_id: str) -> int | str:
    """Returns the number that an id is, as 000000397133 is one, or its text."""
    return int(source_id) if _INTEGER.fullmatch(source_id) else source_id


def _shortest(value: np.float32) -> float:
    """The float of fewest digits that is this float32."""
    return float(str(np.float32(value)))
