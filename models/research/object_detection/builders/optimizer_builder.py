"""Builds the optimizer and the learning rate that a config describes."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from google.protobuf import message

from object_detection.builders import oneof
from object_detection.core import errors
from object_detection.protos import optimizer_pb2
from object_detection.training import learning_schedules, optimizers

_PATH = "train_config.optimizer"
_KINDS = ("momentum_optimizer", "rms_prop_optimizer", "adam_optimizer")
_SCHEDULES = (
    "constant_learning_rate",
    "exponential_decay_learning_rate",
    "manual_step_learning_rate",
    "cosine_decay_learning_rate",
)


class OptimizerAndRate(NamedTuple):
    """What updates the weights, and by how much.

    Attributes:
        make_optimizer: makes the optimizer of the variables it is given.
        learning_rate: the rate as a function of the step.
    """

    make_optimizer: Callable[[optimizers.Variables], optimizers.Optimizer]
    learning_rate: learning_schedules.Schedule


def build(config: optimizer_pb2.Optimizer) -> OptimizerAndRate:
    """Builds the optimizer, moving averages around it when they are asked for.

    Args:
        config: the `train_config.optimizer` message of a pipeline config.

    Raises:
        errors.ConfigError: names the field that is missing or cannot work.
    """
    kind = oneof.require(config, "optimizer", _PATH, _KINDS)
    kind_config = getattr(config, kind)
    make_kind = {
        "momentum_optimizer": _momentum,
        "rms_prop_optimizer": _rms_prop,
        "adam_optimizer": _adam,
    }[kind](kind_config)
    decay = config.moving_average_decay if config.use_moving_average else None

    def make_optimizer(
        variables: optimizers.Variables,
    ) -> optimizers.Optimizer:
        with _errors_at(f"{_PATH}.{kind}"):
            optimizer = make_kind(variables)
        if decay is None:
            return optimizer
        with _errors_at(_PATH):
            return optimizers.MovingAverage(optimizer, variables, decay=decay)

    # Without variables it costs nothing and finds the numbers that are wrong.
    make_optimizer({})
    return OptimizerAndRate(
        make_optimizer,
        _build_learning_rate(
            kind_config.learning_rate, f"{_PATH}.{kind}.learning_rate"
        ),
    )


@contextlib.contextmanager
def _errors_at(path: str) -> Iterator[None]:
    """Puts the path of a message before the field that an error names."""
    try:
        yield
    except ValueError as error:
        raise errors.ConfigError(f"{path}.{error}") from error


def _momentum(
    config: optimizer_pb2.MomentumOptimizer,
) -> Callable[..., optimizers.Optimizer]:
    return functools.partial(
        optimizers.Momentum, momentum=config.momentum_optimizer_value
    )


def _rms_prop(
    config: optimizer_pb2.RMSPropOptimizer,
) -> Callable[..., optimizers.Optimizer]:
    return functools.partial(
        optimizers.RMSProp,
        momentum=config.momentum_optimizer_value,
        decay=config.decay,
        epsilon=config.epsilon,
    )


def _adam(
    config: optimizer_pb2.AdamOptimizer,
) -> Callable[..., optimizers.Optimizer]:
    del config  # it has the learning rate alone
    return optimizers.Adam


def _build_learning_rate(
    config: optimizer_pb2.LearningRate, path: str
) -> learning_schedules.Schedule:
    kind = oneof.require(config, "learning_rate", path, _SCHEDULES)
    make_schedule = {
        "constant_learning_rate": _constant,
        "exponential_decay_learning_rate": _exponential,
        "manual_step_learning_rate": _manual,
        "cosine_decay_learning_rate": _cosine,
    }[kind]
    with _errors_at(f"{path}.{kind}"):
        schedule = make_schedule(getattr(config, kind))
        schedule(0)
    return schedule


def _constant(config: message.Message) -> learning_schedules.Schedule:
    return functools.partial(
        learning_schedules.constant, learning_rate=config.learning_rate
    )


def _exponential(config: message.Message) -> learning_schedules.Schedule:
    return functools.partial(
        learning_schedules.exponential_decay_with_burnin,
        learning_rate_base=config.initial_learning_rate,
        learning_rate_decay_steps=config.decay_steps,
        learning_rate_decay_factor=config.decay_factor,
        burnin_learning_rate=config.burnin_learning_rate,
        burnin_steps=config.burnin_steps,
        min_learning_rate=config.min_learning_rate,
        staircase=config.staircase,
    )


def _manual(config: message.Message) -> learning_schedules.Schedule:
    if not config.schedule:
        raise ValueError(
            "schedule: expected one or more, each with a step and a "
            "learning_rate, got none"
        )
    return functools.partial(
        learning_schedules.manual_stepping,
        boundaries=[entry.step for entry in config.schedule],
        rates=[
            config.initial_learning_rate,
            *(entry.learning_rate for entry in config.schedule),
        ],
        warmup=config.warmup,
        warmup_steps=config.warmup_steps,
    )


def _cosine(config: message.Message) -> learning_schedules.Schedule:
    return functools.partial(
        learning_schedules.cosine_decay_with_warmup,
        learning_rate_base=config.learning_rate_base,
        total_steps=config.total_steps,
        warmup_learning_rate=config.warmup_learning_rate,
        warmup_steps=config.warmup_steps,
        hold_base_rate_steps=config.hold_base_rate_steps,
        end_learning_rate_ratio=config.end_learning_rate_ratio,
    )
