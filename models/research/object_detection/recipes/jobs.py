"""From a shipped config and a recipe's settings to a detector in training."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from object_detection import inputs, model_hparams, model_lib
from object_detection.core import errors
from object_detection.recipes import epochs
from object_detection.training import (
    checkpoints,
    distributed,
    listeners,
    model_dir_lock,
)
from object_detection.training.training_loop import RunConfig
from object_detection.utils import config_util, epoch_steps

_ROOT = pathlib.Path(__file__).resolve().parents[4]

Overrides = Mapping[str, Any]


def config_path(name: str) -> str:
    """Returns the path of a config of the checkout's `configs` folder."""
    return str(_ROOT / "configs" / name)


def overrides_text(overrides: Overrides) -> str:
    """Returns overrides in the form of `--hparams_overrides`.

    Args:
        overrides: bool, number, text or message by path, or a list of them; a
            message is a dict of its fields. None leaves the config as it is.
    """
    return ",".join(
        f"{path}={_value_text(value)}"
        for path, value in overrides.items()
        if value is not None
    )


def _value_text(value: Any) -> str:
    if isinstance(value, Mapping):
        fields = (f"{n}: {_value_text(v)}" for n, v in value.items())
        return f"{{ {' '.join(fields)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value_text, value))}]"
    return json.dumps(value, ensure_ascii=False)


def read_configs(
    pipeline_config_path: str,
    overrides: Overrides,
    hparams_overrides: str | None = None,
) -> config_util.Configs:
    """Reads a config as `create_job` does, and builds nothing.

    Args:
        pipeline_config_path: of the config.
        overrides: see `overrides_text`.
        hparams_overrides: of the user, which win; see `model_hparams`.

    Raises:
        ConfigError: a file cannot be read or an override does not fit.
    """
    return model_hparams.apply_hparams_overrides(
        config_util.get_configs_from_pipeline_file(pipeline_config_path),
        with_overrides(overrides, hparams_overrides),
    )


def create_job(
    pipeline_config_path: str,
    model_dir: str,
    overrides: Overrides,
    hparams_overrides: str | None = None,
    **settings: Any,
) -> model_lib.EstimatorAndInputs:
    """Builds what a config describes.

    Args:
        pipeline_config_path: of the config.
        model_dir: of the run.
        overrides: see `overrides_text`.
        hparams_overrides: of the user, which win; see `model_hparams`.
        **settings: passed on to `model_lib.create_estimator_and_inputs`.

    Raises:
        DetectionError: see there. It is one of all processes.
    """
    error = job = None
    try:
        job = model_lib.create_estimator_and_inputs(
            # Checkpoints are those of epochs, and of a stop.
            RunConfig(model_dir, save_checkpoints_secs=None),
            pipeline_config_path,
            hparams_overrides=with_overrides(overrides, hparams_overrides),
            **settings,
        )
    except errors.DetectionError as caught:
        error = caught
    distributed.require_agreement({}, error)
    return job


def with_overrides(overrides: Overrides, hparams_overrides: str | None) -> str:
    """Returns overrides and those of the user, which win, as text.

    Args:
        overrides: see `overrides_text`.
        hparams_overrides: of the user; see `model_hparams`.

    Raises:
        ConfigError: those of the user are malformed.
    """
    try:
        of_user = model_hparams.create_hparams(hparams_overrides)
    except errors.ConfigError as error:
        raise errors.ConfigError(f"--hparams_overrides: {error}") from None
    ours = {key: v for key, v in overrides.items() if key not in of_user}
    theirs = (f"{key}={value}" for key, value in of_user.items())
    return ",".join([*filter(None, [overrides_text(ours)]), *theirs])


def steps_per_epoch(job: model_lib.EstimatorAndInputs) -> int:
    """Returns how many updates an epoch has; may count the training set.

    Raises:
        DataError: the training set has no example.
    """
    return steps_per_epoch_of(
        job.configs, distributed.size() * job.train_options.num_parts
    )


def steps_per_epoch_of(
    configs: config_util.Configs, batches_per_step: int
) -> int:
    """Does the same for a config, and keeps there what it counts.

    Args:
        configs: from `read_configs`, or of a job.
        batches_per_step: how many batches make one update, over all
            processes.

    Raises:
        DataError: the training set has no example.
    """
    train_config = configs["train_config"]
    if not train_config.examples_per_epoch:
        train_config.examples_per_epoch = inputs.count_examples(
            configs["train_input_config"], configs["model"]
        )
    return epoch_steps.steps_per_epoch(train_config, batches_per_step)


def look_on(
    job: model_lib.EstimatorAndInputs,
    looking_on: Sequence[listeners.TrainingListener],
    **run_config: Any,
) -> None:
    """Lets listeners look on at a training that has not begun.

    Args:
        job: built for training.
        looking_on: they are told of every step.
        **run_config: fields of the estimator's RunConfig to change.
    """
    config = job.estimator.config
    job.estimator.config = dataclasses.replace(
        config, listeners=(*config.listeners, *looking_on), **run_config
    )


def adopt_checkpoint(path: str, model_dir: str) -> None:
    """Makes a run go on from a checkpoint that lies elsewhere.

    The run has its weights, its optimizer's slots and its step then. A run
    that is at that step or beyond it goes on with what it has, so that one
    command both begins it and takes it up again.

    Args:
        path: a checkpoint, or a directory, for its newest.
        model_dir: of the run.

    Raises:
        CheckpointError: there is no such checkpoint, or it has no step.
        ConfigError: the run is not as far as the checkpoint.
    """
    distributed.from_main(lambda: _adopt_checkpoint(path, model_dir))


def _adopt_checkpoint(path: str, model_dir: str) -> None:
    reader = checkpoints.Reader(path)
    step = checkpoints.global_step(reader)
    latest = checkpoints.latest_checkpoint(model_dir)
    if latest is None:
        name = os.path.join(model_dir, f"{checkpoints.PREFIX}-{step}")
        with model_dir_lock.locked(model_dir):
            epochs.name_checkpoint(reader.path, name)
        logging.info("Going on from step %d of %s", step, path)
        return
    step_of_run = checkpoints.step_of(latest)
    if step_of_run < step:
        raise errors.ConfigError(
            f"{path}: is of step {step}, but {model_dir} holds a "
            f"run at step {step_of_run}; leave it out to go on with that run, "
            "or give the new one another directory"
        )
    if step_of_run > step:
        logging.warning(
            "%s has a run at step %d, which goes on; %s, of step %d, is not "
            "looked at",
            model_dir,
            step_of_run,
            path,
            step,
        )
