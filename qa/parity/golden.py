"""Golden numbers: what the original computed, and what it computed it from.

A golden directory holds `pipeline.config`, `variables.json` (checkpoint name
-> shape of every variable) and `golden.npz` (recorded outputs). Its weights
follow from their names (`golden_weights`), its images and boxes are the same
for every directory (`read_batch`).

Letters: B image, H W pixel, G groundtruth box (padded).
"""

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from object_detection.core import containers
from object_detection.utils import config_util

TESTDATA = pathlib.Path(__file__).resolve().parent / "testdata"
IMAGES = TESTDATA / "images"

_IMAGE_NAMES = ("BloodImage_00000", "BloodImage_00007")
_CLASS_NAMES = ("RBC", "WBC", "Platelets")


@dataclasses.dataclass(frozen=True)
class Golden:
    """What was recorded.

    Attributes:
        model_config: the `model` message.
        variable_shapes: checkpoint name -> shape, every model variable.
        values: the arrays of `golden.npz` by name.
    """

    model_config: Any
    variable_shapes: dict[str, tuple[int, ...]]
    values: Mapping[str, np.ndarray]


def read(directory: pathlib.Path) -> Golden:
    """Reads a golden directory.

    Raises:
        ConfigError: its config cannot be read.
        OSError: another file cannot be read.
    """
    configs = config_util.get_configs_from_pipeline_file(
        directory / "pipeline.config"
    )
    shapes = json.loads((directory / "variables.json").read_text())
    with np.load(directory / "golden.npz") as arrays:
        values = dict(arrays)
    return Golden(
        model_config=configs["model"],
        variable_shapes={n: tuple(shape) for n, shape in shapes.items()},
        values=values,
    )


def golden_weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the value that a variable had when the numbers were recorded.

    It depends on the name and shape alone; NumPy's legacy random stream is
    the same on every machine and in every version.

    Args:
        name: in checkpoints.
        shape: of the variable.

    Returns:
        float32 of that shape.
    """
    seed = zlib.crc32(name.encode()) & 0x7FFFFFFF
    draw = np.random.RandomState(seed).standard_normal(shape)
    leaf = name.rsplit("/", 1)[-1]
    if leaf == "gamma":
        value = 1.0 + 0.1 * draw
    elif leaf == "moving_variance":
        value = 1.0 + 0.2 * np.abs(draw)
    elif leaf in ("beta", "moving_mean", "biases", "bias"):
        value = 0.1 * draw
    elif leaf == "depthwise_weights":
        value = draw * np.sqrt(2.0 / (shape[0] * shape[1]))
    else:
        fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else shape[0]
        value = draw * np.sqrt(1.3 / fan_in)
    return value.astype(np.float32)


def read_batch(num_classes: int) -> tuple[np.ndarray, containers.Groundtruth]:
    """Reads the two images and their boxes.

    Args:
        num_classes: columns of the class rows; a class index beyond them
            starts again from 0.

    Returns:
        float32 [2, 480, 640, 3] in 0..255, and their groundtruth.
    """
    images, boxes, classes = [], [], []
    for name in _IMAGE_NAMES:
        with Image.open(IMAGES / f"{name}.jpg") as image:
            images.append(np.asarray(image.convert("RGB"), np.float32))
        height, width = images[-1].shape[:2]
        image_boxes, image_classes = _read_objects(
            IMAGES / f"{name}.xml", height, width
        )
        boxes.append(image_boxes)
        classes.append(np.eye(num_classes)[image_classes % num_classes])
    num_boxes = [len(image_boxes) for image_boxes in boxes]
    return np.stack(images), containers.Groundtruth(
        boxes=_stack_padded(boxes),
        classes=_stack_padded(classes),
        weights=_stack_padded([np.ones(number) for number in num_boxes]),
        num_boxes=np.array(num_boxes, np.int32),
    )


def _read_objects(
    path: pathlib.Path, height_px: int, width_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns float [G, 4] yxyx and int [G] of the boxes that have an area."""
    boxes, classes = [], []
    for element in ElementTree.parse(path).iter("object"):
        ymin, xmin, ymax, xmax = (
            float(element.findtext(f"bndbox/{side}"))
            for side in ("ymin", "xmin", "ymax", "xmax")
        )
        if ymax > ymin and xmax > xmin:
            boxes.append([ymin, xmin, ymax, xmax])
            classes.append(_CLASS_NAMES.index(element.findtext("name")))
    size_px = [height_px, width_px, height_px, width_px]
    return np.array(boxes) / size_px, np.array(classes)


def _stack_padded(arrays: list[np.ndarray]) -> np.ndarray:
    """Stacks arrays of different lengths, padded with zeros, as float32."""
    padded = np.zeros(
        (len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), np.float32
    )
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded
