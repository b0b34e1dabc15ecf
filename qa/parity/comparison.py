"""Expected against found, with the limit that decides."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

Number = float | np.ndarray


class Comparison(NamedTuple):
    """One quantity, expected against found.

    Attributes:
        name: as in `golden.npz`.
        expected: what the original had, for people to read.
        found: what this detector has.
        difference: the number that must not be above the limit.
        limit: what was agreed on.
        rounding_limit: how far apart two runs of this detector are that
            differ in rounding alone.
    """

    name: str
    expected: str
    found: str
    difference: float
    limit: float
    rounding_limit: float

    @property
    def verdict(self) -> str:
        """'ok', 'rounding' (only above `limit`) or 'DIFFERS'; NaN differs."""
        if self.difference <= self.limit:
            return "ok"
        is_rounding = self.difference <= self.rounding_limit
        return "rounding" if is_rounding else "DIFFERS"


def compare_max(
    name: str,
    expected: Number,
    found: Number,
    limit: float,
    *,
    scale: float = 1.0,
    rounding_limit: float = 0.0,
) -> Comparison:
    """Compares arrays by their largest difference over a scale."""
    expected, found = np.asarray(expected), np.asarray(found)
    difference = float("inf")
    if expected.shape == found.shape:
        difference = np.max(np.abs(expected - found), initial=0.0) / scale
    return Comparison(
        name,
        _digest(expected),
        _digest(found),
        float(difference),
        limit,
        rounding_limit,
    )


def compare_scalar(
    name: str,
    expected: Number,
    found: Number,
    limit: float,
    *,
    rounding_limit: float = 0.0,
) -> Comparison:
    """Compares two numbers by their difference over the expected one."""
    return compare_max(
        name,
        expected,
        found,
        limit,
        scale=abs(float(expected)),
        rounding_limit=rounding_limit,
    )


def compare_most(
    name: str,
    expected: np.ndarray,
    found: Iterable[float],
    tolerance: float,
    *,
    least_share: float = 0.95,
    least_share_rounded: float = 1.0,
) -> Comparison:
    """Compares numbers one by one; a share of them must be close.

    Args:
        name: of the quantity.
        expected: float [N].
        found: N numbers.
        tolerance: relative difference that is close.
        least_share: how many of them must be close.
        least_share_rounded: how many are between runs that differ in
            rounding alone.
    """
    return compare_share(
        f"{name} within {tolerance:g}",
        is_close(expected, np.array(list(found)), tolerance),
        least_share,
        least_share_rounded=least_share_rounded,
    )


def is_close(
    expected: np.ndarray, found: np.ndarray, tolerance: float
) -> np.ndarray:
    """Returns bool [N]: the relative difference is within the tolerance."""
    scale = np.maximum(np.abs(expected), 1e-12)
    return np.abs(expected - found) <= tolerance * scale


def compare_share(
    name: str,
    agrees: np.ndarray,
    least_share: float,
    *,
    least_share_rounded: float = 1.0,
) -> Comparison:
    """Compares the share of true values with the least one."""
    num_values, num_wrong = len(agrees), int(np.sum(~agrees))
    return Comparison(
        name,
        f"{least_share:.0%} of {num_values}",
        f"{num_values - num_wrong} of {num_values}",
        num_wrong / num_values if num_values else float("inf"),
        1.0 - least_share,
        1.0 - least_share_rounded,
    )


def compare_sets(
    name: str, expected: Iterable[object], found: Iterable[object]
) -> Comparison:
    """Compares sets by how many elements only one of them has."""
    expected, found = set(expected), set(found)
    num_different = float(len(expected ^ found))
    return Comparison(
        name, f"{len(expected)}", f"{len(found)}", num_different, 0.0, 0.0
    )


def _digest(values: np.ndarray) -> str:
    """Returns a number as it is, an array by shape and mean size."""
    if values.ndim == 0:
        return f"{float(values):.7g}"
    return f"{list(values.shape)} ~{np.mean(np.abs(values)):.6g}"
