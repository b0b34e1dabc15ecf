r"""Converts images with a text file of boxes to TFRecords.

    python -m object_detection.dataset_tools.create_txt_tf_record \
        --image_dir=images --annotations_file=train.txt \
        --label_map_path=label_map.pbtxt --output_path=train.record

A line of the file is: relative_path xmin,ymin,xmax,ymax,class ... with pixels
and ids of the label map. The number of the line is the source id. Lines whose
image is missing are left out and counted.
"""

import os

from absl import flags

from object_detection.core import errors
from object_detection.data_decoders import (
    annotated_image,
    tf_record_writer,
    txt_annotations,
)
from object_detection.utils import command, label_map_util


def convert(
    annotations_path: str,
    image_dir: str,
    label_map_path: str,
    output_path: str,
    *,
    num_shards: int = 1,
    num_workers: int = 1,
    bad_boxes: str = "drop",
) -> tuple[tf_record_writer.Summary, list[str]]:
    """Writes the records of all lines whose image is there.

    Returns:
        What was written, and a line for each image that is missing.

    Raises:
        DataError: a line is malformed, or an image is bad.
        ResourceError: the disk refuses.
    """
    class_ids = label_map_util.get_label_map_dict(label_map_path)
    items, missing = txt_annotations.read_set(
        annotations_path,
        image_dir,
        {key: name for name, key in class_ids.items() if key > 0},
    )
    summary = tf_record_writer.write_dataset(
        items,
        txt_annotations.read_item,
        class_ids,
        output_path,
        num_shards=num_shards,
        num_workers=num_workers,
        bad_boxes=bad_boxes,
        description="images",
    )
    return summary, missing


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_string("image_dir", None, "What the paths are relative to.")
    flags.DEFINE_string("annotations_file", None, "The text file.")
    flags.DEFINE_string("label_map_path", None, "Label map of the classes.")
    flags.DEFINE_string(
        "output_path", None, "The record, or the prefix of its shards."
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
    flags.mark_flags_as_required(
        ["image_dir", "annotations_file", "label_map_path", "output_path"]
    )


def main(_: list[str]) -> None:
    args = flags.FLAGS
    if not os.path.isdir(args.image_dir):
        raise errors.ConfigError(
            f"--image_dir: no such folder: {args.image_dir}"
        )
    summary, missing = convert(
        args.annotations_file,
        args.image_dir,
        args.label_map_path,
        args.output_path,
        num_shards=args.num_shards,
        num_workers=args.num_workers,
        bad_boxes=args.bad_boxes,
    )
    for line in missing:
        print(f"missing {line}")
    summary.print()
    if missing:
        print(f"{len(missing)} lines left out, named above")


if __name__ == "__main__":
    define_flags()
    command.run(main)
