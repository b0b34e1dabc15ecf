"""Reads a text file with a line for each image and its boxes.

    relative_path xmin,ymin,xmax,ymax,class xmin,ymin,xmax,ymax,class ...

Coordinates are pixels, a class is an id of the label map, and parts are
divided by blanks. Needs no TensorFlow, so worker processes start without it.
"""

import math
import os
from collections.abc import Mapping
from typing import NamedTuple

from object_detection.core import errors
from object_detection.data_decoders import annotated_image

_FORMAT = "xmin,ymin,xmax,ymax,class"
_MAX_SHOWN_CHARACTERS = 60


class TxtItem(NamedTuple):
    """One line.

    Attributes:
        annotations_path: of the text file.
        line_number: from 1; it is the source id.
        filename: as in the line.
        path: of the image file.
        objects: in the order of the line.
    """

    annotations_path: str
    line_number: int
    filename: str
    path: str
    objects: tuple[annotated_image.ObjectAnnotation, ...]

    @property
    def place(self) -> str:
        """File and line of the annotation."""
        return f"{self.annotations_path}:{self.line_number}"


def read_set(
    annotations_path: str, image_dir: str, class_names: Mapping[int, str]
) -> tuple[list[TxtItem], list[str]]:
    """Reads all lines; empty ones count as lines only.

    Args:
        annotations_path: of the text file.
        image_dir: what the paths in it are relative to.
        class_names: id -> name, of the label map.

    Returns:
        The lines whose image is there, and a note for each of the others.

    Raises:
        DataError: the file cannot be read, a line is malformed, or no image
            is there.
    """
    try:
        with open(annotations_path, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise errors.DataError(
            f"{annotations_path}: cannot read the annotations: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise errors.DataError(
            f"{annotations_path}: expected a text in UTF-8: {error}"
        ) from error
    items, notes = [], []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        item = _read_line(
            words, annotations_path, number, image_dir, class_names
        )
        if os.path.isfile(item.path):
            items.append(item)
        else:
            notes.append(f"{item.place}: no image {item.path}")
    if not items:
        raise errors.DataError(
            f"{annotations_path}: expected lines with images of {image_dir},"
            f" found {len(notes)} lines, and the image of none is there"
        )
    return items, notes


def read_item(
    item: TxtItem, *, is_whole: bool = True
) -> annotated_image.AnnotatedImage:
    """Reads one image.

    Args:
        item: its line.
        is_whole: whether the image file is read and decoded once; else only
            its header is looked at.

    Raises:
        DataError: an image that does not decode.
    """
    encoded, image_format, height_px, width_px = (
        annotated_image.read_image_file(
            item.path, ("jpeg", "png"), is_whole=is_whole
        )
    )
    return annotated_image.AnnotatedImage(
        filename=item.filename,
        source_id=str(item.line_number),
        encoded=encoded,
        image_format=image_format,
        height_px=height_px,
        width_px=width_px,
        objects=item.objects,
    )


def _read_line(
    words: list[str],
    annotations_path: str,
    number: int,
    image_dir: str,
    class_names: Mapping[int, str],
) -> TxtItem:
    where = f"{annotations_path}:{number}"
    filename, *boxes = words
    if (
        not filename.isprintable()
        or os.path.isabs(filename)
        or ".." in filename.split("/")
    ):
        raise errors.DataError(
            f"{where}: expected a path within the folder of images, found"
            f" {_shown(filename)}"
        )
    return TxtItem(
        annotations_path,
        number,
        filename,
        os.path.join(image_dir, filename),
        tuple(_read_object(text, where, class_names) for text in boxes),
    )


def _read_object(
    text: str, where: str, class_names: Mapping[int, str]
) -> annotated_image.ObjectAnnotation:
    try:
        *corners, class_id = text.split(",")
        xmin, ymin, xmax, ymax = map(float, corners)
        class_id = int(class_id)
        if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
            raise ValueError("not finite")
    except ValueError:
        raise errors.DataError(
            f"{where}: expected {_FORMAT}, five numbers between commas, found"
            f" {_shown(text)}; in a line all but the first word are boxes"
        ) from None
    if class_id not in class_names:
        raise errors.DataError(
            f"{where}: class {class_id} of {_shown(text)} is no id of the"
            f" label map, which has {min(class_names)} to {max(class_names)}"
        )
    return annotated_image.ObjectAnnotation(
        class_names[class_id], (ymin, xmin, ymax, xmax)
    )


def _shown(text: str) -> str:
    if len(text) > _MAX_SHOWN_CHARACTERS:
        text = text[:_MAX_SHOWN_CHARACTERS] + "..."
    return repr(text)
