"""Builds the detector and the inputs that a pipeline config describes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection import inputs, model_hparams
from object_detection.builders import (
    evaluator_builder,
    image_normalization_builder,
    model_builder,
    train_options_builder,
)
from object_detection.data_decoders import reading_report
from object_detection.training import amp, distributed
from object_detection.training.estimator import Estimator, InputFn
from object_detection.training.options import TrainOptions
from object_detection.training.training_loop import RunConfig, TrainInputFn
from object_detection.utils import (
    config_check,
    config_check_inputs,
    config_scaling,
    config_util,
    epoch_steps,
    eval_readers,
    label_map_util,
)

VALIDATION = eval_readers.VALIDATION


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
        eval_input_fns: by the directory that their results go to, that of the
            main set first: every example once.
        categories: the label map of each of them.
        reading_report: what was wrong with the records read so far.
    """

    estimator: Estimator
    configs: config_util.Configs
    train_steps: int
    train_options: TrainOptions | None
    train_input_fn: TrainInputFn | None
    eval_input_fns: Mapping[str, InputFn]
    categories: Mapping[str, Sequence[label_map_util.Category]]
    reading_report: reading_report.ReadingReport


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
    max_bad_records: int = 0,
    accumulate_steps: int = 1,
    scale_lr: bool = False,
    compress_gradients: bool = False,
) -> EstimatorAndInputs:
    """Reads a config and builds everything that it describes.

    Args:
        run_config: the directory, and how often it is written to.
        pipeline_config_path: text or binary.
        is_training: whether it will be trained, or only measured.
        hparams_overrides: see `model_hparams`.
        train_steps: replaces `train_config.num_steps` if not None.
        sample_1_of_n_eval_examples: replaces that field of the evaluation
            readers if not None.
        sample_1_of_n_eval_on_train_examples: the same, where the training set
            is measured.
        eval_sets: what will be measured on, VALIDATION (all evaluation
            readers) or TRAINING; files of other sets need not be there.
        seed: of the first weights, the order of examples, augmentation and
            dropout.
        compute_dtype: a key of `amp.POLICIES`.
        allow_xla: whether XLA compiles the training step.
        max_bad_records: so many records that cannot be read are skipped.
        accumulate_steps: how many batches make one update, as so many
            processes would.
        scale_lr: whether the learning rates are multiplied by the number of
            batches that make one update, over all processes.
        compress_gradients: whether gradients travel between processes as
            float16.

    Raises:
        ConfigError: names the field or flag that cannot work.
        DataError: an input pattern matches nothing.
    """
    num_batches = distributed.size() * accumulate_steps
    configs = _read_configs(
        pipeline_config_path,
        hparams_overrides,
        train_steps,
        batches_per_step=num_batches if is_training else None,
        learning_rate_factor=num_batches if scale_lr else 1,
    )
    readers = eval_readers.build(
        configs,
        eval_sets,
        sample_1_of_n_eval_examples,
        sample_1_of_n_eval_on_train_examples,
    )
    num_additional_channels = _check_inputs(configs, readers, is_training)
    report = reading_report.ReadingReport(max_bad_records)
    # Before the networks, so that what is wrong here shows at once.
    train_options = None
    if is_training:
        train_options = train_options_builder.build(
            configs["train_config"],
            compute_dtype,
            allow_xla,
            configs["model"].ssd.feature_extractor.type,
            accumulate_steps,
            compress_gradients,
            takes_bgr=image_normalization_builder.takes_bgr(
                configs["model"].ssd.feature_extractor
            ),
        )
    keras.utils.set_random_seed(seed)
    estimator = _build_estimator(
        configs, run_config, is_training, compute_dtype, num_additional_channels
    )
    train_input_fn = None
    if is_training:
        train_input_fn = _make_train_input_fn(
            configs, seed, report, accumulate_steps
        )
    return EstimatorAndInputs(
        estimator=estimator,
        configs=configs,
        train_steps=configs["train_config"].num_steps,
        train_options=train_options,
        train_input_fn=train_input_fn,
        eval_input_fns=_make_eval_input_fns(configs, readers, report),
        categories=_read_categories(readers),
        reading_report=report,
    )


def _read_configs(
    pipeline_config_path: str,
    hparams_overrides: str | None,
    train_steps: int | None,
    *,
    batches_per_step: int | None,
    learning_rate_factor: float,
) -> config_util.Configs:
    """Reads a config, applies the flags and checks the result.

    Args:
        pipeline_config_path: see `create_estimator_and_inputs`.
        hparams_overrides: the same.
        train_steps: the same.
        batches_per_step: how many batches make one update, over all
            processes; None where nothing will be trained.
        learning_rate_factor: multiplies the learning rates.
    """
    configs = model_hparams.apply_hparams_overrides(
        config_util.get_configs_from_pipeline_file(pipeline_config_path),
        hparams_overrides,
    )
    train_config = configs["train_config"]
    if train_steps is not None:
        train_config.num_steps = train_steps
    if batches_per_step is not None:
        epoch_steps.resolve(
            train_config,
            batches_per_step,
            lambda: inputs.count_examples(
                configs["train_input_config"], configs["model"]
            ),
        )
    if learning_rate_factor != 1:
        config_scaling.scale_learning_rates(train_config, learning_rate_factor)
    config_check.check_configs(
        configs, is_training=batches_per_step is not None, is_evaluating=True
    )
    evaluator_builder.check_metrics_set(configs["eval_config"])
    return configs


def _check_inputs(
    configs: config_util.Configs,
    readers: Mapping[str, eval_readers.EvalReader],
    is_training: bool,
) -> int:
    """Checks the readers that are used; returns their additional channels."""
    eval_readers.check_label_maps(configs, readers, is_training)
    used = {reader.path: reader.config for reader in readers.values()}
    if is_training:
        train_config = configs["train_config"]
        train_reader = configs["train_input_config"]
        used = {eval_readers.TRAIN_READER_PATH: train_reader, **used}
        config_check_inputs.check_keypoint_flips(
            train_reader, train_config.data_augmentation_options
        )
    config_check_inputs.check_readers(used, configs["model"].ssd)
    return next(iter(used.values())).num_additional_channels


def _build_estimator(
    configs: config_util.Configs,
    run_config: RunConfig,
    is_training: bool,
    compute_dtype: str,
    num_additional_channels: int,
) -> Estimator:
    model = model_builder.build(
        configs["model"],
        is_training,
        dtype_policy=amp.POLICIES[compute_dtype],
        num_additional_channels=num_additional_channels,
        graph_rewriter_config=configs.get("graph_rewriter_config"),
    )
    keep_hours = configs["train_config"].keep_checkpoint_every_n_hours
    run_config = dataclasses.replace(
        run_config, keep_checkpoint_every_n_hours=keep_hours
    )
    return Estimator(model, run_config, inputs.groundtruth_from_labels)


def _make_train_input_fn(
    configs: config_util.Configs,
    seed: int,
    report: reading_report.ReadingReport,
    accumulate_steps: int,
) -> Callable[[int], tf.data.Dataset]:
    def train_input_fn(start_step: int = 0) -> tf.data.Dataset:
        return inputs.create_train_input_fn(
            configs["train_config"],
            configs["train_input_config"],
            configs["model"],
            batch_size=configs["train_config"].batch_size * accumulate_steps,
            seed=seed,
            start_step=start_step,
            num_shards=distributed.size(),
            shard_index=distributed.rank(),
            report=report,
        )()

    return train_input_fn


def _make_eval_input_fns(
    configs: config_util.Configs,
    readers: Mapping[str, eval_readers.EvalReader],
    report: reading_report.ReadingReport,
) -> dict[str, InputFn]:
    return {
        name: inputs.create_eval_input_fn(
            configs["eval_config"],
            reader.config,
            configs["model"],
            batch_size=configs["eval_config"].batch_size,
            reader_path=reader.path,
            num_shards=distributed.size(),
            shard_index=distributed.rank(),
            report=report,
        )
        for name, reader in readers.items()
    }


def _read_categories(
    readers: Mapping[str, eval_readers.EvalReader],
) -> dict[str, list[label_map_util.Category]]:
    return {
        name: label_map_util.create_categories_from_labelmap(
            reader.config.label_map_path
        )
        for name, reader in readers.items()
    }
