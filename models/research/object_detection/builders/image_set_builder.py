"""Makes the set of images of a reader that reads no records."""

import os

from absl import logging

from object_detection.builders import oneof
from object_detection.core import errors
from object_detection.data_decoders import (
    coco_annotations,
    image_set,
    txt_annotations,
    voc_annotations,
)
from object_detection.protos import input_reader_pb2
from object_detection.utils import label_map_util

# What only records can hold.
_NEEDS_RECORDS = (
    "load_instance_masks",
    "num_additional_channels",
    "num_keypoints",
)
_MAX_NOTES_SHOWN = 3


def build(
    config: input_reader_pb2.InputReader, path: str
) -> image_set.ImageSet:
    """Reads the annotations of COCO's format or the text file, or lists XML.

    Args:
        config: an input reader of images.
        path: of it in the pipeline config, for errors.

    Raises:
        ConfigError: names the field.
        DataError: names the file and the place in it.
    """
    kind = oneof.require(config, "input_reader", path, list(_BUILDERS))
    for field in _NEEDS_RECORDS:
        if getattr(config, field):
            raise errors.ConfigError(
                f"{path}.{field}: {kind} has no such data; read them from "
                "records, by tf_record_input_reader, or leave the field out"
            )
    if not config.label_map_path:
        raise errors.ConfigError(
            f"{path}.label_map_path: is missing; {kind} needs it to number "
            "the classes"
        )
    images = _BUILDERS[kind](
        getattr(config, kind), f"{path}.{kind}", config.label_map_path
    )
    log_notes(images.name, images.notes)
    return images


def log_notes(name: str, notes: list[str]) -> None:
    """Logs how much of a set was left out or changed, and some of it."""
    if notes:
        more = "; ..." if len(notes) > _MAX_NOTES_SHOWN else ""
        logging.warning(
            "%s: %d images or objects were left out or changed: %s%s",
            name,
            len(notes),
            "; ".join(notes[:_MAX_NOTES_SHOWN]),
            more,
        )


def name(config: input_reader_pb2.InputReader) -> str:
    """Returns what a reader's data are called in the log."""
    kind = config.WhichOneof("input_reader")
    reader = getattr(config, kind)
    if kind == "voc_input_reader":
        return ", ".join(reader.input_dir)
    return reader.annotations_path


def _build_coco(
    config: input_reader_pb2.CocoInputReader, path: str, label_map_path: str
) -> image_set.ImageSet:
    _require_folder(config.image_dir, f"{path}.image_dir")
    _require_file(config.annotations_path, f"{path}.annotations_path")
    found = coco_annotations.read_set(
        config.annotations_path, config.image_dir, clips_all_borders=True
    )
    return image_set.ImageSet(
        config.annotations_path,
        found.images,
        coco_annotations.read_item,
        label_map_util.class_text_to_id(label_map_path),
        "error",
        found.notes,
    )


def _build_voc(
    config: input_reader_pb2.VocInputReader, path: str, label_map_path: str
) -> image_set.ImageSet:
    if not config.input_dir:
        raise errors.ConfigError(
            f"{path}.input_dir: is missing; give the folder of the data"
        )
    items, notes = [], []
    for index, folder in enumerate(config.input_dir):
        where = f"{path}.input_dir[{index}]"
        _require_folder(folder, where)
        if config.image_set:
            try:
                items += voc_annotations.list_set(folder, config.image_set)[1]
            except errors.DataError as error:
                raise errors.ConfigError(f"{path}.image_set: {error}") from None
            continue
        found, num_alone = voc_annotations.list_folder(folder)
        items += found
        if num_alone:
            notes.append(f"{folder}: {num_alone} images have no XML file")
    return image_set.ImageSet(
        ", ".join(config.input_dir),
        items,
        voc_annotations.read_item,
        label_map_util.class_text_to_id(label_map_path),
        "drop",
        notes,
    )


def _build_txt(
    config: input_reader_pb2.TxtInputReader, path: str, label_map_path: str
) -> image_set.ImageSet:
    _require_folder(config.image_dir, f"{path}.image_dir")
    _require_file(config.annotations_path, f"{path}.annotations_path")
    categories = label_map_util.create_categories_from_labelmap(
        label_map_path, use_display_name=False
    )
    names = {item["id"]: item["name"] for item in categories}
    items, notes = txt_annotations.read_set(
        config.annotations_path, config.image_dir, names
    )
    return image_set.ImageSet(
        config.annotations_path,
        items,
        txt_annotations.read_item,
        {text: key for key, text in names.items()},
        "drop",
        notes,
    )


_BUILDERS = {
    "coco_input_reader": _build_coco,
    "voc_input_reader": _build_voc,
    "txt_input_reader": _build_txt,
}


def _require_folder(folder: str, path: str) -> None:
    if not folder:
        raise errors.ConfigError(f"{path}: is missing; give the folder")
    if not os.path.isdir(folder):
        raise errors.ConfigError(
            f"{path}: no such folder: {folder} (looked from {os.getcwd()}); "
            "correct the path"
        )


def _require_file(file: str, path: str) -> None:
    if not file:
        raise errors.ConfigError(f"{path}: is missing; give the file")
    if not os.path.isfile(file):
        raise errors.ConfigError(
            f"{path}: no such file: {file} (looked from {os.getcwd()}); "
            "correct the path"
        )
