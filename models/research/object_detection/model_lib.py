"""From a pipeline config to a trained and measured detector. Read this first.

    job = create_estimator_and_inputs(RunConfig(model_dir), config_path)
    train_and_evaluate(job, report)

`create_estimator_and_inputs` (in `model_job`) reads the config and builds the
detector, its optimizer and its inputs. What then happens is one of three:
training with evaluations in between (`train_and_evaluate`), one evaluation of
a checkpoint (`evaluate_once`), or one of each new checkpoint
(`continuous_eval`).
"""

import contextlib
import functools
import os
from collections.abc import Collection, Iterator
from typing import Any

from absl import logging

from object_detection import eval_util, inputs
from object_detection.builders import evaluator_builder
from object_detection.core import errors
from object_detection.model_job import (
    EstimatorAndInputs,
    create_estimator_and_inputs,
)
from object_detection.training import (
    checkpoint_manager,
    checkpoints,
    distributed,
    model_dir_lock,
    signals,
)
from object_detection.utils import (
    config_util,
    eval_readers,
    evaluation_files,
    exp_utils,
)

__all__ = [
    "EstimatorAndInputs",
    "TRAINING",
    "VALIDATION",
    "continuous_eval",
    "create_estimator_and_inputs",
    "evaluate_once",
    "train_and_evaluate",
]

VALIDATION = eval_readers.VALIDATION
TRAINING = eval_readers.TRAINING

_MIN_SECONDS_BETWEEN_EVALUATIONS = 180.0


def train_and_evaluate(
    job: EstimatorAndInputs,
    report: exp_utils.DLLogger,
    *,
    eval_count: int = 1,
    eval_every_n_steps: int | None = None,
    eval_steps: Collection[int] = (),
    look_at: eval_util.LookAt | None = None,
) -> None:
    """Trains up to `job.train_steps` with evaluations in between.

    A directory with checkpoints is continued, at the evaluation that a stop
    left out if it was stopped there. SIGTERM and SIGINT save a checkpoint and
    raise SystemExit.

    Args:
        job: built for training.
        report: gets the throughput and the twelve values of each evaluation.
        eval_count: evaluations at equal distances, the last at the end; 0 for
            none.
        eval_every_n_steps: more of them, at every multiple.
        eval_steps: more of them, at these steps.
        look_at: called with the images of each, see `eval_util.evaluate`.

    Raises:
        DetectionError: of the kind that says what failed.
        SystemExit: after a signal.
    """
    estimator = job.estimator
    model_dir = estimator.config.model_dir
    with (
        inputs.errors_explained(job.reading_report),
        signals.StopRequest() as stop,
        _owned_by_main_process(model_dir),
    ):
        step = estimator.prepare_training(job.train_options)
        if distributed.is_main_process():
            config_util.save_pipeline_config(
                config_util.create_pipeline_proto_from_configs(job.configs),
                model_dir,
            )
        due = _evaluation_steps(job.train_steps, eval_count, eval_every_n_steps)
        due.update(step for step in eval_steps if 0 < step <= job.train_steps)
        measured = distributed.from_main(
            lambda: {
                name: _measured_steps(model_dir, name, step)
                for name in _sets_of(job, VALIDATION)
            }
        )
        if measured:
            due -= set.intersection(*measured.values())
        for target in sorted({*due, job.train_steps}):
            if target < step:
                continue
            step = estimator.train(
                job.train_input_fn,
                job.train_options,
                target,
                stop,
                total_steps=job.train_steps,
            )
            images_per_second = estimator.train_images_per_second
            if images_per_second:  # None was measured in a short run.
                report.log({"train_throughput": images_per_second})
            stop.exit_together()
            for name, steps in measured.items():
                if target in due and step not in steps:
                    _evaluate(job, name, report, stop=stop, look_at=look_at)
            if step < target:
                break


def evaluate_once(
    job: EstimatorAndInputs,
    checkpoint_path: str,
    report: exp_utils.DLLogger,
    *,
    name: str = VALIDATION,
    look_at: eval_util.LookAt | None = None,
) -> None:
    """Measures one checkpoint.

    Args:
        job: built for training or not.
        checkpoint_path: a checkpoint, or a directory, for its newest.
        report: gets the twelve values.
        name: VALIDATION (all evaluation readers) or TRAINING, what to
            measure it on.
        look_at: called with the images of each set, see `eval_util.evaluate`.

    Raises:
        CheckpointError: there is none, or it does not fit.
        DataError: a record cannot be read or there is none.
    """
    with (
        inputs.errors_explained(job.reading_report),
        signals.StopRequest() as stop,
    ):
        for directory in _sets_of(job, name):
            _evaluate(
                job, directory, report, checkpoint_path, stop, look_at=look_at
            )


def continuous_eval(
    job: EstimatorAndInputs,
    checkpoint_dir: str,
    report: exp_utils.DLLogger,
    *,
    name: str = VALIDATION,
    min_seconds: float = _MIN_SECONDS_BETWEEN_EVALUATIONS,
) -> None:
    """Measures each new checkpoint of a directory, as another process trains.

    Ends when a checkpoint of step `job.train_steps` or later was measured, or
    one without a step in its name, which is an exported one. Of several new
    ones only the newest is. The steps of a config in epochs are those that the
    training saved in the directory.

    Args:
        job: built for training or not.
        checkpoint_dir: may be empty or missing at first.
        report: gets the twelve values of each.
        name: VALIDATION (all evaluation readers) or TRAINING, what to
            measure them on.
        min_seconds: from the start of one evaluation to that of the next.

    Raises:
        CheckpointError: a checkpoint does not fit.
        DataError: a record cannot be read or there is none.
        SystemExit: after a signal.
    """
    with (
        inputs.errors_explained(job.reading_report),
        signals.StopRequest() as stop,
    ):
        for path in distributed.each_from_main(
            checkpoint_manager.new_checkpoints(
                checkpoint_dir, min_seconds, stop
            )
        ):
            try:
                for directory in _sets_of(job, name):
                    _evaluate(job, directory, report, path, stop)
            except errors.CheckpointError:
                is_there = functools.partial(checkpoints.exists, path)
                if distributed.from_main(is_there):
                    raise
                logging.warning("%s was removed before it was read", path)
                continue
            step = checkpoints.step_of(path)
            train_steps = _steps_to_reach(job, checkpoint_dir)
            if step is None or (train_steps and step >= train_steps):
                return


def _steps_to_reach(job: EstimatorAndInputs, checkpoint_dir: str) -> int:
    """Returns the step at which the training of a directory ends, 0 if unknown.

    How many steps an epoch has depends on the training set and on how many
    processes train.
    """
    if job.train_steps:
        return job.train_steps

    def saved_steps() -> int:
        path = os.path.join(checkpoint_dir, config_util.PIPELINE_CONFIG_NAME)
        if not os.path.isfile(path):
            return 0
        return config_util.read_pipeline_config(path).train_config.num_steps

    return distributed.from_main(saved_steps)


@contextlib.contextmanager
def _owned_by_main_process(model_dir: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        distributed.from_main(
            lambda: stack.enter_context(model_dir_lock.locked(model_dir))
        )
        yield


def _sets_of(job: EstimatorAndInputs, name: str) -> list[str]:
    """Returns the directories of TRAINING, or of all evaluation readers."""
    return [
        directory
        for directory in job.eval_input_fns
        if (directory == TRAINING) == (name == TRAINING)
    ]


def _measured_steps(model_dir: str, name: str, step: int) -> set[int]:
    """Returns the steps up to `step` that were measured on a set before."""
    records = evaluation_files.read_records(os.path.join(model_dir, name))
    return {record.step for record in records if record.step <= step}


def _evaluate(
    job: EstimatorAndInputs,
    name: str,
    report: exp_utils.DLLogger,
    checkpoint_path: str | None = None,
    stop: signals.StopRequest | None = None,
    **settings: Any,
) -> None:
    """Measures on the set of one directory, and reports the values.

    Those of all sets but the main one have its name before theirs.
    """
    eval_config = job.configs["eval_config"]
    if len(job.eval_input_fns) > 1:
        logging.info("Evaluating for %s", name)
    evaluation = job.estimator.evaluate(
        job.eval_input_fns[name],
        evaluator_builder.build(eval_config, job.categories[name]),
        job.categories[name],
        checkpoint_path=checkpoint_path,
        name=name,
        use_moving_averages=eval_config.use_moving_averages,
        stop=stop,
        visualization=evaluator_builder.build_visualization(eval_config),
        add_regularization_loss=(
            job.configs["train_config"].add_regularization_loss
        ),
        skip_images_with_crowds=eval_config.skip_images_with_crowds,
        **settings,
    )
    if evaluation is None:
        return
    prefix = "" if name in (VALIDATION, TRAINING) else f"{name}/"
    values = exp_utils.evaluation_report(evaluation.metrics)
    report.log({f"{prefix}{key}": value for key, value in values.items()})


def _evaluation_steps(
    train_steps: int, eval_count: int, every_n_steps: int | None
) -> set[int]:
    steps = {train_steps * i // eval_count for i in range(1, eval_count + 1)}
    if every_n_steps:
        steps.update(range(every_n_steps, train_steps + 1, every_n_steps))
    return steps - {0}
