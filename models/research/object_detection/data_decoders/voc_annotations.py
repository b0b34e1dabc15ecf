"""Reads Pascal VOC's annotations, an XML file for each image.

Needs no TensorFlow, so worker processes start without it.
"""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import NamedTuple

from object_detection.core import errors
from object_detection.data_decoders import annotated_image

_MAX_ANNOTATION_BYTES = 16 * 2**20
_IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".JPG", ".JPEG")

# Where a folder may keep its images, itself last.
_IMAGE_FOLDERS = ("JPEGImages", "Images", "")
_ANNOTATION_FOLDERS = ("Annotations", "")


class VocItem(NamedTuple):
    """Paths of one image and its annotation.

    Attributes:
        image_id: name of both files, without what follows the dot.
        path: of the image file, which may not be there.
        annotation_path: of the XML file, which may not be there.
    """

    image_id: str
    path: str
    annotation_path: str

    @property
    def place(self) -> str:
        """File of the annotation."""
        return self.annotation_path


def list_set(
    root: str, set_name: str, annotations_dir: str = "Annotations"
) -> tuple[str, list[VocItem]]:
    """Finds the files of every listed id, in the order of the list.

    Args:
        root: with `ImageSets`, `JPEGImages` and the annotations.
        set_name: of the list in `ImageSets/Main`; when absent, the list of
            that name for aeroplanes, which names all images, too.
        annotations_dir: folder of the XML files within `root`.

    Returns:
        The path of the list, and its items.

    Raises:
        DataError: no list of that name, or an empty one.
    """
    list_path = _list_path(root, set_name)
    image_ids = _read_ids(list_path)
    if not image_ids:
        raise errors.DataError(f"{list_path}: expected ids, found none")
    annotations, images = (
        os.path.join(root, name) for name in (annotations_dir, "JPEGImages")
    )
    return list_path, [
        _make_item(image_id, annotations, images) for image_id in image_ids
    ]


def list_folder(root: str) -> tuple[list[VocItem], int]:
    """Finds every XML file of a folder and its image, by name.

    Args:
        root: with XML files and images, or with a folder `Annotations` and a
            folder `JPEGImages` or `Images` of them.

    Returns:
        The items, and the number of images that have no XML file.

    Raises:
        DataError: there is no XML file.
    """
    annotations, images = (
        next(
            path
            for path in (os.path.join(root, name) for name in names)
            if os.path.isdir(path)
        )
        for names in (_ANNOTATION_FOLDERS, _IMAGE_FOLDERS)
    )
    image_ids = sorted(
        name.removesuffix(".xml")
        for name in os.listdir(annotations)
        if name.endswith(".xml")
    )
    if not image_ids:
        raise errors.DataError(
            f"{annotations}: expected XML files, found none; a folder that"
            " holds several sets, as a VOCdevkit does, is named by its parts,"
            " such as VOC2007"
        )
    with_image = (os.path.splitext(name) for name in os.listdir(images))
    num_alone = len(
        {
            stem
            for stem, extension in with_image
            if extension in _IMAGE_EXTENSIONS
        }
        - set(image_ids)
    )
    return [
        _make_item(image_id, annotations, images) for image_id in image_ids
    ], num_alone


def read_item(
    item: VocItem, ignore_difficult: bool = False, *, is_whole: bool = True
) -> annotated_image.AnnotatedImage:
    """Reads one image and its annotation.

    The image's own size counts, whatever the annotation says. The name of the
    image file is the source id, as in the original's records.

    Args:
        item: its files.
        ignore_difficult: whether objects marked difficult are left out.
        is_whole: whether the image file is read and decoded once; else only
            its header is looked at.

    Raises:
        DataError: an image that does not decode, or an annotation without
            the fields of VOC.
    """
    encoded, image_format, height_px, width_px = (
        annotated_image.read_image_file(item.path, is_whole=is_whole)
    )
    filename = os.path.basename(item.path)
    return annotated_image.AnnotatedImage(
        filename=filename,
        source_id=filename,
        encoded=encoded,
        image_format=image_format,
        height_px=height_px,
        width_px=width_px,
        objects=tuple(
            found
            for found in _read_objects(item.annotation_path)
            if not (ignore_difficult and found.is_difficult)
        ),
    )


def _list_path(root: str, set_name: str) -> str:
    folder = os.path.join(root, "ImageSets", "Main")
    for name in (f"{set_name}.txt", f"aeroplane_{set_name}.txt"):
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    found = (
        ", ".join(sorted(os.listdir(folder))[:10])
        if os.path.isdir(folder)
        else "no such folder"
    )
    raise errors.DataError(
        f"expected the list {folder}/{set_name}.txt, found {found}"
    )


def _read_ids(path: str) -> list[str]:
    """Reads the first word of each line; VOC's class lists add 1 or -1."""
    with open(path, encoding="utf-8") as file:
        return [line.split()[0] for line in file if line.strip()]


def _make_item(image_id: str, annotations: str, images: str) -> VocItem:
    paths = [
        os.path.join(images, image_id + extension)
        for extension in _IMAGE_EXTENSIONS
    ]
    return VocItem(
        image_id,
        next(filter(os.path.isfile, paths), paths[0]),
        os.path.join(annotations, f"{image_id}.xml"),
    )


def _read_objects(path: str) -> Iterator[annotated_image.ObjectAnnotation]:
    try:
        size_bytes = os.path.getsize(path)
        if size_bytes > _MAX_ANNOTATION_BYTES:
            raise errors.DataError(
                f"{path}: expected at most {_MAX_ANNOTATION_BYTES} bytes,"
                f" found {size_bytes}"
            )
        nodes = ElementTree.parse(path).getroot().findall("object")
    except OSError as error:
        raise errors.DataError(
            f"{path}: cannot read the annotation: {error.strerror}"
        ) from error
    except ElementTree.ParseError as error:
        raise errors.DataError(f"{path}: not XML: {error}") from error
    for index, node in enumerate(nodes):
        yield _read_object(node, f"{path}: object {index}")


def _read_object(
    node: ElementTree.Element, where: str
) -> annotated_image.ObjectAnnotation:
    def text(tag: str, default: str | None = None) -> str:
        value = (node.findtext(tag) or "").strip() or default
        if value is None:
            raise errors.DataError(f"{where}: expected <{tag}>, found none")
        return value

    try:
        box = tuple(
            float(text(f"bndbox/{side}"))
            for side in ("ymin", "xmin", "ymax", "xmax")
        )
        return annotated_image.ObjectAnnotation(
            class_name=text("name"),
            box_yxyx_px=box,
            is_difficult=bool(int(text("difficult", "0"))),
            is_truncated=bool(int(text("truncated", "0"))),
            view=text("pose", "Unspecified"),
        )
    except ValueError as error:
        raise errors.DataError(f"{where}: not a number: {error}") from error
