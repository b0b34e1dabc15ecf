"""Reads label maps: which integer stands for which class name.

A label map is a `StringIntLabelMap`, as text or binary. Ids count from 1 and
may have gaps; id 0 is allowed for an item called 'background' alone.

The label maps that come with this package may be named from any directory as
`object_detection/data/...`, which is how the shipped configs name them.
"""

import os
from typing import Any

from google.protobuf import message, text_format

from object_detection.core import errors
from object_detection.protos import string_int_label_map_pb2

MAX_LABEL_MAP_BYTES = 64 * 2**20

_PACKAGE = "object_detection"
_PACKAGE_PARENT = os.path.abspath(__file__).rsplit(os.sep, 3)[0]

Category = dict[str, Any]


def load_labelmap(path: str) -> string_int_label_map_pb2.StringIntLabelMap:
    """Reads and checks a label map.

    Args:
        path: a text or binary `StringIntLabelMap`.

    Raises:
        ConfigError: no such file, not a label map, or an item with a
            negative or repeated id, with id 0, or without a name.
    """
    label_map = _parse(path, _read(path))
    seen: dict[int, str] = {}
    for number, item in enumerate(label_map.item):
        where = f"{path}: item {number} (name {item.name!r}, id {item.id})"
        names = (item.name, item.display_name)
        if not any(names):
            raise errors.ConfigError(f"{where} has no name: give it one")
        if item.id < 0 or (item.id == 0 and "background" not in names):
            raise errors.ConfigError(
                f"{where}: ids count from 1; 0 is for 'background' alone"
            )
        if item.id in seen:
            raise errors.ConfigError(
                f"{where}: the id is already that of {seen[item.id]!r}"
            )
        seen[item.id] = _shown_name(item)
    if not label_map.item:
        raise errors.ConfigError(f"{path}: the label map has no item")
    return label_map


def check_num_classes(path: str, num_classes: int) -> None:
    """Makes sure that a label map and a model agree on the classes.

    Raises:
        ConfigError: an id is above `num_classes`, or the highest id is below.
    """
    items = load_labelmap(path).item
    for number, item in enumerate(items):
        if item.id > num_classes:
            raise errors.ConfigError(
                f"{path}: item {number} (name {_shown_name(item)!r}) has id "
                f"{item.id}, but model.ssd.num_classes is {num_classes}: "
                "raise num_classes or use another label map"
            )
    highest_id = max(item.id for item in items)
    if highest_id != num_classes:
        raise errors.ConfigError(
            f"{path}: {len(items)} items with ids up to {highest_id}, but "
            f"model.ssd.num_classes is {num_classes}: set num_classes to "
            f"{highest_id} or use another label map"
        )


def get_label_map_dict(
    path: str, use_display_name: bool = False
) -> dict[str, int]:
    """Returns {name: id}, or {display name: id}."""
    return {
        item.display_name if use_display_name else item.name: item.id
        for item in load_labelmap(path).item
    }


def class_text_to_id(path: str) -> dict[str, int]:
    """Returns the id of every class text that a record may hold.

    Names and display names both count. A text that is the name of one item
    and the display name of another means the higher id.
    """
    text_to_id: dict[str, int] = {}
    for item in load_labelmap(path).item:
        for text in (item.name, item.display_name):
            if text:
                text_to_id[text] = max(item.id, text_to_id.get(text, 0))
    return text_to_id


def map_ids(path: str, other_path: str) -> dict[int, int]:
    """Returns the id that each class has in another label map, by its name.

    So a detector with contiguous ids writes detections with those of COCO:
    `map_ids(mscoco_80_label_map, mscoco_label_map)[12] == 13`.

    Args:
        path: of the label map with the ids to translate.
        other_path: of the label map with the ids to get.

    Raises:
        ConfigError: a class is not in the other label map.
    """
    other_ids = class_text_to_id(other_path)
    ids = {}
    for item in load_labelmap(path).item:
        if item.id == 0:
            continue
        found = {other_ids.get(text) for text in (item.name, item.display_name)}
        found.discard(None)
        if not found:
            raise errors.ConfigError(
                f"{other_path}: has no class {_shown_name(item)!r}, which is "
                f"number {item.id} of {path}: add it, or use another label map"
            )
        ids[item.id] = max(found)
    return ids


def create_categories_from_labelmap(
    path: str, use_display_name: bool = True
) -> list[Category]:
    """Returns [{'id': int, 'name': str}, ...], background left out."""
    return [
        {
            "id": item.id,
            "name": _shown_name(item) if use_display_name else item.name,
        }
        for item in load_labelmap(path).item
        if item.id > 0
    ]


def create_category_index(categories: list[Category]) -> dict[int, Category]:
    """Returns the same categories, found by their id."""
    return {category["id"]: category for category in categories}


def create_category_index_from_labelmap(
    path: str, use_display_name: bool = True
) -> dict[int, Category]:
    """Returns {id: {'id': int, 'name': str}}, background left out."""
    return create_category_index(
        create_categories_from_labelmap(path, use_display_name)
    )


def _shown_name(item: string_int_label_map_pb2.StringIntLabelMapItem) -> str:
    return item.display_name or item.name


def _read(path: str) -> bytes:
    found = path
    if path.startswith(f"{_PACKAGE}/") and not os.path.exists(path):
        found = os.path.join(_PACKAGE_PARENT, path)
    try:
        if os.path.getsize(found) > MAX_LABEL_MAP_BYTES:
            raise errors.ConfigError(
                f"{path}: larger than {MAX_LABEL_MAP_BYTES} bytes, so this is "
                "no label map"
            )
        with open(found, "rb") as file:
            return file.read()
    except OSError as error:
        raise errors.ConfigError(
            f"{path}: cannot read the label map: {error.strerror}; correct "
            "label_map_path"
        ) from error


def _parse(
    path: str, content: bytes
) -> string_int_label_map_pb2.StringIntLabelMap:
    try:
        return text_format.Parse(
            content.decode("utf-8"),
            string_int_label_map_pb2.StringIntLabelMap(),
        )
    except (text_format.ParseError, UnicodeDecodeError) as error:
        # A binary label map begins with a byte that is also a line break in
        # text, so the first byte cannot tell the two apart.
        text_error = error
    binary = string_int_label_map_pb2.StringIntLabelMap()
    try:
        binary.ParseFromString(content)
    except message.DecodeError:
        binary.Clear()
    if not binary.item:
        raise errors.ConfigError(
            f"{path}: not a label map: {text_error}"
        ) from text_error
    return binary
