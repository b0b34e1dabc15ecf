"""Checks a pipeline config as a whole, before anything is built from it.

What one message alone decides is left to its builder; here are the fields
without effect, the ranges of numbers, and what two messages must agree on.
Paths in errors can be given to `--hparams_overrides` as they stand.
"""

import math
from typing import Any

from absl import logging
from google.protobuf import descriptor, message

from object_detection.core import errors
from object_detection.protos import pipeline_pb2, train_pb2
from object_detection.utils import (
    config_check_model,
    config_fields,
    config_util,
)

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"


def check_configs(
    configs: config_util.Configs,
    *,
    is_training: bool,
    is_evaluating: bool,
) -> None:
    """Refuses a config that cannot work; warns about what has no effect.

    Args:
        configs: parts of a config as `config_util` gives them, all overrides
            applied.
        is_training: the training parts will be used.
        is_evaluating: the evaluation parts will be used.

    Raises:
        ConfigError: names the field, what was expected and what was found.
    """
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    if not is_training:
        pipeline.ClearField("train_config")
        pipeline.ClearField("train_input_reader")
    if not is_evaluating:
        pipeline.ClearField("eval_config")
        pipeline.ClearField("eval_input_reader")
    _check_model_kind(pipeline)
    _check_fields(pipeline)
    config_check_model.check_ssd(pipeline.model.ssd)
    if is_training:
        _check_steps(pipeline.train_config)
        _check_delay(pipeline)
    if is_evaluating:
        _check_eval_readers(pipeline)
    if is_training and is_evaluating:
        _check_moving_averages(pipeline)
    _report(pipeline, is_training)


def find_fields_without_effect(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> list[tuple[str, str]]:
    """Returns the path and the reason of each set field without effect.

    A flag that is set to false or a number that is set to 0 asks for nothing,
    so it is not among them.
    """
    found = []
    for path, part, field_name, value in config_fields.walk(pipeline):
        key = f"{part.DESCRIPTOR.name}.{field_name}"
        asks = isinstance(value, message.Message) or bool(value)
        if asks and key in config_fields.WITHOUT_EFFECT:
            found.append((path, config_fields.WITHOUT_EFFECT[key]))
        needed = config_fields.NEEDS.get(key)
        if asks and needed and not getattr(part, needed):
            found.append((path, f"needs {needed}"))
    return found


def _check_model_kind(pipeline: pipeline_pb2.TrainEvalPipelineConfig) -> None:
    kind = pipeline.model.WhichOneof("model")
    if kind != "ssd":
        found = f".{kind}: is not supported" if kind else ": has no detector"
        raise errors.ConfigError(
            f"model{found}; expected model.ssd, a single-shot detector"
        )


def _check_fields(pipeline: pipeline_pb2.TrainEvalPipelineConfig) -> None:
    """Refuses placeholders and numbers out of range."""
    parts: list[tuple[str, message.Message]] = [("", pipeline)]
    for path, _, _, value in config_fields.walk(pipeline):
        if isinstance(value, message.Message):
            parts.append((f"{path}.", value))
        elif isinstance(value, str) and PLACEHOLDER in value:
            raise errors.ConfigError(
                f"{path}: still has the placeholder '{value}'; put the path"
            )
        elif isinstance(value, float) and not math.isfinite(value):
            raise errors.ConfigError(
                f"{path}: expected a finite number, got {value}"
            )
    # Of all fields of the messages that are there: a default can be out of
    # range where a builder has no use for it.
    for path, part in parts:
        for field in part.DESCRIPTOR.fields:
            _check_range(part, field, f"{path}{field.name}")


def _check_range(
    part: message.Message, field: descriptor.FieldDescriptor, path: str
) -> None:
    allowed = config_fields.RANGES.get(f"{part.DESCRIPTOR.name}.{field.name}")
    if allowed is None:
        return
    value: Any = getattr(part, field.name)
    if not allowed.contains(value):
        raise errors.ConfigError(f"{path}: must be {allowed}, got {value:g}")


def _check_steps(train_config: train_pb2.TrainConfig) -> None:
    if not train_config.num_steps:
        raise errors.ConfigError(
            "train_config.num_steps: is 0; set it, num_epochs or "
            "--num_train_steps"
        )
    kind = train_config.optimizer.WhichOneof("optimizer")
    if kind is None:
        return
    learning_rate = getattr(train_config.optimizer, kind).learning_rate
    cosine = learning_rate.cosine_decay_learning_rate
    if (
        learning_rate.HasField("cosine_decay_learning_rate")
        and train_config.num_steps > cosine.total_steps
    ):
        logging.warning(
            "train_config.optimizer.%s.learning_rate."
            "cosine_decay_learning_rate.total_steps: the learning rate is %g "
            "from step %d on, and training goes on to step %d",
            kind,
            cosine.learning_rate_base * cosine.end_learning_rate_ratio,
            cosine.total_steps,
            train_config.num_steps,
        )


def _check_delay(pipeline: pipeline_pb2.TrainEvalPipelineConfig) -> None:
    rewriter = pipeline.graph_rewriter
    num_steps = pipeline.train_config.num_steps
    delay = rewriter.quantization.delay
    if rewriter.HasField("quantization") and delay >= num_steps:
        logging.warning(
            "graph_rewriter.quantization.delay: is %d, but training ends at "
            "step %d, without quantization",
            delay,
            num_steps,
        )


def _check_moving_averages(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> None:
    if (
        pipeline.eval_config.use_moving_averages
        and not pipeline.train_config.optimizer.use_moving_average
    ):
        raise errors.ConfigError(
            "eval_config.use_moving_averages: true needs "
            "train_config.optimizer.use_moving_average: true, got false; the "
            "training keeps no averages to evaluate"
        )


def _check_eval_readers(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> None:
    if not pipeline.eval_input_reader:
        raise errors.ConfigError(
            "eval_input_reader: is missing, and evaluation needs one"
        )
    for index, reader in enumerate(pipeline.eval_input_reader):
        if reader.num_epochs > 1:
            logging.warning(
                "eval_input_reader[%d].num_epochs: is %d, but an evaluation "
                "sees every example once",
                index,
                reader.num_epochs,
            )


def _report(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig, is_training: bool
) -> None:
    found = find_fields_without_effect(pipeline)
    if found:
        lines = "".join(f"\n  {path}: {reason}" for path, reason in found)
        logging.warning("Config fields without effect:%s", lines)
    warning = config_check_model.freeze_batchnorm_warning(pipeline.model.ssd)
    if is_training and warning:
        logging.warning("%s", warning)
