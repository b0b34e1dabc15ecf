"""Random draws that several steps share; each a pure function of its seed."""

from collections.abc import Sequence
from typing import TypeVar

import tensorflow as tf

Number = TypeVar("Number", float, bool)


def uniform_integers(
    low: tf.Tensor, high: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Draws integers, the upper bound excluded.

    Args:
        low: int32 [n].
        high: int32 [n], at most low + 2^23.
        seed: int64 [2].

    Returns:
        int32 [n], uniform in [low, high); `high` where it is not above `low`.
    """
    shares = tf.random.stateless_uniform(tf.shape(high), seed)
    drawn = low + whole_number_below(high - low, shares)
    return tf.where(high > low, drawn, high)


def whole_number_below(span: tf.Tensor | int, shares: tf.Tensor) -> tf.Tensor:
    """Makes int32 numbers in [0, span) of draws from [0, 1).

    Args:
        span: int32, up to 2^23.
        shares: float32, of `stateless_uniform`.
    """
    # They are below 1 by 2^-23 or more, so that no product rounds up.
    return tf.cast(tf.floor(shares * tf.cast(span, tf.float32)), tf.int32)


def uniform_case(num_cases: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws scalar int32 in [0, num_cases), each with equal probability."""
    if num_cases == 1:
        return tf.constant(0)
    return tf.random.stateless_uniform(
        [], seed, maxval=num_cases, dtype=tf.int32
    )


def value_of_case(
    values: Sequence[Number], case: tf.Tensor
) -> Number | tf.Tensor:
    """Returns values[case], a plain value where all are equal.

    Args:
        values: one a case.
        case: scalar int32.
    """
    if all(value == values[0] for value in values):
        return values[0]
    return tf.constant(values)[case]
