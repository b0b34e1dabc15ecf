"""Reads the file of a sweep, and tries what it says on the pipeline config."""

import dataclasses
import sys

from absl import logging

from object_detection import model_hparams
from object_detection.builders import evaluator_builder
from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.utils import config_hints, config_util, label_map_util
from sweeps import sweep_space

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_COCO_PREFIX = "DetectionBoxes_"
_LOSSES = (
    LossFields.total_loss,
    LossFields.classification_loss,
    LossFields.localization_loss,
    LossFields.regularization_loss,
)


def read(path: str) -> sweep_space.Sweep:
    """Reads a file and tries its keys and ends of ranges on the config.

    Raises:
        ConfigError: names the file and the field.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise errors.ConfigError(
            f"{path}: cannot be read ({error.strerror}); expected a TOML file "
            "such as qa/sweeps/learning_rate.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"{path}: no valid TOML: {error}") from None
    try:
        sweep = sweep_space.parse(content)
        return dataclasses.replace(sweep, metric=_check_on_config(sweep))
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{path}: {error}") from None


def _check_on_config(sweep: sweep_space.Sweep) -> str:
    """Tries all keys on the config; returns the metric's whole name."""
    configs = config_util.get_configs_from_pipeline_file(
        sweep.pipeline_config_path
    )
    first = {key: texts[0] for key, texts in sweep.texts().items()}
    for key, texts in sweep.texts().items():
        for text in texts:
            overrides = sweep.overrides_with({**first, key: text})
            given = model_hparams.create_hparams(overrides)
            if given.get(key) != text:
                raise errors.ConfigError(
                    f"search.{key}: {text!r} is not one value; a list goes in "
                    "[...], text with commas in quotes"
                )
            resolved = model_hparams.apply_hparams_overrides(configs, overrides)
    return _full_metric_name(sweep.metric, resolved)


def _full_metric_name(name: str, configs: config_util.Configs) -> str:
    """Returns a metric's name in TensorBoard.

    Raises:
        ConfigError: no evaluation of this config will have it.
    """
    if "eval_input_config" not in configs:
        raise errors.ConfigError(
            f"eval_input_reader: is missing, so nothing measures {name!r}"
        )
    categories = label_map_util.create_categories_from_labelmap(
        configs["eval_input_config"].label_map_path
    )
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # It warns that nothing was measured.
    try:
        evaluators = evaluator_builder.build(configs["eval_config"], categories)
        names = [n for e in evaluators for n in e.compute().metrics]
    finally:
        logging.set_verbosity(verbosity)
    names += _LOSSES
    for candidate in (name, f"{_COCO_PREFIX}{name}"):
        if candidate in names:
            return candidate
    hint = config_hints.nearest_name(name, names)
    raise errors.ConfigError(f"metric: no such metric {name!r}; {hint}")
