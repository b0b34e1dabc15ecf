"""Turns what a training config says in epochs into steps.

Everything is built from steps alone, and so is what a run saves of its
config: with it the run goes on the same although its data set has grown.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from absl import logging
from google.protobuf import message

from object_detection.core import errors
from object_detection.protos import train_pb2

_MAX_STEPS = 2**32 - 1


class _Field(NamedTuple):
    """A field in epochs and the one in steps that it stands for.

    Attributes:
        part: the message of both.
        path: of the message in the pipeline config.
        in_epochs: name of the one.
        in_steps: name of the other.
    """

    part: message.Message
    path: str
    in_epochs: str
    in_steps: str

    @property
    def is_set(self) -> bool:
        return self.part.HasField(self.in_epochs)


def resolve(
    train_config: train_pb2.TrainConfig,
    batches_per_step: int,
    count_examples: Callable[[], int],
) -> None:
    """Replaces the epochs in a config by steps.

    `num_steps` wins over `num_epochs`. Where anything was in epochs,
    `examples_per_epoch` is set to the number of examples counted.

    Args:
        train_config: changed in place.
        batches_per_step: how many batches make one update, over all
            processes.
        count_examples: counts the training set; called when
            `examples_per_epoch` is not set.

    Raises:
        ConfigError: a number of epochs is none, or is given in steps too.
        DataError: there is no example.
    """
    was_in_epochs = any(field.is_set for field in _fields(train_config))
    if train_config.num_steps and train_config.HasField("num_epochs"):
        logging.warning(
            "train_config.num_epochs: %g has no effect, because the number of "
            "steps is set to %d",
            train_config.num_epochs,
            train_config.num_steps,
        )
        train_config.ClearField("num_epochs")
    in_epochs = [field for field in _fields(train_config) if field.is_set]
    for field in in_epochs:
        _check(field)
    if not was_in_epochs:
        return
    if not train_config.examples_per_epoch:
        train_config.examples_per_epoch = count_examples()
    if not train_config.examples_per_epoch:
        raise errors.DataError(
            "train_input_reader: the training set has no example, and so an "
            "epoch no step; correct the paths of the reader"
        )
    per_epoch = steps_per_epoch(train_config, batches_per_step)
    for field in in_epochs:
        _set_steps(field, per_epoch)
    logging.info(
        "%d examples, %d steps an epoch, %d steps",
        train_config.examples_per_epoch,
        per_epoch,
        train_config.num_steps,
    )


def steps_per_epoch(
    train_config: train_pb2.TrainConfig, batches_per_step: int
) -> int:
    """Returns how many full batches an epoch has, at least 1.

    Args:
        train_config: with `examples_per_epoch`.
        batches_per_step: how many of `batch_size` make one update, over all
            processes.

    Raises:
        ValueError: `examples_per_epoch` is not set.
    """
    if not train_config.examples_per_epoch:
        raise ValueError("train_config.examples_per_epoch is not known")
    # What is out of range is refused later, with everything else that is.
    examples_per_step = max(train_config.batch_size, 1) * batches_per_step
    return max(train_config.examples_per_epoch // examples_per_step, 1)


def _fields(train_config: train_pb2.TrainConfig) -> Iterator[_Field]:
    yield _Field(train_config, "train_config", "num_epochs", "num_steps")
    optimizer = train_config.optimizer
    optimizer_kind = optimizer.WhichOneof("optimizer")
    if optimizer_kind is None:
        return
    learning_rate = getattr(optimizer, optimizer_kind).learning_rate
    kind = learning_rate.WhichOneof("learning_rate")
    path = f"train_config.optimizer.{optimizer_kind}.learning_rate.{kind}"
    if kind == "manual_step_learning_rate":
        schedule = learning_rate.manual_step_learning_rate.schedule
        for i, entry in enumerate(schedule):
            yield _Field(entry, f"{path}.schedule[{i}]", "epoch", "step")
    elif kind == "cosine_decay_learning_rate":
        cosine = learning_rate.cosine_decay_learning_rate
        yield _Field(cosine, path, "total_epochs", "total_steps")
        yield _Field(cosine, path, "warmup_epochs", "warmup_steps")


def _check(field: _Field) -> None:
    path = f"{field.path}.{field.in_epochs}"
    num_epochs = getattr(field.part, field.in_epochs)
    # Without a warm-up is a schedule, without an end is none.
    may_be_0 = field.in_epochs == "warmup_epochs"
    if not (0 < num_epochs < math.inf or (may_be_0 and num_epochs == 0)):
        raise errors.ConfigError(
            f"{path}: must be a number {'from 0 up' if may_be_0 else 'above 0'}"
            f", got {num_epochs:g}"
        )
    if getattr(field.part, field.in_steps) and field.part.HasField(
        field.in_steps
    ):
        raise errors.ConfigError(
            f"{path}: stands in place of {field.in_steps}, which is set to "
            f"{getattr(field.part, field.in_steps)}; remove one of them"
        )


def _set_steps(field: _Field, per_epoch: int) -> None:
    num_epochs = getattr(field.part, field.in_epochs)
    num_steps = max(round(num_epochs * per_epoch), 1) if num_epochs else 0
    if num_steps > _MAX_STEPS:
        raise errors.ConfigError(
            f"{field.path}.{field.in_epochs}: {num_epochs:g} epochs of "
            f"{per_epoch} steps are more than {_MAX_STEPS} steps; lower it"
        )
    setattr(field.part, field.in_steps, num_steps)
    field.part.ClearField(field.in_epochs)
