"""Runs the commands of a check, and judges the numbers that they left."""

import json
import math
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qa_baselines import ROOT, Check, Value

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.utils import config_hints, evaluation_files

_LOG_NAME = "output.txt"
_SECONDS_TO_END = 30


class Outcome(NamedTuple):
    """What became of one value, or of a check that has none.

    Attributes:
        check: name of the check.
        value: name of the value, or "".
        state: passed, missed, failed or skipped.
        measured: None without one.
        expected: for people.
        note: why it has no value, or "".
    """

    check: str
    value: str
    state: str
    measured: float | None = None
    expected: str = ""
    note: str = ""


def run(
    name: str,
    check: Check,
    environment: Mapping[str, str],
    work_dir: pathlib.Path,
) -> list[Outcome]:
    """Runs a check until all its values are reached, or it may no more.

    Args:
        name: of the check.
        check: what to run and to expect.
        environment: variables to set.
        work_dir: gets a directory an attempt, with what the commands print.
    """
    outcomes: list[Outcome] = []
    for attempt in range(1, check.attempts + 1):
        directory = work_dir / f"attempt-{attempt}"
        outcomes = _attempt(name, check, environment, directory)
        if all(outcome.state != "missed" for outcome in outcomes):
            break
        missed = [o.value for o in outcomes if o.state == "missed"]
        print(f"Missed at attempt {attempt} of {check.attempts}: {missed}")
    return outcomes


def _attempt(
    name: str,
    check: Check,
    environment: Mapping[str, str],
    work_dir: pathlib.Path,
) -> list[Outcome]:
    """Runs a check's commands once and judges its values."""
    work_dir.mkdir(parents=True)
    log_path = work_dir / _LOG_NAME
    places = {"root": ROOT, "work": work_dir, "python": sys.executable}
    for command in check.commands:
        # Split first: a place may hold spaces.
        arguments = [word.format(**places) for word in shlex.split(command)]
        print(f"\n$ {shlex.join(arguments)}", flush=True)
        problem = _run(arguments, environment, log_path, check.limit_minutes)
        if problem:
            return [Outcome(name, "", "failed", note=f"{problem} ({log_path})")]
    output = log_path.read_text(encoding="utf-8", errors="replace")
    return [
        _judge(name, value_name, value, output, work_dir)
        for value_name, value in check.values.items()
    ]


def _judge(
    check_name: str,
    name: str,
    value: Value,
    output: str,
    work_dir: pathlib.Path,
) -> Outcome:
    expected = value.expectation()
    try:
        measured = find_value(value, output, work_dir)
    except errors.DataError as error:
        return Outcome(
            check_name, name, "failed", None, expected, f"{name}: {error}"
        )
    state = "passed" if value.is_reached_by(measured) else "missed"
    return Outcome(check_name, name, state, measured, expected)


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    log_path: pathlib.Path,
    limit_minutes: float,
) -> str:
    """Runs a command; returns what went wrong, or ""."""
    with open(log_path, "ab") as log:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=log_path.parent,
                env={**os.environ, **environment},
                # So that all that it starts can be ended with it.
                start_new_session=True,
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        try:
            exit_code = process.wait(limit_minutes * 60)
        except subprocess.TimeoutExpired:
            return f"took longer than {limit_minutes:g} minutes"
        finally:
            if process.poll() is None:
                _end(process)
    if exit_code == 0:
        return ""
    output = log_path.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"exit code {exit_code}: {lines[-1] if lines else 'no output'}"


def _end(process: subprocess.Popen) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        os.killpg(process.pid, signum)
        try:
            process.wait(_SECONDS_TO_END)
            return
        except subprocess.TimeoutExpired:
            continue


def find_value(value: Value, output: str, work_dir: pathlib.Path) -> float:
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
