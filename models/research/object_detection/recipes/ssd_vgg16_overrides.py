"""What the flags of SSD-VGG change in a config, and which config that is."""

import argparse
import glob
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from object_detection.core import errors
from object_detection.dataset_tools import process_dataset
from object_detection.recipes import jobs, ssd_vgg16_flags
from object_detection.training import checkpoints, weight_files
from object_detection.utils import config_util

_MOMENTUM = "train_config.optimizer.momentum_optimizer"
_DECAYED = (
    "model.ssd.feature_extractor",
    "model.ssd.box_predictor.convolutional_box_predictor",
)
_DECAY = "conv_hyperparams.regularizer.l2_regularizer.weight"
_CHECKPOINT_SUFFIXES = (".index", ".ckpt")


class Data(NamedTuple):
    """What is trained on and measured on.

    Attributes:
        config_path: of the pipeline config.
        overrides: of its readers.
    """

    config_path: str
    overrides: jobs.Overrides


def find_data(data_dir: str, preset: str | None) -> Data:
    """Finds the data of --data-dir.

    Args:
        data_dir: folder of process_dataset, or of VOC devkits.
        preset: of --preset.

    Raises:
        ConfigError: it is neither, or has a preset of its own.
    """
    path = os.path.join(data_dir, config_util.PIPELINE_CONFIG_NAME)
    if os.path.exists(path):
        if preset is not None:
            raise errors.ConfigError(
                f"--preset: {path} is of a preset already; leave the flag out, "
                "or give it to process_dataset"
            )
        return Data(path, {})
    folders = sorted(
        glob.glob(
            os.path.join(
                glob.escape(data_dir), "trainval", "VOCdevkit", "VOC20*"
            )
        )
    )
    if not folders:
        raise errors.ConfigError(
            f"--data-dir: expected {path}, which process_dataset writes, or "
            f"{data_dir}/trainval/VOCdevkit/VOC2007, which download_voc.sh "
            "makes; found neither"
        )
    test_dir = os.path.join(data_dir, "test", "VOCdevkit", "VOC2007")
    name = process_dataset.PRESETS[preset or ssd_vgg16_flags.USUAL_PRESET]
    return Data(
        jobs.config_path(name),
        {
            "train_input_reader.voc_input_reader.input_dir": folders,
            "eval_input_reader[0].voc_input_reader.input_dir": [test_dir],
        },
    )


def make(arguments: argparse.Namespace, is_new: bool) -> dict[str, Any]:
    """Returns what the flags of a training change in its config.

    Args:
        arguments: what was parsed.
        is_new: whether the run begins, with the weights of --vgg-dir.

    Raises:
        ConfigError: there are no such weights.
    """
    weights = find_weights(arguments.vgg_dir) if is_new else ""
    return {
        "train_config.batch_size": arguments.batch_size,
        "train_config.num_steps": 0,
        "train_config.num_epochs": arguments.epochs,
        f"{_MOMENTUM}.momentum_optimizer_value": arguments.momentum,
        f"{_MOMENTUM}.learning_rate": _learning_rate(
            arguments.lr_values, arguments.lr_boundaries
        ),
        **{f"{part}.{_DECAY}": arguments.weight_decay for part in _DECAYED},
        "train_config.fine_tune_checkpoint": weights,
    }


def _learning_rate(
    rates: Sequence[float], boundaries: Sequence[int]
) -> dict[str, Any]:
    if not boundaries:
        return {"constant_learning_rate": {"learning_rate": rates[0]}}
    return {
        "manual_step_learning_rate": {
            "initial_learning_rate": rates[0],
            "schedule": [
                # A boundary is the last step of its rate.
                {"step": step + 1, "learning_rate": rate}
                for step, rate in zip(boundaries, rates[1:], strict=True)
            ],
        }
    }


def find_weights(path: str) -> str:
    """Returns the file or checkpoint that --vgg-dir means, "" for none.

    Args:
        path: of it, or of a folder with it and no other.

    Raises:
        ConfigError: there is none, or more than one.
    """
    if not path or os.path.isfile(path) or checkpoints.exists(path):
        return path
    if not os.path.isdir(path):
        raise errors.ConfigError(
            f"--vgg-dir: no such folder or file: {path} (looked from "
            f"{os.getcwd()}); expected the ImageNet weights of VGG-16, or '' "
            "to begin with random ones"
        )
    found = sorted(
        {
            name.removesuffix(".index")
            for name in os.listdir(path)
            if name.endswith(_CHECKPOINT_SUFFIXES)
            or weight_files.is_weight_file(name)
        }
    )
    if len(found) != 1:
        raise errors.ConfigError(
            f"--vgg-dir: expected one file of weights in {path}, such as "
            "vgg_16.ckpt of TF1-slim, Keras' .h5 or torchvision's as "
            f".safetensors, found {', '.join(found) or 'none'}"
        )
    return os.path.join(path, found[0])
