"""Applies overrides such as `batch_size=16` to pipeline configs.

A key is one of:

* a name from `NAMED_PATHS` or `SCALED_KEYS` (`train_steps`, `learning_rate`);
* `<train_input_config|eval_input_configs>:<reader name>:<field>`;
* a dotted path from the pipeline config, or from one of the parts that
  `config_util` hands out (`train_config.batch_size`, `model.ssd.num_classes`,
  `train_input_config.shuffle`, `eval_input_reader[0].num_readers`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from object_detection.core import errors
from object_detection.protos import input_reader_pb2, pipeline_pb2
from object_detection.utils import (
    config_hints,
    config_paths,
    config_scaling,
    config_util,
)

Pipeline = pipeline_pb2.TrainEvalPipelineConfig

_TRAIN_INPUT_PATH = "train_input_reader.tf_record_input_reader.input_path"
_EVAL_INPUT_PATH = "eval_input_config.tf_record_input_reader.input_path"
_EVERY_READER = ("train_input_reader", "eval_input_reader[*]")

# What each named key sets. `append_*` replace the path too, as in the TF
# Object Detection API.
NAMED_PATHS = {
    "train_shuffle": ("train_input_reader.shuffle",),
    "eval_shuffle": ("eval_input_config.shuffle",),
    "train_input_path": (_TRAIN_INPUT_PATH,),
    "eval_input_path": (_EVAL_INPUT_PATH,),
    "append_train_input_path": (_TRAIN_INPUT_PATH,),
    "append_eval_input_path": (_EVAL_INPUT_PATH,),
    "label_map_path": tuple(f"{r}.label_map_path" for r in _EVERY_READER),
    "mask_type": tuple(f"{r}.mask_type" for r in _EVERY_READER),
    "sample_1_of_n_eval_examples": (
        "eval_input_reader[*].sample_1_of_n_examples",
    ),
    "eval_num_epochs": ("eval_input_reader[*].num_epochs",),
    "eval_with_moving_averages": ("eval_config.use_moving_averages",),
    "retain_original_images_in_eval": ("eval_config.retain_original_images",),
    "train_steps": ("train_config.num_steps",),
    "use_bfloat16": ("train_config.use_bfloat16",),
}

# Keys whose value is changed, or changes other fields with it.
SCALED_KEYS: dict[str, Callable[[Pipeline, Any], None]] = {
    "batch_size": config_scaling.set_batch_size,
    "learning_rate": config_scaling.set_learning_rate,
    "momentum_optimizer_value": config_scaling.set_momentum,
    "classification_localization_weight_ratio": (
        config_scaling.set_loss_weight_ratio
    ),
    "focal_loss_gamma": config_scaling.set_focal_loss_gamma,
    "focal_loss_alpha": config_scaling.set_focal_loss_alpha,
    "load_pretrained": config_scaling.set_load_pretrained,
}

# Names of the parts in `config_util`, as paths in the pipeline config.
_PARTS = {
    "train_input_config": "train_input_reader",
    "eval_input_configs": "eval_input_reader",
    "graph_rewriter_config": "graph_rewriter",
}

_READER_FIELDS = {
    "input_path": "tf_record_input_reader.input_path",
    "label_map_path": "label_map_path",
    "shuffle": "shuffle",
    "mask_type": "mask_type",
    "sample_1_of_n_examples": "sample_1_of_n_examples",
}


def apply_overrides(
    configs: config_util.Configs, overrides: Mapping[str, Any]
) -> config_util.Configs:
    """Returns the configs with overrides applied in order.

    Args:
        configs: parts of a config as `config_util` gives them; not changed.
        overrides: value by key. A value is a Python value or its text; a
            named key whose value is None or "" is passed over.

    Raises:
        ConfigError: an unknown key or a value that does not fit; names it.
    """
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    for key, value in overrides.items():
        try:
            _apply(pipeline, key.strip(), value)
        except errors.ConfigError as error:
            raise errors.ConfigError(f"override {error}") from None
    return config_util.get_configs_from_pipeline_proto(pipeline)


def _apply(pipeline: Pipeline, key: str, value: Any) -> None:
    if ":" in key:
        _set_reader_field(pipeline, key, value)
    elif "." in key or _is_part(pipeline, key):
        config_paths.set_by_path(pipeline, _full_path(pipeline, key), value)
    elif key not in SCALED_KEYS and key not in NAMED_PATHS:
        hint = config_hints.nearest_name(key, [*SCALED_KEYS, *NAMED_PATHS])
        raise errors.ConfigError(
            f"{key}: no such key; {hint} (or a dotted path such as "
            "train_config.batch_size)"
        )
    elif value is None or value == "":
        return
    elif key in SCALED_KEYS:
        SCALED_KEYS[key](pipeline, value)
    else:
        for path in NAMED_PATHS[key]:
            config_paths.set_by_path(
                pipeline, _full_path(pipeline, path, key), value
            )


def _is_part(pipeline: Pipeline, key: str) -> bool:
    name = key.partition("[")[0]
    return name in _PARTS or name in pipeline.DESCRIPTOR.fields_by_name


def _full_path(pipeline: Pipeline, path: str, key: str = "") -> str:
    """Returns a path that starts at a part as one from the pipeline."""
    first, dot, rest = path.partition(".")
    name, bracket, index = first.partition("[")
    if first == "eval_input_config":
        num_readers = len(pipeline.eval_input_reader)
        if num_readers != 1:
            raise errors.ConfigError(
                f"{key or path}: needs exactly one eval_input_reader, the "
                f"config has {num_readers}; choose with eval_input_reader[0]"
            )
        name, bracket, index = "eval_input_reader", "[", "0]"
    return f"{_PARTS.get(name, name)}{bracket}{index}{dot}{rest}"


def _set_reader_field(pipeline: Pipeline, key: str, value: Any) -> None:
    parts = key.split(":")
    if len(parts) != 3:
        raise errors.ConfigError(
            f"{key}: expected <train_input_config|eval_input_configs>:"
            "<reader name>:<field>"
        )
    group, name, field = parts
    if field not in _READER_FIELDS:
        hint = config_hints.nearest_name(field, _READER_FIELDS)
        raise errors.ConfigError(f"{key}: cannot set '{field}'; {hint}")
    reader = _reader_by_name(pipeline, group, name, key)
    try:
        config_paths.set_by_path(reader, _READER_FIELDS[field], value)
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{key}: {error}") from None


def _reader_by_name(
    pipeline: Pipeline, group: str, name: str, key: str
) -> input_reader_pb2.InputReader:
    if group == "train_input_config":
        readers = [pipeline.train_input_reader]
    elif group == "eval_input_configs":
        readers = list(pipeline.eval_input_reader)
    else:
        hint = config_hints.nearest_name(
            group, ["train_input_config", "eval_input_configs"]
        )
        raise errors.ConfigError(f"{key}: no group '{group}'; {hint}")
    chosen = [reader for reader in readers if reader.name == name]
    if len(chosen) != 1:
        names = ", ".join(f"'{reader.name}'" for reader in readers)
        raise errors.ConfigError(
            f"{key}: {len(chosen)} readers of {group} are named '{name}'; "
            f"the names are: {names or 'none'}"
        )
    return chosen[0]
