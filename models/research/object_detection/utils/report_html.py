"""Pieces of HTML that the parts of a report are made of."""

import math
from collections.abc import Iterable, Sequence

_NOT_APPLICABLE = "n/a"


def table(names: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Numbers become percentages with a bar; text must be escaped."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{value}</td>"
    share = 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)
    return (
        f'<td class="score"><span>{percent(value)}</span>'
        f'<i><u style="width:{share:.1%}"></u></i></td>'
    )


def percent(value: float | None) -> str:
    if value is None or math.isnan(value) or value < 0:
        return _NOT_APPLICABLE
    return f"{value * 100:.1f}&thinsp;%"


def section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def figure(caption: str, svg: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def nothing(sentence: str) -> str:
    return f'<p class="note">{sentence}</p>'
