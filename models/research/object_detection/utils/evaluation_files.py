"""The files that an evaluation leaves: numbers as JSON, pictures as PNG."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from object_detection.metrics.evaluator import CategoryResult

_RECORD_NAME = "evaluation-{step}.json"
_RECORD_PATTERN = re.compile(r"evaluation-(\d+)\.json")
_PICTURE_NAME = "detections-{number:03d}.png"
# A sixth larger than at the default level, in a third of the time.
_PNG_COMPRESS_LEVEL = 3
_PICTURE_PATTERN = re.compile(r"detections-\d+\.png")


class EvaluationRecord(NamedTuple):
    """The numbers of one evaluation.

    Attributes:
        step: number of training steps of the weights.
        num_images: how many images were seen.
        seconds: how long it took.
        metrics: name in TensorBoard to value; NaN where there is none.
        categories: one entry a category.
        table: lines for people.
    """

    step: int
    num_images: int
    seconds: float
    metrics: Mapping[str, float]
    categories: Sequence[CategoryResult]
    table: str


def write(
    directory: str, record: EvaluationRecord, pictures: Sequence[np.ndarray]
) -> None:
    """Writes one evaluation; pictures replace those that are there.

    Args:
        directory: made when it does not exist.
        record: the numbers, kept beside those of other steps.
        pictures: uint8 [H, W, 3] each.
    """
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        if _PICTURE_PATTERN.fullmatch(name):
            os.remove(os.path.join(directory, name))
    for number, picture in enumerate(pictures):
        name = _PICTURE_NAME.format(number=number)
        Image.fromarray(picture).save(
            os.path.join(directory, name), compress_level=_PNG_COMPRESS_LEVEL
        )
    content = record._asdict()
    content["metrics"] = {
        name: _to_json(value) for name, value in record.metrics.items()
    }
    content["categories"] = [
        {name: _to_json(value) for name, value in category._asdict().items()}
        for category in record.categories
    ]
    path = os.path.join(directory, _RECORD_NAME.format(step=record.step))
    temporary_path = f"{path}.{os.getpid()}.tmp"
    with open(temporary_path, "w", encoding="utf-8") as file:
        json.dump(content, file, allow_nan=False)
    os.replace(temporary_path, path)


def read_records(directory: str) -> list[EvaluationRecord]:
    """Reads the evaluations of a directory, in the order of rising steps.

    Args:
        directory: may be missing, which means none.
    """
    if not os.path.isdir(directory):
        return []
    names = filter(_RECORD_PATTERN.fullmatch, os.listdir(directory))
    records = [_read_record(os.path.join(directory, name)) for name in names]
    return sorted(records, key=lambda record: record.step)


def picture_paths(directory: str) -> list[str]:
    """Returns the pictures of the last evaluation, in their order."""
    if not os.path.isdir(directory):
        return []
    return [
        os.path.join(directory, name)
        for name in sorted(os.listdir(directory))
        if _PICTURE_PATTERN.fullmatch(name)
    ]


def _read_record(path: str) -> EvaluationRecord:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    content["metrics"] = {
        name: _from_json(value) for name, value in content["metrics"].items()
    }
    content["categories"] = tuple(
        CategoryResult(
            **{name: _from_json(value) for name, value in category.items()}
        )
        for category in content["categories"]
    )
    return EvaluationRecord(**content)


# JSON has no NaN: it is null.


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_from_json, value))
    return math.nan if value is None else value
