"""What the flags of NVIDIA's SSD300 are in a pipeline config."""

import argparse
import os
from typing import Any

from object_detection.recipes import ssd300_resnet50_flags as flags
from object_detection.utils import label_map_util

# With those that have no boxes.
_IMAGES_OF_TRAIN2017 = 118_287
_SCHEDULE = (
    "train_config.optimizer.momentum_optimizer.learning_rate."
    "manual_step_learning_rate"
)


def make(arguments: argparse.Namespace, num_processes: int) -> dict[str, Any]:
    """Returns the values that flags give to fields of the config.

    Args:
        arguments: what was parsed.
        num_processes: of the run.

    Raises:
        ConfigError: the label map cannot be read.
    """
    return {
        "train_config.batch_size": arguments.batch_size,
        "train_config.num_epochs": arguments.epochs,
        "train_config.optimizer.momentum_optimizer.momentum_optimizer_value": (
            arguments.momentum
        ),
        "train_config.weight_decay.weight": arguments.weight_decay,
        "eval_config.batch_size": arguments.eval_batch_size,
        "model.ssd.feature_extractor.type": f"ssd300_{arguments.backbone}",
        **_learning_rate(arguments, num_processes),
        **_first_weights(arguments),
        **_data(arguments, num_processes),
    }


def total_learning_rate(
    arguments: argparse.Namespace, num_processes: int
) -> float:
    """Returns the rate of a step, before the epochs at which it falls."""
    images_per_step = arguments.batch_size * num_processes
    return arguments.learning_rate * images_per_step / flags.USUAL_BATCH_SIZE


def _learning_rate(
    arguments: argparse.Namespace, num_processes: int
) -> dict[str, Any]:
    rate = total_learning_rate(arguments, num_processes)
    return {
        f"{_SCHEDULE}.initial_learning_rate": rate,
        f"{_SCHEDULE}.warmup_steps": arguments.warmup or 0,
        f"{_SCHEDULE}.schedule": [
            {"epoch": epoch, "learning_rate": rate * flags.DECAY**number}
            for number, epoch in enumerate(sorted(arguments.multistep), start=1)
        ],
    }


def _first_weights(arguments: argparse.Namespace) -> dict[str, Any]:
    path = arguments.backbone_path
    if arguments.mode != flags.TRAINING or path == flags.RANDOM_WEIGHTS:
        path = ""
    elif path is None and arguments.backbone != flags.USUAL_BACKBONE:
        path = f"/checkpoints/{arguments.backbone}.safetensors"
    return {"train_config.fine_tune_checkpoint": path}


def _data(arguments: argparse.Namespace, num_processes: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for reader, part in (
        ("train_input_reader", "train2017"),
        ("eval_input_reader[0]", "val2017"),
    ):
        coco = f"{reader}.coco_input_reader"
        if arguments.data is not None:
            found[f"{coco}.image_dir"] = os.path.join(arguments.data, part)
            found[f"{coco}.annotations_path"] = os.path.join(
                arguments.data, "annotations", f"instances_{part}.json"
            )
        found[f"{reader}.label_map_path"] = arguments.label_map
    if arguments.label_map is not None:
        items = label_map_util.load_labelmap(arguments.label_map).item
        found["model.ssd.num_classes"] = max(item.id for item in items)
        found["train_config.examples_per_epoch"] = 0
    elif arguments.config == flags.CONFIG_PATH:
        # There, an epoch ends with the batch that goes beyond all images.
        images_per_step = arguments.batch_size * num_processes
        num_steps = _IMAGES_OF_TRAIN2017 // images_per_step + 1
        found["train_config.examples_per_epoch"] = num_steps * images_per_step
    return found
