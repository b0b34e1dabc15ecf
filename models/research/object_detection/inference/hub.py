"""Detectors by name, and the helpers that NVIDIA's SSD300 has around it.

    network = hub.create_network("ssd300_resnet50", "runs/ssd300")
    found = network([hub.prepare_input("street.jpg")])
    for boxes_ltrb, classes, scores in map(
        hub.pick_best, hub.decode_results(found)
    ):
        ...

The weights are of one's own training; none are published with this project.
"""

import pathlib
import types
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from object_detection.core import errors
from object_detection.inference import detector, image_files, model_loading
from object_detection.training import amp
from object_detection.utils import label_map_util

# The config of each network, by its name here and by those of its relatives.
CONFIG_NAMES = {
    "ssd320": "ssd320_full_1gpus.config",
    "ssd300": "ssd300_mobilenet_v2_coco.config",
    "ssd300_mobilenet_v2": "ssd300_mobilenet_v2_coco.config",
    "ssd300_resnet50": "ssd300_resnet50_coco.config",
    "ssd300_vgg16": "ssd300_vgg16_voc.config",
    "ssd512_vgg16": "ssd512_vgg16_voc.config",
    "vgg300": "ssd300_vgg16_voc.config",
    "vgg512": "ssd512_vgg16_voc.config",
}

_COCO_LABEL_MAP = "object_detection/data/mscoco_label_map.pbtxt"
# What NVIDIA's inference script shows.
MAX_BOXES = 20
MIN_SCORE = 0.3


class Decoded(NamedTuple):
    """What was found in one image, best first.

    Attributes:
        boxes_ltrb: float32 [N, 4], left, top, right, bottom, as shares of
            the image.
        classes: int64 [N], ids from 1.
        scores: float32 [N].
    """

    boxes_ltrb: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


def default_config_dir() -> str:
    """Returns the configs of the checkout that this module is in."""
    return str(pathlib.Path(__file__).resolve().parents[4] / "configs")


def create_network(
    name: str,
    checkpoint: str | None = None,
    *,
    config_dir: str | None = None,
    hparams_overrides: str | None = None,
    compute_dtype: str = "float32",
    batch_size: int = detector.DEFAULT_BATCH_SIZE,
) -> detector.Detector:
    """Returns a detector by the name of its network.

    Args:
        name: a key of CONFIG_NAMES.
        checkpoint: a checkpoint, or a directory for its newest; None for
            random weights.
        config_dir: where the configs are; None for those of the checkout.
        hparams_overrides: see `model_hparams`.
        compute_dtype: a key of `amp.POLICIES`.
        batch_size: images that the network gets at a time.

    Raises:
        NotImplementedError: there is no network of this name.
        ConfigError: its config cannot be read.
        CheckpointError: the checkpoint is not there or of another network.
    """
    if name not in CONFIG_NAMES:
        raise NotImplementedError(
            f"{name}: no such network; there are {', '.join(CONFIG_NAMES)}"
        )
    folder = pathlib.Path(config_dir or default_config_dir())
    configs = model_loading.read_configs(
        str(folder / CONFIG_NAMES[name]), hparams_overrides=hparams_overrides
    )
    return detector.Detector.from_configs(
        configs,
        checkpoint,
        compute_dtype=compute_dtype,
        batch_size=batch_size,
    )


def nvidia_ssd(
    checkpoint: str | None = None, model_math: str = "fp32"
) -> detector.Detector:
    """Returns NVIDIA's SSD300 with ResNet-50.

    Args:
        checkpoint: see `create_network`.
        model_math: fp32, or fp16 for the 16-bit type that suits this machine.

    Raises:
        ConfigError: another `model_math`, or as `create_network`.
    """
    if model_math not in ("fp32", "fp16"):
        raise errors.ConfigError(
            f"model_math: expected fp32 or fp16, got {model_math!r}"
        )
    return create_network(
        "ssd300_resnet50",
        checkpoint,
        compute_dtype=amp.compute_dtype(model_math == "fp16"),
    )


def nvidia_ssd_processing_utils() -> types.SimpleNamespace:
    """Returns the helpers below in one object."""
    return types.SimpleNamespace(
        prepare_input=prepare_input,
        decode_results=decode_results,
        pick_best=pick_best,
        get_coco_object_dictionary=get_coco_object_dictionary,
    )


def prepare_input(uri: str) -> np.ndarray:
    """Reads an image from a path or an http address.

    Returns:
        uint8 [H, W, 3]; the detector resizes and normalises it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return image_files.load(uri)
    except errors.DataError as error:
        raise errors.DataError(f"{uri}: {error}") from error


def decode_results(
    found: Iterable[detector.Detections], max_output: int = MAX_BOXES
) -> list[Decoded]:
    """Returns the best boxes of each image, left side first.

    Args:
        found: from a detector.
        max_output: boxes of an image.
    """
    return [
        Decoded(
            best.boxes[:, [1, 0, 3, 2]],
            best.classes,
            best.scores,
        )
        for best in (one.best(max_boxes=max_output) for one in found)
    ]


def pick_best(decoded: Decoded, threshold: float = MIN_SCORE) -> Decoded:
    """Returns the boxes that score above a threshold."""
    is_best_N = decoded.scores > threshold
    return Decoded(*(column[is_best_N] for column in decoded))


def get_coco_object_dictionary() -> Sequence[str]:
    """Returns the names of COCO's 80 categories in the order of their ids."""
    categories = label_map_util.create_categories_from_labelmap(_COCO_LABEL_MAP)
    ordered = sorted(categories, key=lambda category: category["id"])
    return [category["name"] for category in ordered]
