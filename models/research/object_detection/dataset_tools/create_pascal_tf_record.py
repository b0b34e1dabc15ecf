r"""Converts a folder in Pascal VOC's layout to TFRecords.

    python -m object_detection.dataset_tools.create_pascal_tf_record \
        --data_dir=VOCdevkit --year=VOC2007 --set=trainval \
        --label_map_path=object_detection/data/pascal_label_map.pbtxt \
        --output_path=voc2007_trainval.record --num_shards=10

`--data_dir` is a VOCdevkit, with a folder for each year, or one folder that
holds `Annotations/`, `JPEGImages/` and `ImageSets/Main/` itself. The ids come
from `ImageSets/Main/<set>.txt` or, when absent, from `aeroplane_<set>.txt`.
"""

import functools
import os

from absl import flags

from object_detection.core import errors
from object_detection.data_decoders import (
    annotated_image,
    tf_record_writer,
    voc_annotations,
)
from object_detection.utils import command, label_map_util

YEARS = ("VOC2007", "VOC2012")


def list_items(
    data_dir: str, set_name: str, year: str, annotations_dir: str
) -> tuple[list[voc_annotations.VocItem], list[str]]:
    """Finds the files of every listed id, in the order of the list.

    Returns:
        The items, and one line for each id that lacks a file.

    Raises:
        DataError: no list of that name, or an empty one.
    """
    items, missing = [], []
    for root in _roots(data_dir, year):
        try:
            list_path, listed = voc_annotations.list_set(
                root, set_name, annotations_dir
            )
        except errors.DataError as error:
            raise errors.DataError(f"--set: {error}") from None
        for item in listed:
            where = f"{list_path}: {item.image_id}"
            if not os.path.isfile(item.annotation_path):
                missing.append(f"{where}: no {item.annotation_path}")
            elif not os.path.isfile(item.path):
                missing.append(
                    f"{where}: no JPEG of that name in"
                    f" {os.path.dirname(item.path)}"
                )
            else:
                items.append(item)
    return items, missing


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
            voc_annotations.read_item,
            ignore_difficult=args.ignore_difficult_instances,
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
