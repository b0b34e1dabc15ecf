"""Outlines of COCO's annotations as PNG masks."""

import io
import reprlib
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from object_detection.core import errors
from object_detection.data_decoders import coco_json


def encode_mask(
    segmentation: Any, height_px: int, width_px: int, where: str
) -> bytes:
    """Draws an outline.

    Everything is checked before it reaches pycocotools, whose C code takes
    sizes and coordinates at their word.

    Args:
        segmentation: as in the JSON: a list of polygons, each a flat list
            x, y, x, y, ..., which are joined; or a run-length encoding with
            `size` and `counts`, as crowds have.
        height_px: of the image.
        width_px: of the image.
        where: place of the segmentation, for errors.

    Returns:
        A grayscale PNG of the image's size, 1 inside and 0 outside.

    Raises:
        DataError: a segmentation that is neither.
    """
    if isinstance(segmentation, dict):
        runs = _checked_runs(segmentation, height_px, width_px, where)
    else:
        runs = coco_mask.merge(
            coco_mask.frPyObjects(
                _checked_polygons(segmentation, height_px, width_px, where),
                height_px,
                width_px,
            )
        )
    pixels_HW = coco_mask.decode(runs)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels_HW)).save(stream, "PNG")
    return stream.getvalue()


def _checked_polygons(
    segmentation: Any, height_px: int, width_px: int, where: str
) -> list[list[float]]:
    if not isinstance(segmentation, list) or not segmentation:
        raise errors.DataError(
            f"{where}: expected polygons or a run-length encoding, found"
            f" {'an empty list' if segmentation == [] else 'neither'}"
        )
    # An outline may leave the image, and memory grows with its length.
    limit_px = 2 * max(height_px, width_px)
    for index, polygon in enumerate(segmentation):
        if (
            not isinstance(polygon, list)
            or len(polygon) < 6
            or len(polygon) % 2
            or not all(
                coco_json.is_number(value) and abs(value) <= limit_px
                for value in polygon
            )
        ):
            raise errors.DataError(
                f"{where}[{index}]: expected at least three corners x, y of"
                f" at most {limit_px} pixels in one list"
            )
    return segmentation


def _checked_runs(
    segmentation: dict[str, Any], height_px: int, width_px: int, where: str
) -> dict[str, Any]:
    size_px = segmentation.get("size")
    if size_px != [height_px, width_px]:
        raise errors.DataError(
            f"{where}.size: expected the image's height and width"
            f" {[height_px, width_px]}, found {reprlib.repr(size_px)}"
        )
    counts = segmentation.get("counts")
    if isinstance(counts, str):
        counts = _run_lengths(counts)
    num_pixels = height_px * width_px
    if (
        not isinstance(counts, list)
        or not all(
            type(count) is int and 0 <= count <= num_pixels for count in counts
        )
        or sum(counts) != num_pixels
    ):
        raise errors.DataError(
            f"{where}.counts: expected lengths of runs whose sum is"
            f" {height_px} x {width_px}, or COCO's text for them"
        )
    runs = {"size": size_px, "counts": counts}
    return coco_mask.frPyObjects(runs, height_px, width_px)


def _run_lengths(text: str) -> list[int] | None:
    """Reads COCO's text for run lengths; None when it is not one.

    Each character from "0" on holds five bits of a number, lowest first, and
    a sixth that says that more follow; from the fourth number on, what is
    held is the difference to the number two before.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts if shift == 0 else None
