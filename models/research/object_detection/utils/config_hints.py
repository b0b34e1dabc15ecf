"""Turns the protobuf parser's complaint into advice.

Every function works on names and descriptors only: the nearest valid name of
a field or enum value, the message to which a misplaced field belongs, the
block that is not closed.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from google.protobuf import descriptor

_MAX_NAMES_LISTED = 12
_TYPOGRAPHIC_QUOTES = "“”„‟‘’‚‛«»"

_UNKNOWN_FIELD = re.compile(r'has no field named "([^"]*)"')
_UNKNOWN_ENUM_VALUE = re.compile(r"Enum type .* has no value")
_ONEOF_CLASH = re.compile(
    r'Field "([^"]*)" is specified along with field "([^"]*)", another member '
    r'of oneof "([^"]*)"'
)
_SET_TWICE = re.compile(r'should not have multiple "([^"]*)" fields')
_WRONG_TYPE = re.compile(
    r"Couldn't parse (integer|float)|Value out of range|Expected \"true\" or"
    r"|Expected string|Expected \":\""
)

_FIELD = descriptor.FieldDescriptor
TYPE_NAMES = {
    _FIELD.TYPE_INT32: "an integer from -2147483648 to 2147483647",
    _FIELD.TYPE_UINT32: "an integer from 0 to 4294967295",
    _FIELD.TYPE_FLOAT: "a number",
    _FIELD.TYPE_BOOL: "true or false",
    _FIELD.TYPE_STRING: "text in quotes",
}


class Place(NamedTuple):
    """Where in the structure of a config a position lies."""

    blocks: list[tuple[str, int]]  # name and line of each '{', outermost first
    field: str  # last field named in the innermost block, or ""
    token: str  # what stands there, "" at the end of the text
    is_last: bool  # no token follows


def nearest_name(name: str, valid_names: Iterable[str]) -> str:
    """Returns a hint for a mistyped name: the nearest one, or all of them."""
    valid_names = list(valid_names)
    folded = {valid.lower(): valid for valid in valid_names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{folded[near[0]]}'?"
    if not valid_names:
        return "nothing is valid here"
    listed = ", ".join(sorted(valid_names)[:_MAX_NAMES_LISTED])
    more = ", ..." if len(valid_names) > _MAX_NAMES_LISTED else ""
    return f"valid names: {listed}{more}"


def explain(reason: str, place: Place, root: descriptor.Descriptor) -> str:
    """Says what is wrong at a place of a config and how to mend it.

    Args:
        reason: the parser's words, without position.
        place: where it stopped.
        root: type of the outermost message.

    Returns:
        One line; the parser's own words where nothing better is known.
    """
    if match := _UNKNOWN_FIELD.search(reason):
        return _unknown_field(match.group(1), place, root)
    if _UNKNOWN_ENUM_VALUE.search(reason):
        return _unknown_enum_value(place, root)
    if match := _ONEOF_CLASH.search(reason):
        new, old, oneof = (name.rpartition(".")[2] for name in match.groups())
        return (
            f"'{old}' is set already, and '{oneof}' takes one field only: "
            f"remove '{old}' or '{new}'"
        )
    if match := _SET_TWICE.search(reason):
        return f"'{match.group(1)}' is set more than once, the last one counts"
    if place.token[:1] in set(_TYPOGRAPHIC_QUOTES):
        return f"found the typographic quote {place.token[0]}, expected \" or '"
    if 'Expected "}"' in reason and place.is_last:
        opened = ", ".join(f"{name} (line {at})" for name, at in place.blocks)
        return f"the file ends before the '}}' of: {opened}"
    if place.token == "}" and not place.blocks:
        return "found a '}' that closes no block"
    if _WRONG_TYPE.search(reason):
        return _wrong_value(reason, place, root)
    return reason[:1].lower() + reason[1:].rstrip(".")


def _unknown_field(name: str, place: Place, root: descriptor.Descriptor) -> str:
    chain = _message_types(root, place)
    here = chain[-1]
    for outer in reversed(chain[:-1]):
        if name in outer.fields_by_name:
            block, line = place.blocks[-1]
            return (
                f"{here.name} has no field '{name}', {outer.name} has: is the "
                f"'}}' of '{block}' (line {line}) missing before it?"
            )
    hint = nearest_name(name, here.fields_by_name)
    owners = [m.name for m in _reachable(root) if name in m.fields_by_name]
    if owners:
        near = f"; or {hint}" if hint.startswith("did you") else ""
        hint = f"it is a field of {' or '.join(owners[:3])}{near}"
    return f"{here.name} has no field '{name}'; {hint}"


def _unknown_enum_value(place: Place, root: descriptor.Descriptor) -> str:
    field = _message_types(root, place)[-1].fields_by_name[place.field]
    hint = nearest_name(place.token, field.enum_type.values_by_name)
    return f"'{place.token}' is not a value of {field.enum_type.name}; {hint}"


def _wrong_value(reason: str, place: Place, root: descriptor.Descriptor) -> str:
    field = _message_types(root, place)[-1].fields_by_name.get(place.field)
    token = place.token or "the end of the file"
    expected = None
    if 'Expected ":"' in reason:
        expected = f"':' after '{place.field}'"
    elif field is not None:
        expected = TYPE_NAMES.get(field.type)
    if expected is None:
        return reason[:1].lower() + reason[1:].rstrip(".")
    return f"expected {expected}, found {token}"


def _message_types(
    root: descriptor.Descriptor, place: Place
) -> list[descriptor.Descriptor]:
    """Returns the types of the open blocks, from the root inwards."""
    chain = [root]
    for name, _ in place.blocks:
        chain.append(chain[-1].fields_by_name[name].message_type)
    return chain


def _reachable(
    root: descriptor.Descriptor,
) -> Iterator[descriptor.Descriptor]:
    seen = {root.full_name}
    queue = [root]
    for current in queue:
        yield current
        for field in current.fields:
            inner = field.message_type
            if inner is not None and inner.full_name not in seen:
                seen.add(inner.full_name)
                queue.append(inner)
