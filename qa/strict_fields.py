"""Checks the names and types of what a file gives to a dataclass."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from object_detection.core import errors
from object_detection.utils import config_hints

_KINDS: dict[type, tuple[str, tuple[type, ...]]] = {
    str: ("text", (str,)),
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    list: ("a list", (list,)),
    dict: ("a table", (dict,)),
}


def check(content: Any, kind: type, prefix: str) -> dict[str, Any]:
    """Returns the fields of one table, fit for the dataclass `kind`.

    Tables and lists in it are not looked into.

    Args:
        content: as read from TOML or JSON.
        kind: a dataclass; fields without default must be there.
        prefix: of the names in errors, with its dot.

    Raises:
        ConfigError: a field is unknown, missing or of another type.
    """
    if not isinstance(content, dict):
        raise errors.ConfigError(
            f"{prefix.rstrip('.')}: expected a table, got {content!r}"
        )
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in content.items():
        if name not in fields:
            hint = config_hints.nearest_name(name, fields)
            raise errors.ConfigError(f"{prefix}{name}: no such field; {hint}")
        expected, allowed = _KINDS[_plain_type(fields[name].type)]
        if type(value) not in allowed:
            raise errors.ConfigError(
                f"{prefix}{name}: expected {expected}, got {value!r}"
            )
    for name, field in fields.items():
        has_default = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if name not in content and not has_default:
            raise errors.ConfigError(f"{prefix}{name}: is missing")
    return dict(content)


def _plain_type(annotation: Any) -> type:
    """Returns the type that stands in a file for a field's type."""
    if isinstance(annotation, types.UnionType):
        annotation = annotation.__args__[0]  # Of `X | None`.
    origin = typing.get_origin(annotation) or annotation
    if dataclasses.is_dataclass(origin) or issubclass(origin, Mapping):
        return dict
    if issubclass(origin, Sequence) and origin is not str:
        return list
    return origin
