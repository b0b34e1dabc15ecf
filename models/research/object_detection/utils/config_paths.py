"""Sets one field of a config message by its dotted path, type-checked.

A path names fields from the root message inwards; an entry of a repeated
field is chosen by its index, or all of them by a star:

    train_config.batch_size
    eval_input_reader[0].shuffle
    train_config.data_augmentation_options[*].random_crop_image.min_area

A value is a Python value or its text: numbers, true/false, enum values by
name, `[a, b]` for a repeated field, `{ field: value }` for a message, and so
`[{ field: value }, {}]` for a repeated one.
"""

import re
from collections.abc import Iterator
from typing import Any

from absl import logging
from google.protobuf import descriptor, message, message_factory

from object_detection.core import errors
from object_detection.utils import config_hints, config_text

_FIELD = descriptor.FieldDescriptor
_STEP = re.compile(r"([A-Za-z_]\w*)(?:\[(\d+|\*)\])?")
_INTEGER = re.compile(r"[+-]?\d+")
_INTEGER_RANGES = {
    _FIELD.TYPE_INT32: range(-(1 << 31), 1 << 31),
    _FIELD.TYPE_UINT32: range(1 << 32),
}
_BOOLS = {
    **dict.fromkeys(("true", "t", "1"), True),
    **dict.fromkeys(("false", "f", "0"), False),
}


def set_by_path(root: message.Message, path: str, value: Any) -> None:
    """Sets the field at a path, making the messages on the way to it.

    Choosing another member of a oneof drops the one that was set, with a
    warning.

    Args:
        root: message that is changed.
        path: dotted path from the root.
        value: as described in the head of this module.

    Raises:
        ConfigError: the path or the value does not fit; names the path.
    """
    *parents, last = path.split(".")
    targets = [root]
    for step in parents:
        targets = [
            inner for outer in targets for inner in _enter(outer, step, path)
        ]
    for target in targets:
        field, index = _resolve(target, last, path)
        _warn_of_replaced(target, field, path)
        if index is not None:
            _set_entries(target, field, index, value, path)
        elif field.label == field.LABEL_REPEATED:
            _set_repeated(target, field, value, path)
        elif field.message_type is not None:
            _set_message(getattr(target, field.name), value, path)
        else:
            setattr(target, field.name, convert(field, value, path))


def convert(field: descriptor.FieldDescriptor, value: Any, key: str) -> Any:
    """Returns a value in the type of a scalar field.

    Args:
        field: descriptor of a scalar or enum field.
        value: Python value or text.
        key: what the user wrote, for the error.

    Raises:
        ConfigError: the value is of another type or out of range.
    """
    text = value.strip() if isinstance(value, str) else None
    if field.type == _FIELD.TYPE_ENUM:
        return _enum_number(field, value if text is None else text, key)
    if field.type == _FIELD.TYPE_STRING and text is not None:
        return unquote(text)
    if field.type == _FIELD.TYPE_BOOL:
        if isinstance(value, bool):
            return value
        if text is not None and text.lower() in _BOOLS:
            return _BOOLS[text.lower()]
    elif field.type in _INTEGER_RANGES and not isinstance(value, bool):
        is_integer = (
            _INTEGER.fullmatch(text) if text else hasattr(value, "__index__")
        )
        if is_integer and int(value) in _INTEGER_RANGES[field.type]:
            return int(value)
    elif field.type == _FIELD.TYPE_FLOAT and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise errors.ConfigError(
        f"{key}: expected {config_hints.TYPE_NAMES[field.type]}, got {value!r}"
    )


def to_list(value: Any) -> list[Any]:
    """Returns the entries of `[a, b]`, of a Python list, or of one value."""
    if isinstance(value, (list, tuple)):
        return list(value)
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith("[") and text.endswith("]"):
        inner = text[1:-1].strip()
        return split_top_level(inner) if inner else []
    return [value]


def split_top_level(text: str) -> list[str]:
    """Splits at the commas that stand outside of brackets and quotes.

    Raises:
        ConfigError: a bracket or quote is not closed.
    """
    parts, start, depth, quote = [], 0, 0, ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            # Elsewhere it is an apostrophe: /home/bob's/data.
            if text[:position].rstrip()[-1:] in ("", "=", "[", "{", ",", ":"):
                quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    if quote or depth:
        raise errors.ConfigError(
            f"{text}: a {'quote' if quote else 'bracket'} is not closed"
        )
    return [*parts, text[start:].strip()]


def unquote(text: str) -> str:
    """Returns text without the pair of quotes around it, if there is one."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _resolve(
    target: message.Message, step: str, path: str
) -> tuple[descriptor.FieldDescriptor, str | None]:
    match = _STEP.fullmatch(step)
    if match is None:
        raise errors.ConfigError(f"{path}: '{step}' is not a field name")
    name, index = match.groups()
    valid = target.DESCRIPTOR.fields_by_name
    if name not in valid:
        hint = config_hints.nearest_name(name, valid)
        raise errors.ConfigError(
            f"{path}: {target.DESCRIPTOR.name} has no field '{name}'; {hint}"
        )
    field = valid[name]
    if index is not None and field.label != field.LABEL_REPEATED:
        raise errors.ConfigError(f"{path}: '{name}' is not repeated")
    return field, index


def _enter(
    target: message.Message, step: str, path: str
) -> Iterator[message.Message]:
    field, index = _resolve(target, step, path)
    if field.message_type is None:
        raise errors.ConfigError(f"{path}: '{field.name}' has no fields")
    value = getattr(target, field.name)
    if field.label != field.LABEL_REPEATED:
        _warn_of_replaced(target, field, path)
        value.SetInParent()
        yield value
        return
    for entry in _indices(field, value, index, path):
        yield value[entry]


def _indices(
    field: descriptor.FieldDescriptor,
    entries: Any,
    index: str | None,
    path: str,
) -> list[int]:
    if index == "*":
        return list(range(len(entries)))
    if index is not None and int(index) < len(entries):
        return [int(index)]
    raise errors.ConfigError(
        f"{path}: '{field.name}' has {len(entries)} entries, choose one as "
        f"{field.name}[0] or all as {field.name}[*]"
    )


def _warn_of_replaced(
    target: message.Message, field: descriptor.FieldDescriptor, path: str
) -> None:
    oneof = field.containing_oneof
    current = target.WhichOneof(oneof.name) if oneof is not None else None
    if current is not None and current != field.name:
        # Setting the field clears the other one.
        logging.warning("%s: replaces '%s'", path, current)


def _set_repeated(
    target: message.Message,
    field: descriptor.FieldDescriptor,
    value: Any,
    path: str,
) -> None:
    entries = to_list(value)
    if field.message_type is None:
        values = [convert(field, entry, path) for entry in entries]
    elif all(map(_is_message_text, entries)):
        kind = message_factory.GetMessageClass(field.message_type)
        values = [_parse_message(entry, kind, path) for entry in entries]
    else:
        raise errors.ConfigError(
            f"{path}: is a repeated message; set the fields of its entries, "
            f"such as {field.name}[0], or give '[{{ field: value }}]'"
        )
    target.ClearField(field.name)
    getattr(target, field.name).extend(values)


def _set_entries(
    target: message.Message,
    field: descriptor.FieldDescriptor,
    index: str,
    value: Any,
    path: str,
) -> None:
    entries = getattr(target, field.name)
    for entry in _indices(field, entries, index, path):
        if field.message_type is not None:
            _set_message(entries[entry], value, path)
        else:
            entries[entry] = convert(field, value, path)


def _set_message(target: message.Message, value: Any, path: str) -> None:
    if not _is_message_text(value):
        fields = config_hints.nearest_name("", target.DESCRIPTOR.fields_by_name)
        raise errors.ConfigError(
            f"{path}: is a message, not a value; add a field name "
            f"({fields}) or give '{{ field: value }}'"
        )
    target.CopyFrom(_parse_message(value, type(target), path))
    target.SetInParent()


def _is_message_text(value: Any) -> bool:
    text = value.strip() if isinstance(value, str) else ""
    return text.startswith("{") and text.endswith("}")


def _parse_message(
    text: str, kind: type[message.Message], path: str
) -> message.Message:
    parsed, _ = config_text.parse(text.strip()[1:-1], kind, path)
    return parsed


def _enum_number(
    field: descriptor.FieldDescriptor, value: Any, key: str
) -> int:
    enum = field.enum_type
    name = str(value)
    if name in enum.values_by_name:
        return enum.values_by_name[name].number
    if name.isdecimal() and int(name) in enum.values_by_number:
        return int(name)
    hint = config_hints.nearest_name(name, enum.values_by_name)
    raise errors.ConfigError(
        f"{key}: '{name}' is not a value of {enum.name}; {hint}"
    )
