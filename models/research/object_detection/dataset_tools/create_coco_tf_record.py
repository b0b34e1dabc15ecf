r"""Converts images with annotations in COCO's format to TFRecords.

    python -m object_detection.dataset_tools.create_coco_tf_record \
        --train_image_dir=train2017 --val_image_dir=val2017 \
        --train_annotations_file=annotations/instances_train2017.json \
        --val_annotations_file=annotations/instances_val2017.json \
        --output_dir=/data/coco2017_tfrecords

writes coco_train.record-?????-of-00100, coco_val.record-?????-of-00010 and
coco_testdev.record-?????-of-00100, those of them whose images and annotations
are given. A class has the id that its category has in the JSON, gaps included:
for COCO that of `data/mscoco_label_map.pbtxt`.
"""

import dataclasses
import functools
import os
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from absl import flags

from object_detection.core import errors
from object_detection.data_decoders import (
    annotated_image,
    coco_annotations,
    tf_record_writer,
)
from object_detection.dataset_tools import coco_masks
from object_detection.utils import command


class _Split(NamedTuple):
    name: str
    image_dir_flag: str
    annotations_flag: str
    default_num_shards: int
    needs_annotations: bool


_SPLITS = (
    _Split("train", "train_image_dir", "train_annotations_file", 100, True),
    _Split("val", "val_image_dir", "val_annotations_file", 10, True),
    # COCO keeps the objects of its test images for itself.
    _Split("testdev", "test_image_dir", "testdev_annotations_file", 100, False),
)


def read_item(
    item: coco_annotations.CocoImage, include_masks: bool = False
) -> annotated_image.AnnotatedImage:
    """Reads one image, and draws the masks of its objects.

    Raises:
        DataError: an image that is missing, does not decode or has another
            size than the JSON says; an outline that cannot be drawn.
    """
    image = coco_annotations.read_item(item)
    if not include_masks:
        return image
    objects = (
        dataclasses.replace(
            found.annotation,
            mask_png=coco_masks.encode_mask(
                found.segmentation,
                item.height_px,
                item.width_px,
                f"{item.json_path}: annotations[{found.index}].segmentation",
            ),
        )
        for found in item.objects
    )
    return dataclasses.replace(image, objects=tuple(objects))


def convert(
    json_path: str,
    image_dir: str,
    output_path: str,
    *,
    num_shards: int = 1,
    num_workers: int = 1,
    include_masks: bool = False,
    needs_annotations: bool = True,
    description: str = "images",
) -> tf_record_writer.Summary:
    """Writes one set; image i of the JSON goes to shard i modulo the number.

    Args:
        json_path: the annotations, see `coco_annotations.read_set`.
        image_dir: folder of the image files.
        output_path: prefix of the shards.
        num_shards: number of files.
        num_workers: processes that read images.
        include_masks: whether each object gets a PNG of its outline.
        needs_annotations: whether a file without any is refused.
        description: left of the progress bar.

    Raises:
        DataError: in the JSON or an image; no file is written then.
        ResourceError: the disk refuses.
    """
    found = coco_annotations.read_set(
        json_path,
        image_dir,
        with_masks=include_masks,
        needs_annotations=needs_annotations,
    )
    summary = tf_record_writer.write_dataset(
        found.images,
        functools.partial(read_item, include_masks=include_masks),
        found.class_ids,
        output_path,
        num_shards=num_shards,
        num_workers=num_workers,
        bad_boxes="error",
        description=description,
    )
    summary.notes = found.notes + summary.notes
    summary.reasons = dict(found.reasons)
    return summary


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_boolean(
        "include_masks",
        False,
        "Also write the objects' outlines, as PNG; SSD does not read them.",
    )
    for split in _SPLITS:
        flags.DEFINE_string(
            split.image_dir_flag, None, f"Folder of the {split.name} images."
        )
        flags.DEFINE_string(
            split.annotations_flag, None, f"JSON of the {split.name} images."
        )
        flags.DEFINE_integer(
            _shards_flag(split),
            split.default_num_shards,
            f"Files of the {split.name} set.",
            lower_bound=1,
        )
    flags.DEFINE_string("output_dir", tempfile.gettempdir(), "Where to write.")
    flags.DEFINE_integer(
        "num_workers", os.cpu_count() or 1, "Processes that read images."
    )


def _shards_flag(split: _Split) -> str:
    return f"num_{split.name}_shards"


def given_splits(values: Mapping[str, Any]) -> list[_Split]:
    """Returns the splits whose two flags are given.

    Args:
        values: flag name -> value; what is not given may be absent.

    Raises:
        ConfigError: none is given, or one flag of a split without the other.
        DataError: there is no such folder.
    """
    given = []
    for split in _SPLITS:
        names = (split.image_dir_flag, split.annotations_flag)
        missing = [name for name in names if not values.get(name)]
        if len(missing) == 1:
            raise errors.ConfigError(
                f"--{missing[0]} is missing: the {split.name} set needs"
                f" --{names[0]} and --{names[1]}"
            )
        if not missing:
            given.append(split)
            image_dir = values[split.image_dir_flag]
            if not os.path.isdir(image_dir):
                raise errors.DataError(
                    f"--{split.image_dir_flag}: no such folder: {image_dir}"
                )
    if not given:
        raise errors.ConfigError(
            "no set is given: add --train_image_dir and"
            " --train_annotations_file, or those of val or test"
        )
    return given


def main(_: list[str]) -> None:
    values = flags.FLAGS.flag_values_dict()
    for split in given_splits(values):
        summary = convert(
            values[split.annotations_flag],
            values[split.image_dir_flag],
            os.path.join(values["output_dir"], f"coco_{split.name}.record"),
            num_shards=values[_shards_flag(split)],
            num_workers=values["num_workers"],
            include_masks=values["include_masks"],
            needs_annotations=split.needs_annotations,
            description=f"{split.name} images",
        )
        summary.print()


if __name__ == "__main__":
    define_flags()
    command.run(main)
