"""Refuses arguments that cannot be, by the name that a config has for them.

Builders put the path of the config's message before the message of the error.
"""

from collections.abc import Sequence


def require_positive(**numbers: Sequence[float]) -> None:
    """Refuses numbers that are not above 0.

    Args:
        **numbers: by the name of their field, one or more of each.

    Raises:
        ValueError: "<name>: expected ..., got ...".
    """
    for name, values in numbers.items():
        if not values or min(values) <= 0:
            found = ", ".join(f"{value:g}" for value in values) or "none"
            raise ValueError(f"{name}: expected above 0, got {found}")
