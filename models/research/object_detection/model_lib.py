"""From a pipeline config to a trained and measured detector. Read this first.

    job = create_estimator_and_inputs(RunConfig(model_dir), config_path)
    train_and_evaluate(job, report)

`create_estimator_and_inputs` reads the config and builds the detector, its
optimizer and its inputs. What then happens is one of three: training with
evaluations in between (`train_and_evaluate`), one evaluation of a checkpoint
(`evaluate_once`), or one of each new checkpoint (`continuous_eval`).
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from absl import logging

from object_detection import eval_util, inputs, model_hparams
from object_detection.builders import (
    evaluator_builder,
    model_builder,
    train_options_builder,
)
from object_detection.core import errors
from object_detection.protos import input_reader_pb2
from object_detection.training import (
    amp,
    checkpoint_manager,
    checkpoints,
    distributed,
    model_dir_lock,
    signals,
)
from object_detection.training.estimator import Estimator, InputFn
from object_detection.training.options import TrainOptions
from object_detection.training.training_loop import RunConfig, TrainInputFn
from object_detection.utils import (
    config_check,
    config_util,
    eval_readers,
    evaluation_files,
    exp_utils,
    label_map_util,
)

VALIDATION = eval_readers.VALIDATION
TRAINING = eval_readers.TRAINING

_MIN_SECONDS_BETWEEN_EVALUATIONS = 180.0


class EstimatorAndInputs(NamedTuple):
    """A detector, what it is trained on and what it is measured on.

    Attributes:
        estimator: the detector and its directory.
        configs: the pipeline config's parts, overrides applied.
        train_steps: the step that training has to reach; 0 if unknown, which
            only an evaluation may be.
        train_options: how it is trained, None in an evaluation.
        train_input_fn: the training set from the batch of a step on, None in
            an evaluation.
        eval_input_fns: by the directory that their results go to, VALIDATION
            or TRAINING: every example once.
        categories: the label map of each of them.
    """

    estimator: Estimator
    configs: config_util.Configs
    train_steps: int
    train_options: TrainOptions | None
    train_input_fn: TrainInputFn | None
    eval_input_fns: Mapping[str, InputFn]
    categories: Mapping[str, Sequence[label_map_util.Category]]


def create_estimator_and_inputs(
    run_config: RunConfig,
    pipeline_config_path: str,
    *,
    is_training: bool = True,
    hparams_overrides: str | None = None,
    train_steps: int | None = None,
    sample_1_of_n_eval_examples: int | None = None,
    sample_1_of_n_eval_on_train_examples: int = 5,
    eval_sets: Sequence[str] = (VALIDATION,),
    seed: int = 0,
    compute_dtype: str = "float32",
    allow_xla: bool = False,
) -> EstimatorAndInputs:
    """Reads a config and builds everything that it describes.

    Args:
        run_config: the directory, and how often it is written to.
        pipeline_config_path: text or binary.
        is_training: whether it will be trained, or only measured.
        hparams_overrides: see `model_hparams`.
        train_steps: replaces `train_config.num_steps` if not None.
        sample_1_of_n_eval_examples: replaces that field of the evaluation
            reader if not None.
        sample_1_of_n_eval_on_train_examples: the same, where the training set
            is measured.
        eval_sets: what will be measured on, VALIDATION or TRAINING; files of
            other sets need not be there.
        seed: of the first weights, the order of examples, augmentation and
            dropout.
        compute_dtype: a key of `amp.POLICIES`.
        allow_xla: whether XLA compiles the training step.

    Raises:
        ConfigError: names the field or flag that cannot work.
        DataError: an input pattern matches nothing.
    """
    configs = _resolved_configs(
        pipeline_config_path, hparams_overrides, train_steps
    )
    config_check.check_configs(
        configs, is_training=is_training, is_evaluating=True
    )
    readers = eval_readers.build(
        configs,
        eval_sets,
        sample_1_of_n_eval_examples,
        sample_1_of_n_eval_on_train_examples,
    )
    eval_readers.check_label_maps(configs, readers.values(), is_training)
    # TensorFlow's shuffle takes no seed from a tensor when this one is 0.
    keras.utils.set_random_seed(seed + 1)
    model = model_builder.build(
        configs["model"], is_training, dtype_policy=amp.POLICIES[compute_dtype]
    )
    return EstimatorAndInputs(
        estimator=Estimator(
            model,
            dataclasses.replace(
                run_config,
                keep_checkpoint_every_n_hours=(
                    configs["train_config"].keep_checkpoint_every_n_hours
                ),
            ),
            inputs.groundtruth_from_labels,
        ),
        configs=configs,
        train_steps=configs["train_config"].num_steps,
        train_options=(
            train_options_builder.build(
                configs["train_config"], compute_dtype, allow_xla
            )
            if is_training
            else None
        ),
        train_input_fn=(
            _make_train_input_fn(configs, seed) if is_training else None
        ),
        eval_input_fns={
            name: _make_eval_input_fn(configs, reader)
            for name, reader in readers.items()
        },
        categories={
            name: label_map_util.create_categories_from_labelmap(
                reader.label_map_path
            )
            for name, reader in readers.items()
        },
    )


def train_and_evaluate(
    job: EstimatorAndInputs,
    report: exp_utils.DLLogger,
    *,
    eval_count: int = 1,
    eval_every_n_steps: int | None = None,
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

    Raises:
        DetectionError: of the kind that says what failed.
        SystemExit: after a signal.
    """
    estimator = job.estimator
    model_dir = estimator.config.model_dir
    with (
        _input_errors_explained(),
        signals.StopRequest() as stop,
        model_dir_lock.locked(model_dir),
    ):
        step = estimator.prepare_training(job.train_options)
        if distributed.is_main_process():
            config_util.save_pipeline_config(
                config_util.create_pipeline_proto_from_configs(job.configs),
                model_dir,
            )
        due = _evaluation_steps(job.train_steps, eval_count, eval_every_n_steps)
        done = evaluation_files.read_records(
            os.path.join(model_dir, VALIDATION)
        )
        due -= {record.step for record in done if record.step <= step}
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
            stop.exit_if_requested()
            if target in due:
                _evaluate(job, VALIDATION, report, stop=stop)
            if step < target:
                break


def evaluate_once(
    job: EstimatorAndInputs,
    checkpoint_path: str,
    report: exp_utils.DLLogger,
    *,
    name: str = VALIDATION,
) -> None:
    """Measures one checkpoint.

    Args:
        job: built for training or not.
        checkpoint_path: a checkpoint, or a directory, for its newest.
        report: gets the twelve values.
        name: VALIDATION or TRAINING, the set to measure it on.

    Raises:
        CheckpointError: there is none, or it does not fit.
        DataError: a record cannot be read or there is none.
    """
    with _input_errors_explained(), signals.StopRequest() as stop:
        _evaluate(job, name, report, checkpoint_path, stop)


def continuous_eval(
    job: EstimatorAndInputs,
    checkpoint_dir: str,
    report: exp_utils.DLLogger,
    *,
    name: str = VALIDATION,
    min_seconds: float = _MIN_SECONDS_BETWEEN_EVALUATIONS,
) -> None:
    """Measures each new checkpoint of a directory, as another process trains.

    Ends when a checkpoint of step `job.train_steps` or later was measured. Of
    several new ones only the newest is.

    Args:
        job: built for training or not.
        checkpoint_dir: may be empty or missing at first.
        report: gets the twelve values of each.
        name: VALIDATION or TRAINING, the set to measure them on.
        min_seconds: from the start of one evaluation to that of the next.

    Raises:
        CheckpointError: a checkpoint does not fit.
        DataError: a record cannot be read or there is none.
        SystemExit: after a signal.
    """
    with _input_errors_explained(), signals.StopRequest() as stop:
        for path in checkpoint_manager.new_checkpoints(
            checkpoint_dir, min_seconds, stop
        ):
            try:
                _evaluate(job, name, report, path, stop)
            except errors.CheckpointError:
                if os.path.exists(f"{path}.index"):
                    raise
                logging.warning("%s was removed before it was read", path)
                continue
            step = checkpoints.step_of(path)
            if job.train_steps and step >= job.train_steps:
                return


def _evaluate(
    job: EstimatorAndInputs,
    name: str,
    report: exp_utils.DLLogger,
    checkpoint_path: str | None = None,
    stop: signals.StopRequest | None = None,
) -> eval_util.Evaluation:
    eval_config = job.configs["eval_config"]
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
    )
    report.log(exp_utils.coco_report(evaluation.metrics))
    return evaluation


def _evaluation_steps(
    train_steps: int, eval_count: int, every_n_steps: int | None
) -> set[int]:
    steps = {train_steps * i // eval_count for i in range(1, eval_count + 1)}
    if every_n_steps:
        steps.update(range(every_n_steps, train_steps + 1, every_n_steps))
    return steps - {0}


def _resolved_configs(
    pipeline_config_path: str,
    hparams_overrides: str | None,
    train_steps: int | None,
) -> config_util.Configs:
    configs = model_hparams.apply_hparams_overrides(
        config_util.get_configs_from_pipeline_file(pipeline_config_path),
        hparams_overrides,
    )
    if train_steps is not None:
        configs["train_config"].num_steps = train_steps
    return configs


def _make_eval_input_fn(
    configs: config_util.Configs, reader: input_reader_pb2.InputReader
) -> InputFn:
    return inputs.create_eval_input_fn(
        configs["eval_config"],
        reader,
        configs["model"],
        batch_size=configs["eval_config"].batch_size,
    )


def _make_train_input_fn(
    configs: config_util.Configs, seed: int
) -> Callable[[int], tf.data.Dataset]:
    def train_input_fn(start_step: int = 0) -> tf.data.Dataset:
        return inputs.create_train_input_fn(
            configs["train_config"],
            configs["train_input_config"],
            configs["model"],
            batch_size=configs["train_config"].batch_size,
            seed=seed,
            start_step=start_step,
            num_shards=distributed.size(),
            shard_index=distributed.rank(),
        )()

    return train_input_fn


@contextlib.contextmanager
def _input_errors_explained() -> Iterator[Any]:
    """Turns what TensorFlow raises into an error that names the cause."""
    try:
        yield
    except tf.errors.OpError as error:
        explained = inputs.explain_failure(error)
        if explained is None and isinstance(
            error, tf.errors.ResourceExhaustedError
        ):
            reason = str(error).strip().split("\n")[0]
            explained = errors.ResourceError(
                f"out of memory ({reason}); lower train_config.batch_size or "
                "eval_config.batch_size, or the size of the images"
            )
        if explained is None:
            raise
        raise explained from error
