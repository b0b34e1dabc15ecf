"""Reads the numbers of an augmentation's message, each in its range."""

import math

from google.protobuf import message

from object_detection.utils import config_fields

SHARE = config_fields.Range(0, 1)
NOT_NEGATIVE = config_fields.Range(0)
POSITIVE = config_fields.Range(0, is_low_allowed=False)
ANY = config_fields.Range(-math.inf)


class FieldError(ValueError):
    """A field with a value that cannot work; the message opens with it."""


def number(
    config: message.Message,
    name: str,
    allowed: config_fields.Range,
    path: str = "",
) -> float:
    """Returns the value of a field.

    Args:
        config: the message.
        name: of the field.
        allowed: the values that it may have.
        path: of the message in that of the augmentation, with its dot.

    Raises:
        FieldError: it has another value.
    """
    value = getattr(config, name)
    if math.isfinite(value) and allowed.contains(value):
        return value
    # Some messages have no defaults, and what they leave out is 0.
    is_missing = value == 0 and not config.HasField(name)
    found = "it is missing" if is_missing else f"got {value:g}"
    expected = (
        f"must be {allowed}" if math.isfinite(value) else "must be finite"
    )
    raise FieldError(f"{path}{name}: {expected}, {found}")


def ordered(
    config: message.Message,
    low_name: str,
    high_name: str,
    allowed: config_fields.Range,
    path: str = "",
) -> tuple[float, float]:
    """Returns the values of two fields, the first at most the second.

    Args:
        config: the message.
        low_name: of the first field.
        high_name: of the second field.
        allowed: the values that both may have.
        path: of the message in that of the augmentation, with its dot.

    Raises:
        FieldError: they have other values.
    """
    low = number(config, low_name, allowed, path)
    high = number(config, high_name, allowed, path)
    if low > high:
        raise FieldError(
            f"{path}{low_name}: must be at most {high_name}, which is "
            f"{high:g}, got {low:g}"
        )
    return low, high
