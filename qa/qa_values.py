"""Finds the numbers that a check's commands left."""

import json
import math
import pathlib
import re
from typing import Any

from qa_baselines import Value

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.utils import config_hints, evaluation_files


def find(value: Value, output: str, work_dir: pathlib.Path) -> float:
    """Returns a value.

    Args:
        value: says where it is.
        output: what the commands printed.
        work_dir: of the check.

    Raises:
        DataError: it is not there.
    """
    if value.pattern:
        return _by_pattern(value.pattern, output)
    if value.json:
        return _by_path(value.json, output)
    if value.metric:
        return _of_evaluation(value.metric, work_dir / "model" / "eval")
    first, last = value.loss_of_steps
    return _mean_loss(first, last, work_dir / "model" / "train")


def _by_pattern(pattern: str, output: str) -> float:
    found = re.findall(pattern, output)
    if not found:
        raise errors.DataError(f"expected a line with {pattern!r}, found none")
    return float(found[-1])


def _by_path(path: str, output: str) -> float:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    try:
        content: Any = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        raise errors.DataError(
            "expected a line of JSON in the output, found none"
        ) from None
    for name in path.split("."):
        if not isinstance(content, dict) or name not in content:
            raise errors.DataError(f"the line of JSON has no {path}")
        content = content[name]
    return float(content)


def _of_evaluation(metric: str, directory: pathlib.Path) -> float:
    records = evaluation_files.read_records(str(directory))
    if not records:
        raise errors.DataError(f"{directory}: no evaluation was left")
    metrics = records[-1].metrics
    if metric not in metrics:
        hint = config_hints.nearest_name(metric, metrics)
        raise errors.DataError(f"no metric {metric!r} was measured; {hint}")
    return metrics[metric]


def _mean_loss(first: int, last: int, directory: pathlib.Path) -> float:
    # Here, as TensorBoard brings TensorFlow, which other checks do without.
    from object_detection.utils import report

    tag = LossFields.total_loss
    points = report.read_scalars(str(directory), [tag]).get(tag, {})
    losses = [v for step, v in points.items() if first <= step <= last]
    if not losses or max(points) < last:
        raise errors.DataError(
            f"{directory}: no losses up to step {last}; the last is of "
            f"{max(points, default='no step')}"
        )
    return math.fsum(losses) / len(losses)
