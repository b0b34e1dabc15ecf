"""Finds the parts of a data set in its folder, by the name of its format.

    pascal_voc  <dir>/trainval/VOCdevkit/VOC* and <dir>/test/VOCdevkit/VOC*, as
                download_voc.sh leaves them; or one VOC folder with ImageSets;
                or <dir>/train and <dir>/eval with XML files and images
    coco        <dir>/annotations/instances_*2017.json, <dir>/{train,val}2017
    txt         <dir>/train.txt, val.txt and test.txt, with paths in <dir>

Any other name is package.module:function, of a function that takes the folder
and the path of a label map and returns a `DataSource`.
"""

import glob
import importlib
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from object_detection.builders import image_set_builder
from object_detection.core import errors
from object_detection.data_decoders import image_set
from object_detection.protos import input_reader_pb2

_PACKAGE_DATA = "object_detection/data"
_VALIDATION_NAMES = ("val", "valid", "eval")


class DataSource(NamedTuple):
    """The parts of a data set.

    Attributes:
        train: images to train on.
        validation: to measure on while training; None when the set has none
            of its own.
        test: to measure on at the end; None when there are none.
        label_map_path: of all parts.
    """

    train: image_set.ImageSet
    validation: image_set.ImageSet | None
    test: image_set.ImageSet | None
    label_map_path: str


# From the folder and the label map, "" for that of the format.
Find = Callable[[str, str], DataSource]


def find(name: str, data_dir: str, label_map_path: str = "") -> DataSource:
    """Finds the parts of a data set.

    Args:
        name: of the format, or package.module:function.
        data_dir: its folder.
        label_map_path: "" for that of the format, if it has one.

    Raises:
        ConfigError: an unknown name, a function that cannot be imported, or
            no label map.
        DataError: the folder has no part to train on.
    """
    if not os.path.isdir(data_dir):
        raise errors.ConfigError(f"--data_dir: no such folder: {data_dir}")
    source = (SOURCES.get(name) or _import(name))(data_dir, label_map_path)
    if not isinstance(source, DataSource):
        raise errors.ConfigError(
            f"--data_source: {name} returned {type(source).__name__}, expected"
            " a DataSource"
        )
    return source


def _import(name: str) -> Find:
    module, colon, function = name.partition(":")
    if not colon:
        raise errors.ConfigError(
            f"--data_source: expected {', '.join(SOURCES)} or"
            f" package.module:function, found {name!r}"
        )
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise errors.ConfigError(
            f"--data_source: cannot import {name}: {error}"
        ) from error


def find_pascal_voc(data_dir: str, label_map_path: str) -> DataSource:
    """Finds train and eval folders, or lists of a VOC folder or of a devkit.

    With lists, all of `trainval` is to train on, and the test images of 2007
    of a devkit, too; what has an XML file but is in neither is to validate.
    """
    label_map_path = label_map_path or f"{_PACKAGE_DATA}/pascal_label_map.pbtxt"

    def read(folder: str, image_set_name: str = "") -> image_set.ImageSet:
        reader = input_reader_pb2.VocInputReader(
            input_dir=[folder], image_set=image_set_name
        )
        return _build(label_map_path, voc_input_reader=reader)

    train_dir = os.path.join(data_dir, "train")
    if os.path.isdir(train_dir):
        validation_dir = _first_folder(data_dir, _VALIDATION_NAMES)
        test_dir = _first_folder(data_dir, ("test",))
        return DataSource(
            read(train_dir),
            read(validation_dir) if validation_dir else None,
            read(test_dir) if test_dir else None,
            label_map_path,
        )
    if os.path.isdir(os.path.join(data_dir, "ImageSets")):
        trainval, tested = [data_dir], []
    else:
        trainval, tested = (
            sorted(glob.glob(os.path.join(data_dir, part, "VOCdevkit", "VOC*")))
            for part in ("trainval", "test")
        )
    if not trainval:
        raise errors.DataError(
            f"--data_dir: expected {data_dir}/trainval/VOCdevkit/VOC*,"
            f" {data_dir}/ImageSets or {train_dir}, found none of them"
        )
    train = [read(folder, "trainval") for folder in trainval]
    # The annotations of later test images were never published.
    train += [read(f, "test") for f in tested if f.endswith("VOC2007")]
    unpublished = [f for f in tested if not f.endswith("VOC2007")]
    return DataSource(
        _join(train),
        _rest(_join([read(folder) for folder in trainval]), train),
        _join([read(folder) for folder in unpublished if _has_xml(folder)])
        if any(map(_has_xml, unpublished))
        else None,
        label_map_path,
    )


def find_coco(data_dir: str, label_map_path: str) -> DataSource:
    """Finds COCO 2017 as its archives unpack."""
    label_map_path = (
        label_map_path or f"{_PACKAGE_DATA}/mscoco_80_label_map.pbtxt"
    )

    def read(name: str) -> image_set.ImageSet:
        reader = input_reader_pb2.CocoInputReader(
            image_dir=os.path.join(data_dir, name),
            annotations_path=os.path.join(
                data_dir, "annotations", f"instances_{name}.json"
            ),
        )
        return _build(label_map_path, coco_input_reader=reader)

    has_validation = os.path.isdir(os.path.join(data_dir, "val2017"))
    return DataSource(
        read("train2017"),
        read("val2017") if has_validation else None,
        None,
        label_map_path,
    )


def find_txt(data_dir: str, label_map_path: str) -> DataSource:
    """Finds text files with a line for each image."""
    if not label_map_path:
        raise errors.ConfigError(
            "--label_map_path: is missing; a text file numbers its classes and"
            " does not name them"
        )

    def read(names: Sequence[str]) -> image_set.ImageSet | None:
        for name in names:
            path = os.path.join(data_dir, f"{name}.txt")
            if os.path.isfile(path):
                reader = input_reader_pb2.TxtInputReader(
                    image_dir=data_dir, annotations_path=path
                )
                return _build(label_map_path, txt_input_reader=reader)
        return None

    train = read(["train"])
    if train is None:
        raise errors.DataError(f"--data_dir: no {data_dir}/train.txt")
    return DataSource(
        train, read(_VALIDATION_NAMES), read(["test"]), label_map_path
    )


SOURCES: dict[str, Find] = {
    "pascal_voc": find_pascal_voc,
    "coco": find_coco,
    "txt": find_txt,
}


def _build(label_map_path: str, **reader: object) -> image_set.ImageSet:
    config = input_reader_pb2.InputReader(
        label_map_path=label_map_path, **reader
    )
    return image_set_builder.build(config, "--data_dir")


def _join(sets: Sequence[image_set.ImageSet]) -> image_set.ImageSet:
    return sets[0]._replace(
        name=", ".join(one.name for one in sets),
        items=[item for one in sets for item in one.items],
        notes=[note for one in sets for note in one.notes],
    )


def _rest(
    whole: image_set.ImageSet, parts: Sequence[image_set.ImageSet]
) -> image_set.ImageSet | None:
    """What of a set is in none of its parts; None if that is nothing."""
    used = {item.place for part in parts for item in part.items}
    items = [item for item in whole.items if item.place not in used]
    return whole._replace(items=items) if items else None


def _first_folder(parent: str, names: Sequence[str]) -> str | None:
    paths = (os.path.join(parent, name) for name in names)
    return next(filter(os.path.isdir, paths), None)


def _has_xml(folder: str) -> bool:
    return bool(glob.glob(os.path.join(folder, "Annotations", "*.xml")))
