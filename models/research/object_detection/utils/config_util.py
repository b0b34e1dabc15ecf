"""Reads, merges and writes pipeline configs.

The parts of a `TrainEvalPipelineConfig` are handed out as a dict, whose keys
are those of the TF Object Detection API:

    model                DetectionModel
    train_config         TrainConfig
    train_input_config   InputReader
    eval_config          EvalConfig
    eval_input_configs   list of InputReader
    eval_input_config    InputReader, present when there is exactly one
    graph_rewriter_config  GraphRewriter, present when the file has one
"""

import contextlib
import os
import re
from typing import Any

from absl import logging
from google.protobuf import message, text_format, unknown_fields

from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_text

MAX_CONFIG_BYTES = 1 << 20
PIPELINE_CONFIG_NAME = "pipeline.config"

Configs = dict[str, Any]

_CONTROL_CHARACTER = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def get_configs_from_pipeline_file(
    path: str | os.PathLike[str],
    config_override: str | pipeline_pb2.TrainEvalPipelineConfig | None = None,
) -> Configs:
    """Reads a pipeline config, in text or binary format.

    Args:
        path: the file, of at most `MAX_CONFIG_BYTES`.
        config_override: merged on top, as text or message: single values
            replace, messages merge, repeated fields are appended.

    Returns:
        The parts of the config, by the keys in the head of this module.

    Raises:
        ConfigError: the file cannot be read or does not parse.
    """
    pipeline = read_pipeline_config(path)
    if isinstance(config_override, str):
        config_override = _parse_text(config_override, "config_override")
    if config_override is not None:
        pipeline.MergeFrom(config_override)
    return get_configs_from_pipeline_proto(pipeline)


def read_pipeline_config(
    path: str | os.PathLike[str],
) -> pipeline_pb2.TrainEvalPipelineConfig:
    """Reads a pipeline config, in text or binary format, as one message.

    Raises:
        ConfigError: the file cannot be read or does not parse.
    """
    content = _read_capped(path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise errors.ConfigError(f"{path}: is UTF-16 text, save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not _CONTROL_CHARACTER.search(content.decode("latin-1")):
            line = content.count(b"\n", 0, error.start) + 1
            raise errors.ConfigError(
                f"{path}:{line}: byte 0x{content[error.start]:02x} is not "
                "UTF-8 text, save the file as UTF-8"
            ) from None
        return _parse_binary(content, path)
    if _CONTROL_CHARACTER.search(text):
        return _parse_binary(content, path)
    if not text.strip():
        raise errors.ConfigError(
            f"{path}: is empty, expected a pipeline config"
        )
    return _parse_text(text, os.fspath(path))


def get_configs_from_pipeline_proto(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> Configs:
    """Returns the parts of a config by key; they stay views of `pipeline`."""
    configs = {
        "model": pipeline.model,
        "train_config": pipeline.train_config,
        "train_input_config": pipeline.train_input_reader,
        "eval_config": pipeline.eval_config,
        "eval_input_configs": list(pipeline.eval_input_reader),
    }
    if len(pipeline.eval_input_reader) == 1:
        configs["eval_input_config"] = pipeline.eval_input_reader[0]
    if pipeline.HasField("graph_rewriter"):
        configs["graph_rewriter_config"] = pipeline.graph_rewriter
    return configs


def create_pipeline_proto_from_configs(
    configs: Configs,
) -> pipeline_pb2.TrainEvalPipelineConfig:
    """Returns a new message with copies of the parts; keys may be missing."""
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    singular_fields = {
        "model": pipeline.model,
        "train_config": pipeline.train_config,
        "train_input_config": pipeline.train_input_reader,
        "eval_config": pipeline.eval_config,
        "graph_rewriter_config": pipeline.graph_rewriter,
    }
    for key, field in singular_fields.items():
        if key in configs:
            field.CopyFrom(configs[key])
    pipeline.eval_input_reader.extend(configs.get("eval_input_configs", ()))
    return pipeline


def save_pipeline_config(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
    directory: str | os.PathLike[str],
) -> str:
    """Writes `<directory>/pipeline.config` as text, whole or not at all.

    Returns:
        The path of the file. The directory is made if it does not exist.

    Raises:
        ResourceError: the file cannot be written.
    """
    path = os.path.join(directory, PIPELINE_CONFIG_NAME)
    temporary_path = f"{path}.tmp-{os.getpid()}"
    text = text_format.MessageToString(pipeline, as_utf8=True)
    try:
        os.makedirs(directory, exist_ok=True)
        with open(temporary_path, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary_path, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary_path)
        raise errors.ResourceError(
            f"{path}: cannot write the config: {error.strerror}"
        ) from None
    return path


def _read_capped(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise errors.ConfigError(
            f"{path}: cannot read the pipeline config: {error.strerror}"
        ) from None
    if len(content) > MAX_CONFIG_BYTES:
        raise errors.ConfigError(
            f"{path}: larger than {MAX_CONFIG_BYTES} bytes, which no pipeline "
            "config is; is it another file?"
        )
    return content


def _parse_text(text: str, source: str) -> pipeline_pb2.TrainEvalPipelineConfig:
    pipeline, warnings = config_text.parse(
        text, pipeline_pb2.TrainEvalPipelineConfig, source
    )
    for warning in warnings:
        logging.warning("%s", warning)
    return pipeline


def _parse_binary(
    content: bytes, path: str | os.PathLike[str]
) -> pipeline_pb2.TrainEvalPipelineConfig:
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    try:
        pipeline.ParseFromString(content)
    except message.DecodeError:
        raise errors.ConfigError(
            f"{path}: is neither text nor a binary TrainEvalPipelineConfig"
        ) from None
    _refuse_unknown_fields(pipeline, f"{path}: TrainEvalPipelineConfig")
    return pipeline


def _refuse_unknown_fields(part: message.Message, where: str) -> None:
    unknown = unknown_fields.UnknownFieldSet(part)
    if len(unknown):
        raise errors.ConfigError(
            f"{where}: field number {unknown[0].field_number} is not known; is "
            "it another file, or from a newer version?"
        )
    for field, value in part.ListFields():
        if field.message_type is not None:
            is_repeated = field.label == field.LABEL_REPEATED
            for inner in value if is_repeated else [value]:
                _refuse_unknown_fields(inner, f"{where}.{field.name}")
