"""Builds the detector of a pipeline config for use, with its weights."""

import os
from typing import NamedTuple

from absl import logging

from object_detection import model_hparams
from object_detection.builders import image_resizer_builder, model_builder
from object_detection.core import errors
from object_detection.inference import detection_module
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.training import amp, checkpoints
from object_detection.utils import config_check, config_util, label_map_util

# Where an exporter leaves the label map in a SavedModel, and users look.
LABEL_MAP_IN_SAVED_MODEL = os.path.join("assets.extra", "label_map.pbtxt")


class LoadedModel(NamedTuple):
    """A detector with weights.

    Attributes:
        model: the detector.
        module: its functions from images to boxes.
        step: how many steps the weights were trained.
    """

    model: ssd_meta_arch.SSDMetaArch
    module: detection_module.DetectionModule
    step: int


def read_configs(
    pipeline_config_path: str,
    *,
    config_override: str | None = None,
    hparams_overrides: str | None = None,
) -> config_util.Configs:
    """Reads a config and checks its model.

    Args:
        pipeline_config_path: text or binary, or a directory with
            `pipeline.config`, such as one that was trained in.
        config_override: text of a config that is merged on top.
        hparams_overrides: see `model_hparams`.

    Raises:
        ConfigError: names the field or flag that cannot work.
    """
    if os.path.isdir(pipeline_config_path):
        pipeline_config_path = os.path.join(
            pipeline_config_path, config_util.PIPELINE_CONFIG_NAME
        )
    configs = model_hparams.apply_hparams_overrides(
        config_util.get_configs_from_pipeline_file(
            pipeline_config_path, config_override
        ),
        hparams_overrides,
    )
    config_check.check_configs(configs, is_training=False, is_evaluating=False)
    for path, reader in _readers(configs):
        if reader.num_additional_channels:
            raise errors.ConfigError(
                f"{path}.num_additional_channels: images outside records have "
                "3 channels, expected 0, got "
                f"{reader.num_additional_channels}"
            )
    return configs


def build(
    configs: config_util.Configs,
    checkpoint: str | None,
    *,
    compute_dtype: str = "float32",
    image_shape: tuple[int | None, ...] = detection_module.ANY_IMAGES,
) -> LoadedModel:
    """Builds a detector and loads its weights.

    Args:
        configs: from `read_configs`.
        checkpoint: a checkpoint, or a directory for its newest; None for
            random weights. Moving averages of the weights are taken where
            `eval_config.use_moving_averages` says so.
        compute_dtype: a key of `amp.POLICIES`.
        image_shape: see `DetectionModule`.

    Raises:
        ConfigError: names the field that cannot work.
        CheckpointError: there is no checkpoint, or it does not fit.
    """
    path = None if checkpoint is None else checkpoints.resolve(checkpoint)
    model = model_builder.build(
        configs["model"],
        is_training=False,
        dtype_policy=amp.POLICIES[compute_dtype],
        graph_rewriter_config=configs.get("graph_rewriter_config"),
    )
    step = 0
    if path is None:
        logging.warning("No checkpoint is given, so the weights are random")
    else:
        step = checkpoints.restore(
            model,
            path,
            use_moving_averages=configs["eval_config"].use_moving_averages,
        )
        logging.info("Restored %s, step %d", path, step)
    resizer = image_resizer_builder.build(configs["model"].ssd.image_resizer)
    module = detection_module.DetectionModule(model, resizer, image_shape)
    return LoadedModel(model, module, step)


def find_label_map(configs: config_util.Configs) -> str | None:
    """Returns the path of the label map of the config's readers.

    Detection works without one: classes are numbers then. So None stands for
    one that is not named or not there, and a warning says so.

    Raises:
        ConfigError: the label map is of another number of classes.
    """
    for path, reader in _readers(configs):
        if not reader.label_map_path:
            continue
        try:
            label_map_util.load_labelmap(reader.label_map_path)
        except errors.ConfigError as error:
            logging.warning(
                "%s.label_map_path: %s; classes have no names", path, error
            )
            return None
        label_map_util.check_num_classes(
            reader.label_map_path, configs["model"].ssd.num_classes
        )
        return reader.label_map_path
    logging.warning("The config names no label map; classes have no names")
    return None


def _readers(configs: config_util.Configs) -> list[tuple[str, object]]:
    readers = [
        (f"eval_input_reader[{index}]", reader)
        for index, reader in enumerate(configs["eval_input_configs"])
    ]
    return [*readers, ("train_input_reader", configs["train_input_config"])]
