"""Learning rates as pure functions of the step.

Every function takes the number of updates made so far (a Python int, a NumPy
array or a tensor, so a whole schedule can be plotted at once) and returns a
float32 tensor of the same shape. A schedule that cannot work raises
ValueError as soon as it is called with any step.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

Tensor = Any
Schedule = Callable[[Any], Tensor]


def constant(step: Any, *, learning_rate: float) -> Tensor:
    """Returns the same learning rate at every step."""
    _require_not_negative(learning_rate=learning_rate)
    return learning_rate * ops.ones_like(_as_float(step))


def exponential_decay_with_burnin(
    step: Any,
    *,
    learning_rate_base: float,
    learning_rate_decay_steps: int,
    learning_rate_decay_factor: float,
    burnin_learning_rate: float = 0.0,
    burnin_steps: int = 0,
    min_learning_rate: float = 0.0,
    staircase: bool = True,
) -> Tensor:
    """Multiplies the rate by a factor every so many steps after a burn-in.

    Args:
        step: number of updates made so far.
        learning_rate_base: rate at the end of the burn-in.
        learning_rate_decay_steps: steps in which the rate falls by the factor.
        learning_rate_decay_factor: positive.
        burnin_learning_rate: rate in the burn-in; 0 means the base rate.
        burnin_steps: length of the burn-in.
        min_learning_rate: the rate never falls below it.
        staircase: whether the rate falls at once every
            `learning_rate_decay_steps`, in place of a little at each step.

    Raises:
        ValueError: `learning_rate_decay_steps` or `..._factor` is not
            positive, or a rate is negative.
    """
    _require_not_negative(
        initial_learning_rate=learning_rate_base,
        burnin_learning_rate=burnin_learning_rate,
        min_learning_rate=min_learning_rate,
    )
    _require_positive(
        decay_steps=learning_rate_decay_steps,
        decay_factor=learning_rate_decay_factor,
    )
    step = _as_float(step)
    exponent = (step - burnin_steps) / learning_rate_decay_steps
    if staircase:
        exponent = ops.floor(exponent)
    decayed = learning_rate_base * ops.power(
        ops.cast(learning_rate_decay_factor, "float32"), exponent
    )
    burnin = burnin_learning_rate or learning_rate_base
    rate = ops.where(step < burnin_steps, burnin, decayed)
    return ops.maximum(rate, min_learning_rate)


def manual_stepping(
    step: Any,
    *,
    boundaries: Sequence[int],
    rates: Sequence[float],
    warmup: bool = False,
    warmup_steps: int = 0,
) -> Tensor:
    """Holds each rate between two boundaries.

    Args:
        step: number of updates made so far.
        boundaries: strictly increasing, positive steps; at `boundaries[i]`
            the rate changes from `rates[i]` to `rates[i + 1]`.
        rates: one more than boundaries.
        warmup: whether the rate climbs in a line from `rates[0]` to
            `rates[1]` over the first `boundaries[0]` steps.
        warmup_steps: steps in which the rate climbs from 0: step i has i /
            warmup_steps of `rates[0]`. It ends there, one short of the whole,
            and the share that was reached multiplies all later rates as well.

    Raises:
        ValueError: the boundaries do not rise, a rate is missing or the
            warm-up does not end before the first boundary.
    """
    if list(boundaries) != sorted(set(boundaries)) or (
        boundaries and boundaries[0] < 1
    ):
        raise ValueError(
            "schedule: expected steps above 0, each above the one before, got "
            f"{list(boundaries)}"
        )
    if len(rates) != len(boundaries) + 1:
        raise ValueError(
            f"schedule: {len(boundaries)} boundaries need "
            f"{len(boundaries) + 1} rates, got {len(rates)}"
        )
    if warmup and not boundaries:
        raise ValueError("warmup: needs a boundary to climb towards")
    _check_warmup_steps(warmup_steps, warmup, boundaries)
    _require_not_negative(initial_learning_rate=rates[0])
    for i, rate in enumerate(rates[1:]):
        _require_not_negative(**{f"schedule[{i}].learning_rate": rate})
    step = _as_float(step)
    result = rates[0] * ops.ones_like(step)
    if warmup:
        result = rates[0] + step * ((rates[1] - rates[0]) / boundaries[0])
    for boundary, rate in zip(boundaries, rates[1:], strict=True):
        result = ops.where(step >= boundary, rate, result)
    if warmup_steps:
        result = result * ops.minimum(step, warmup_steps - 1) / warmup_steps
    return result


def cosine_decay_with_warmup(
    step: Any,
    *,
    learning_rate_base: float,
    total_steps: int,
    warmup_learning_rate: float = 0.0,
    warmup_steps: int = 0,
    hold_base_rate_steps: int = 0,
    end_learning_rate_ratio: float = 0.0,
) -> Tensor:
    """Climbs in a line, holds, then falls along half a cosine to its end.

    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm
    Restarts" (2016), without the restarts.

    Args:
        step: number of updates made so far.
        learning_rate_base: the highest rate.
        total_steps: step at which the rate reaches its end, to stay there.
        warmup_learning_rate: rate at step 0.
        warmup_steps: length of the climb.
        hold_base_rate_steps: steps at the highest rate after the climb.
        end_learning_rate_ratio: rate at the end, as a share of the highest.

    Raises:
        ValueError: the warm-up is longer than the schedule or starts above
            `learning_rate_base`, a rate is negative or the share is none.
    """
    _require_not_negative(
        learning_rate_base=learning_rate_base,
        warmup_learning_rate=warmup_learning_rate,
    )
    if total_steps < warmup_steps:
        raise ValueError(
            f"warmup_steps: must be at most total_steps {total_steps}, got "
            f"{warmup_steps}"
        )
    if warmup_steps > 0 and learning_rate_base < warmup_learning_rate:
        raise ValueError(
            "warmup_learning_rate: must be at most learning_rate_base "
            f"{learning_rate_base:g}, got {warmup_learning_rate:g}"
        )
    if not 0.0 <= end_learning_rate_ratio <= 1.0:
        raise ValueError(
            "end_learning_rate_ratio: must be from 0 to 1, got "
            f"{end_learning_rate_ratio:g}"
        )
    step = _as_float(step)
    end_rate = learning_rate_base * end_learning_rate_ratio
    fall_start = warmup_steps + hold_base_rate_steps
    # A schedule without a falling part never uses the quotient below.
    num_falling_steps = max(total_steps - fall_start, 1)
    rate = end_rate + (
        0.5
        * (learning_rate_base - end_rate)
        * (1.0 + ops.cos(math.pi * (step - fall_start) / num_falling_steps))
    )
    if hold_base_rate_steps > 0:
        rate = ops.where(step > fall_start, rate, learning_rate_base)
    if warmup_steps > 0:
        slope = (learning_rate_base - warmup_learning_rate) / warmup_steps
        rate = ops.where(
            step < warmup_steps, warmup_learning_rate + step * slope, rate
        )
    return ops.where(step > total_steps, end_rate, rate)


def _check_warmup_steps(
    warmup_steps: int, warmup: bool, boundaries: Sequence[int]
) -> None:
    if not warmup_steps:
        return
    if warmup:
        raise ValueError(
            "warmup_steps: does not go with warmup: true, got "
            f"{warmup_steps}; remove one of them"
        )
    # One step would reach 0 / 1 of the rate, and stay there.
    last = boundaries[0] if boundaries else math.inf
    if not 2 <= warmup_steps <= last:
        raise ValueError(
            "warmup_steps: must be 0, or from 2 to the first step of the "
            f"schedule, {last}, got {warmup_steps}"
        )


def _as_float(step: Any) -> Tensor:
    return ops.cast(ops.convert_to_tensor(step), "float32")


def _require_not_negative(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0.0 <= rate < math.inf:
            raise ValueError(
                f"{name}: must be a finite number from 0 up, got {rate:g}"
            )


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name}: must be above 0, got {value:g}")
