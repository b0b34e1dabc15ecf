"""Turns what a sweep tries into Optuna's samplers and distributions."""

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from sweeps.sweep_space import Range, Sweep


def sampler(sweep: Sweep, num_drawn: int) -> BaseSampler:
    """Returns what draws the next trial.

    Args:
        sweep: what is tried.
        num_drawn: trials drawn so far. Each has a seed of its own, so that a
            resumed sweep draws on and does not draw the same again.
    """
    entropy = np.random.SeedSequence([sweep.seed, num_drawn])
    seed = int(entropy.generate_state(1)[0])
    if sweep.sampler == "tpe":
        return TPESampler(
            seed=seed,
            # Keeps trials that run at the same time apart.
            constant_liar=True,
        )
    # All trials of a grid are in the queue, so nothing is drawn.
    return RandomSampler(seed=seed)


def distributions(sweep: Sweep) -> dict[str, BaseDistribution]:
    """Returns, by key, what a value is drawn from; lists for a grid."""
    return {
        key: _distribution(item, sweep.sampler == "grid")
        for key, item in sweep.search.items()
    }


def _distribution(
    item: Range | tuple[str, ...], is_grid: bool
) -> BaseDistribution:
    if isinstance(item, tuple):
        return CategoricalDistribution(item)
    if is_grid:
        return CategoricalDistribution([item.text(v) for v in item.values()])
    if item.int:
        return IntDistribution(
            round(item.low), round(item.high), item.log, round(item.step or 1)
        )
    return FloatDistribution(item.low, item.high, item.log, item.step)
