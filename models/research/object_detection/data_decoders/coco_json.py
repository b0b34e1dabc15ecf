"""Reads the values of an untrusted JSON, each fault with its place in it."""

import json
import os
import reprlib
from typing import Any

from object_detection.core import errors

# COCO's largest file has 0.5 GB; parsed, JSON takes several times its size.
MAX_JSON_BYTES = 2 * 2**30

# Coordinates in pixels stay far below; also keeps NaN and infinity out.
MAX_NUMBER = 1e9


def parse(json_path: str, keys: frozenset[str]) -> Any:
    """Reads a file; bounded in size and depth.

    Args:
        json_path: the file.
        keys: of objects in braces. Others are dropped while the file is
            parsed, so they cost no memory.

    Raises:
        DataError: a file that cannot be read or is no JSON.
    """

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if key in keys}

    try:
        num_bytes = os.path.getsize(json_path)
        if num_bytes > MAX_JSON_BYTES:
            raise errors.DataError(
                f"{json_path}: expected at most {MAX_JSON_BYTES} bytes, found"
                f" {num_bytes}; split the set"
            )
        with open(json_path, "rb") as file:
            return json.load(file, object_pairs_hook=keep)
    except OSError as error:
        raise errors.DataError(
            f"{json_path}: cannot read the annotations: {error.strerror}"
        ) from error
    except RecursionError as error:
        raise errors.DataError(
            f"{json_path}: expected COCO's annotations, found JSON that is"
            " nested too deeply"
        ) from error
    except ValueError as error:
        raise errors.DataError(f"{json_path}: not JSON: {error}") from error


def is_number(value: Any) -> bool:
    """Whether a value of the JSON is a finite number of sensible size."""
    return type(value) in (int, float) and abs(value) < MAX_NUMBER


def field(
    entry: Any,
    key: str,
    where: str,
    kind: type | tuple[type, ...],
    words: str,
) -> Any:
    """Returns a value of one of some types.

    Args:
        entry: what should be an object in braces.
        key: that it should have.
        where: its place: file and position.
        kind: expected type or types; bool is no int here.
        words: what is expected, for the error.

    Raises:
        DataError: another type, no such key, or not an object in braces.
    """
    if not isinstance(entry, dict):
        raise errors.DataError(
            f"{where}: expected an object in braces, found {shown(entry)}"
        )
    if key not in entry:
        raise errors.DataError(
            f"{where}: expected the key {key!r}, found"
            f" {', '.join(entry) or 'none'}"
        )
    value = entry[key]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if type(value) not in kinds:
        raise errors.DataError(
            f"{where}.{key}: expected {words}, found {shown(value)}"
        )
    return value


def list_field(entry: Any, key: str, where: str) -> list:
    """Returns a value that is a list; see `field`."""
    return field(entry, key, where, list, "a list")


def id_field(entry: Any, key: str, where: str) -> int | str:
    """Returns a value that is an integer or a text; see `field`."""
    value = field(entry, key, where, (int, str), "an integer or a text")
    return text_field(entry, key, where) if isinstance(value, str) else value


def text_field(entry: Any, key: str, where: str) -> str:
    """Returns a text of one line, not empty; see `field`."""
    value = field(entry, key, where, str, "a text")
    # Line breaks would forge lines of the log; lone surrogates have no bytes.
    if not value or not value.isprintable():
        raise errors.DataError(
            f"{where}.{key}: expected a text that can be printed, found"
            f" {shown(value)}"
        )
    return value


def shown(value: Any) -> str:
    """A value in one line of bounded length, also when deeply nested."""
    return reprlib.repr(value)
