r"""Converts a folder in Pascal VOC's layout to TFRecords.

    python -m object_detection.dataset_tools.create_pascal_tf_record \
        --data_dir=VOCdevkit --year=VOC2007 --set=trainval \
        --label_map_path=object_detection/data/pascal_label_map.pbtxt \
        --output_path=voc2007_trainval.record --num_shards=10

`--data_dir` is a VOCdevkit, with a folder for each year, or one folder that
holds `Annotations/`, `JPEGImages/` and `ImageSets/Main/` itself. The ids come
from `ImageSets/Main/<set>.txt` or, when absent, from `aeroplane_<set>.txt`.
"""

import dataclasses
import functools
import os
import xml.etree.ElementTree as ElementTree

from absl import flags

from object_detection.core import errors
from object_detection.data_decoders import annotated_image, tf_record_writer
from object_detection.utils import command, label_map_util

YEARS = ("VOC2007", "VOC2012")
_MAX_ANNOTATION_BYTES = 16 * 2**20


@dataclasses.dataclass(frozen=True)
class VocItem:
    """Paths of one listed image and its annotation."""

    image_id: str
    image_path: str
    annotation_path: str


def list_items(
    data_dir: str, set_name: str, year: str, annotations_dir: str
) -> tuple[list[VocItem], list[str]]:
    """Finds the files of every listed id, in the order of the list.

    Returns:
        The items, and one line for each id that lacks a file.

    Raises:
        DataError: no list of that name, or an empty one.
    """
    items, missing = [], []
    for root in _roots(data_dir, year):
        list_path = _list_path(root, set_name)
        image_ids = _read_ids(list_path)
        if not image_ids:
            raise errors.DataError(f"{list_path}: expected ids, found none")
        for image_id in image_ids:
            annotation_path = os.path.join(
                root, annotations_dir, f"{image_id}.xml"
            )
            image_path = _image_path(root, image_id)
            if not os.path.isfile(annotation_path):
                missing.append(f"{list_path}: {image_id}: no {annotation_path}")
            elif not image_path:
                missing.append(
                    f"{list_path}: {image_id}: no JPEG of that name in"
                    f" {os.path.join(root, 'JPEGImages')}"
                )
            else:
                items.append(VocItem(image_id, image_path, annotation_path))
    return items, missing


def read_item(
    item: VocItem, ignore_difficult: bool = False
) -> annotated_image.AnnotatedImage:
    """Reads one image and its annotation.

    The image's decoded size counts, whatever the annotation says. The name
    of the image file is the source id, as in the original's records.

    Raises:
        DataError: an image that does not decode, or an annotation without
            the fields of VOC.
    """
    with open(item.image_path, "rb") as file:
        encoded = file.read()
    image_format, height_px, width_px = annotated_image.check_encoded_image(
        encoded, item.image_path
    )
    filename = os.path.basename(item.image_path)
    objects = (
        _read_object(node, f"{item.annotation_path}: object {index}")
        for index, node in enumerate(_parse_xml(item.annotation_path))
    )
    return annotated_image.AnnotatedImage(
        filename=filename,
        source_id=filename,
        encoded=encoded,
        image_format=image_format,
        height_px=height_px,
        width_px=width_px,
        objects=tuple(
            found
            for found in objects
            if not (ignore_difficult and found.is_difficult)
        ),
    )


def _roots(data_dir: str, year: str) -> list[str]:
    if os.path.isdir(os.path.join(data_dir, "ImageSets")):
        return [data_dir]
    years = YEARS if year == "merged" else (year,)
    roots = [os.path.join(data_dir, name) for name in years]
    for root in roots:
        if not os.path.isdir(os.path.join(root, "ImageSets")):
            raise errors.DataError(
                f"--data_dir: expected {data_dir}/ImageSets or"
                f" {root}/ImageSets, found neither"
            )
    return roots


def _list_path(root: str, set_name: str) -> str:
    folder = os.path.join(root, "ImageSets", "Main")
    for name in (f"{set_name}.txt", f"aeroplane_{set_name}.txt"):
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    found = (
        ", ".join(sorted(os.listdir(folder))[:10])
        if (os.path.isdir(folder))
        else "no such folder"
    )
    raise errors.DataError(
        f"--set: expected {folder}/{set_name}.txt, found {found}"
    )


def _read_ids(path: str) -> list[str]:
    """Reads the first word of each line; VOC's class lists add 1 or -1."""
    with open(path, encoding="utf-8") as file:
        return [line.split()[0] for line in file if line.strip()]


def _image_path(root: str, image_id: str) -> str:
    for extension in (".jpg", ".jpeg", ".JPG", ".JPEG"):
        path = os.path.join(root, "JPEGImages", image_id + extension)
        if os.path.isfile(path):
            return path
    return ""


def _parse_xml(path: str) -> list[ElementTree.Element]:
    size_bytes = os.path.getsize(path)
    if size_bytes > _MAX_ANNOTATION_BYTES:
        raise errors.DataError(
            f"{path}: expected at most {_MAX_ANNOTATION_BYTES} bytes, found"
            f" {size_bytes}"
        )
    try:
        return ElementTree.parse(path).getroot().findall("object")
    except ElementTree.ParseError as error:
        raise errors.DataError(f"{path}: not XML: {error}") from error


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


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_string("data_dir", None, "Root of the VOC data.")
    flags.DEFINE_string(
        "set", "train", "Name of the list in ImageSets/Main: train, val, ..."
    )
    flags.DEFINE_string(
        "annotations_dir", "Annotations", "Folder of the XML files."
    )
    flags.DEFINE_enum(
        "year",
        "VOC2007",
        (*YEARS, "merged"),
        "Folder inside a VOCdevkit; merged means both.",
    )
    flags.DEFINE_string(
        "output_path", None, "The record, or the prefix of its shards."
    )
    flags.DEFINE_string(
        "label_map_path",
        "data/pascal_label_map.pbtxt",
        "Label map whose names are those of the annotations.",
    )
    flags.DEFINE_boolean(
        "ignore_difficult_instances",
        False,
        "Leave out objects marked difficult.",
    )
    flags.DEFINE_boolean(
        "skip_missing",
        False,
        "Leave out listed ids without an annotation or an image.",
    )
    flags.DEFINE_enum(
        "bad_boxes",
        "drop",
        annotated_image.BAD_BOX_POLICIES,
        "For boxes outside the image or without area.",
    )
    flags.DEFINE_integer("num_shards", 1, "Files to write.")
    flags.DEFINE_integer(
        "num_workers", os.cpu_count() or 1, "Processes that read."
    )
    flags.mark_flags_as_required(["data_dir", "output_path"])


def main(_: list[str]) -> None:
    args = flags.FLAGS
    items, missing = list_items(
        args.data_dir,
        args.set,
        args.year,
        args.annotations_dir,
    )
    for line in missing:
        print(f"missing {line}")
    if missing and not args.skip_missing:
        raise errors.DataError(
            f"{missing[0]}; {len(missing)} ids like that, all named above;"
            " use --skip_missing to leave them out"
        )
    summary = tf_record_writer.write_dataset(
        items,
        functools.partial(
            read_item, ignore_difficult=args.ignore_difficult_instances
        ),
        label_map_util.get_label_map_dict(args.label_map_path),
        args.output_path,
        num_shards=args.num_shards,
        num_workers=args.num_workers,
        bad_boxes=args.bad_boxes,
        description=f"{args.set} images",
    )
    summary.print()
    if missing:
        print(f"{len(missing)} ids left out, named above")


if __name__ == "__main__":
    define_flags()
    command.run(main)
