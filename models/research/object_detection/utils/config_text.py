"""Parses configs in text format and says where one is wrong.

The protobuf parser reports a line and a column. Here the path of the field is
added (`model.ssd.num_clases`); `config_hints` adds what to write instead.
"""

import re
from typing import TypeVar

from google.protobuf import message, text_format

from object_detection.core import errors
from object_detection.utils import config_hints

MAX_NESTING_DEPTH = 64

M = TypeVar("M", bound=message.Message)

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)
    |(?P<open>[{<])|(?P<close>[}>])|(?P<mark>[\[\]:,;])
    |(?P<word>[^\s"'\#{}<>\[\]:,;]+)""",
    re.VERBOSE,
)
# "3:7 : 'the line as it stands': reason"; both parts may be absent.
_POSITION = re.compile(r"^\d+:\d+ : ('.*': )?", re.DOTALL)


def parse(text: str, message_type: type[M], source: str) -> tuple[M, list[str]]:
    """Parses one message in text format.

    Args:
        text: the config; its newlines are counted for the position of errors.
        message_type: class of the message that is expected.
        source: name of the file or flag, with which every error begins.

    Returns:
        The message, and warnings of one line each: fields that are set twice,
        of which the last counts, as in the TF Object Detection API.

    Raises:
        ConfigError: the text does not parse; names line, column and field.
    """
    check_nesting(text, source)
    parsed = message_type()
    warnings = []
    try:
        text_format.Parse(text, parsed)
    except text_format.ParseError as error:
        if "should not have multiple" not in str(error):
            raise _config_error(error, text, parsed, source) from None
        warnings.append(str(_config_error(error, text, parsed, source)))
        parsed.Clear()
        try:
            text_format.Merge(text, parsed)
        except text_format.ParseError as other_error:
            raise _config_error(other_error, text, parsed, source) from None
    return parsed, warnings


def check_nesting(text: str, source: str) -> None:
    """Refuses text whose blocks nest deeper than `MAX_NESTING_DEPTH`.

    The parser calls itself once for each level, so this comes before it.

    Raises:
        ConfigError: too deep; names the line where it becomes so.
    """
    depth = 0
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "open" or token.group() == "[":
            depth += 1
        elif token.lastgroup == "close" or token.group() == "]":
            depth -= 1
        if depth > MAX_NESTING_DEPTH:
            line = text.count("\n", 0, token.start()) + 1
            raise errors.ConfigError(
                f"{source}:{line}: blocks nest deeper than "
                f"{MAX_NESTING_DEPTH} levels, which no config field needs"
            )


def _config_error(
    error: text_format.ParseError,
    text: str,
    target: message.Message,
    source: str,
) -> errors.ConfigError:
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    place = _place_at(text, line, column)
    reason = config_hints.explain(
        _POSITION.sub("", str(error)), place, target.DESCRIPTOR
    )
    path = ".".join([name for name, _ in place.blocks] + [place.field])
    path = f"{path.rstrip('.')}: " if path else ""
    return errors.ConfigError(f"{source}:{line}:{column}: {path}{reason}")


def _place_at(text: str, line: int, column: int) -> config_hints.Place:
    """Finds what is open at a position, in text that parsed up to there."""
    offset = _offset(text, line, column)
    blocks, field, in_list = [], "", False
    is_named = False  # a field is named and its value still to come
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup, token.group()
        if kind == "comment":
            continue
        if token.start() > offset:
            return config_hints.Place(
                blocks, field, text[offset : offset + 1], False
            )
        if kind == "word" and not is_named and not in_list:
            field, is_named = word, True
        elif kind in ("word", "string"):
            is_named = False
        if token.start() == offset:
            is_last = _TOKEN.search(text, token.end()) is None
            return config_hints.Place(blocks, field, word, is_last)
        if kind == "open":
            blocks.append((field, text.count("\n", 0, token.start()) + 1))
        elif kind == "close" and blocks:
            blocks.pop()
        if kind in ("open", "close"):
            field, is_named = "", False
        if word in "[]" and kind == "mark":
            in_list, is_named = word == "[", False
    return config_hints.Place(blocks, field, "", True)


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(start + column - 1, len(text))
