"""One labelled image as a dataset tool reads it, and the checks it must pass.

Needs only numpy and Pillow, so worker processes start without TensorFlow.
"""

import dataclasses
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import IO

from PIL import Image, UnidentifiedImageError

from object_detection.core import errors

# As Pillow's own warning limit. A file of 30 kB can claim 65,500 x 65,500
# pixels, which would take 12 GB before the first check of a box.
MAX_PIXELS = 89_478_485

# Truncation to whole pixels in annotation tools puts corners up to one pixel
# outside; such a box is clipped without a word.
BORDER_TOLERANCE_PX = 1.0

BAD_BOX_POLICIES = ("drop", "clip", "error")


@dataclasses.dataclass(frozen=True)
class ObjectAnnotation:
    """One object of an image.

    Attributes:
        class_name: name in the label map.
        box_yxyx_px: (ymin, xmin, ymax, xmax) in pixels of the image.
        area_px: visible area in square pixels; None means the box's area.
        is_crowd: a group of objects under one box.
        is_difficult: left out of Pascal VOC metrics.
        is_truncated: cut by the image border.
        is_group_of: Open Images' mark for a group of five or more.
        view: Pascal VOC's pose, for example "Left".
        weight: of the object in the losses.
        mask_png: PNG of the image's size, above zero inside the object.
        keypoints_yx_px: (y, x) pairs in pixels.
    """

    class_name: str
    box_yxyx_px: tuple[float, float, float, float]
    area_px: float | None = None
    is_crowd: bool = False
    is_difficult: bool = False
    is_truncated: bool = False
    is_group_of: bool = False
    view: str = ""
    weight: float = 1.0
    mask_png: bytes | None = None
    keypoints_yx_px: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class AnnotatedImage:
    """An encoded image with its objects.

    Attributes:
        filename: as written to the record.
        source_id: unique within the dataset.
        encoded: bytes of the image file; empty where they are read later.
        image_format: "jpeg" or "png".
        height_px: of the decoded image.
        width_px: of the decoded image.
        objects: in the order of the annotation.
        image_classes: class names of the whole image.
        additional_channels: one encoded single-channel image each.
    """

    filename: str
    source_id: str
    encoded: bytes
    image_format: str
    height_px: int
    width_px: int
    objects: tuple[ObjectAnnotation, ...] = ()
    image_classes: tuple[str, ...] = ()
    additional_channels: tuple[bytes, ...] = ()


def check_encoded_image(
    encoded: bytes, name: str, formats: Sequence[str] = ("jpeg",)
) -> tuple[str, int, int]:
    """Decodes the whole image once, so that no bad file reaches a record.

    Args:
        encoded: bytes of the image file.
        name: what to call the image in an error.
        formats: accepted formats, in lower case.

    Returns:
        (format, height_px, width_px).

    Raises:
        DataError: bytes that are no image, of another format, cut short, or
            of more than MAX_PIXELS pixels.
    """
    return _check_image(io.BytesIO(encoded), len(encoded), name, formats)


def read_image_file(
    path: str, formats: Sequence[str] = ("jpeg",), *, is_whole: bool = True
) -> tuple[bytes, str, int, int]:
    """Reads an image file, or its header alone.

    Args:
        path: of the file.
        formats: accepted formats, in lower case.
        is_whole: whether it is read and decoded once, see
            `check_encoded_image`; else only the header is looked at.

    Returns:
        (encoded, format, height_px, width_px); `encoded` is empty when only
        the header was read.

    Raises:
        DataError: the file cannot be read, or see `check_encoded_image`.
    """
    try:
        with open(path, "rb") as file:
            if is_whole:
                encoded = file.read()
                return encoded, *check_encoded_image(encoded, path, formats)
            num_bytes = os.fstat(file.fileno()).st_size
            return b"", *_check_image(
                file, num_bytes, path, formats, is_decoded=False
            )
    except OSError as error:
        raise errors.DataError(
            f"{path}: cannot read the image: {error.strerror}"
        ) from error


def _check_image(
    stream: IO[bytes],
    num_bytes: int,
    name: str,
    formats: Sequence[str],
    is_decoded: bool = True,
) -> tuple[str, int, int]:
    expected = " or ".join(map(str.upper, formats))
    try:
        with Image.open(stream) as image:
            width_px, height_px = image.size
            image_format = (image.format or "unknown").lower()
            if width_px * height_px > MAX_PIXELS:
                raise errors.DataError(
                    f"{name}: image of {width_px} x {height_px} pixels,"
                    f" expected at most {MAX_PIXELS} pixels"
                )
            if image_format not in formats:
                raise errors.DataError(
                    f"{name}: expected a {expected} image, found"
                    f" {image_format.upper()}; convert the file"
                )
            if is_decoded:
                image.load()
    except errors.DataError:
        raise
    except Exception as error:  # Pillow raises a dozen types for bad bytes.
        reason = _one_line(error)
        if isinstance(error, UnidentifiedImageError):
            reason = "they begin as no image does"
        raise errors.DataError(
            f"{name}: expected a {expected} image, but the {num_bytes}"
            f" bytes do not decode: {reason}"
        ) from error
    return image_format, height_px, width_px


def check_objects(
    image: AnnotatedImage,
    class_ids: Mapping[str, int],
    bad_boxes: str = "drop",
) -> tuple[AnnotatedImage, list[str]]:
    """Holds every object to what a record may carry.

    A class must be in the label map. A box must be finite, of positive area
    and inside the image; "drop" leaves such an object out, "clip" cuts the
    box at the border and drops it when nothing remains.

    Args:
        image: with a decoded size that is right.
        class_ids: class name -> id, of the label map.
        bad_boxes: one of BAD_BOX_POLICIES.

    Returns:
        The image with the objects that stay, and one line for each object
        that was changed or left out.

    Raises:
        DataError: an unknown class, or a bad box under "error".
    """
    objects, notes = [], []
    for index, item in enumerate(image.objects):
        where = f"{image.filename}: object {index} ({item.class_name})"
        if item.class_name not in class_ids:
            raise errors.DataError(
                f"{where}: class {item.class_name!r} is not in the label map,"
                f" which has {', '.join(map(repr, class_ids))}"
            )
        fault, box = _fault_and_clipped_box(
            item.box_yxyx_px, image.height_px, image.width_px
        )
        if not fault:
            objects.append(dataclasses.replace(item, box_yxyx_px=box))
            continue
        if bad_boxes == "error":
            raise errors.DataError(
                f"{where}: {fault}; repair it, or use --bad_boxes=drop"
            )
        if bad_boxes == "clip" and box is not None:
            objects.append(
                dataclasses.replace(item, box_yxyx_px=box, area_px=None)
            )
            notes.append(f"clipped {where}: {fault}")
        else:
            notes.append(f"dropped {where}: {fault}")
    return dataclasses.replace(image, objects=tuple(objects)), notes


def _fault_and_clipped_box(
    box_yxyx_px: tuple[float, float, float, float],
    height_px: int,
    width_px: int,
) -> tuple[str, tuple[float, float, float, float] | None]:
    """Returns what is wrong, "" if nothing, and the box inside the image."""
    if not all(math.isfinite(value) for value in box_yxyx_px):
        return f"box (ymin, xmin, ymax, xmax) = {box_yxyx_px} not finite", None
    ymin, xmin, ymax, xmax = box_yxyx_px
    shown = f"box ymin {ymin:g} xmin {xmin:g} ymax {ymax:g} xmax {xmax:g}"
    if ymax <= ymin or xmax <= xmin:
        return f"{shown} has no area", None
    clipped = (
        max(ymin, 0.0),
        max(xmin, 0.0),
        min(ymax, float(height_px)),
        min(xmax, float(width_px)),
    )
    outside_px = max(
        abs(a - b) for a, b in zip(clipped, box_yxyx_px, strict=True)
    )
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        clipped = None
    if clipped is None or outside_px > BORDER_TOLERANCE_PX:
        fault = f"{shown} reaches outside the image of height {height_px}"
        return f"{fault} and width {width_px}", clipped
    return "", clipped


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
