"""What a machine is expected to reach: the files of `qa/baselines`.

A file is a `Machine` as JSON, its `checks` by name. A command is quoted as in
a shell; in it `{root}` is the checkout, `{work}` a directory of the check's
own and `{python}` this interpreter. Trainings have `{work}/model` as their
model_dir.
"""

import dataclasses
import glob
import json
import math
import pathlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import strict_fields

from object_detection.core import errors
from object_detection.utils import config_hints

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "qa" / "baselines"
# Runs anywhere: its checks leave GPUs alone.
CPU_MACHINE = "cpu_small"

KINDS = (
    "training performance",
    "inference performance",
    "accuracy",
    "convergence",
)
SIDES = ("at_least", "at_most", "within")


@dataclasses.dataclass(frozen=True)
class Value:
    """One number that a check measures, and what is expected of it.

    One of the first four says where it is found.

    Attributes:
        pattern: a regular expression whose only group is the number, in what
            the commands print; the last match counts.
        json: dotted path in the last line that is a JSON object.
        metric: of the last evaluation of `{work}/model`.
        loss_of_steps: mean of the total losses from one step to another.
        baseline: above 0.
        tolerance: as a share of the baseline.
        side: at_least, at_most or within, seen from the baseline.
    """

    baseline: float
    tolerance: float
    side: str = "at_least"
    pattern: str = ""
    json: str = ""
    metric: str = ""
    loss_of_steps: tuple[int, ...] = ()

    def bounds(self) -> tuple[float, float]:
        """Returns the least and the largest value that pass."""
        low = self.baseline * (1 - self.tolerance)
        high = self.baseline * (1 + self.tolerance)
        return {
            "at_least": (low, math.inf),
            "at_most": (-math.inf, high),
            "within": (low, high),
        }[self.side]

    def is_reached_by(self, measured: float) -> bool:
        """Says whether a measured value passes; NaN does not."""
        low, high = self.bounds()
        return low <= measured <= high

    def expectation(self) -> str:
        """Returns what is expected, for people."""
        low, high = (f"{bound:.4g}" for bound in self.bounds())
        return {
            "at_least": f">= {low}",
            "at_most": f"<= {high}",
            "within": f"{low} to {high}",
        }[self.side]


@dataclasses.dataclass(frozen=True)
class Check:
    """Commands to run, and the values they must reach.

    Attributes:
        kind: one of KINDS.
        source: where the baselines come from.
        commands: run in turn, until one fails.
        values: by name.
        limit_minutes: a command that takes longer is ended.
        gpus: how many it needs.
        files: patterns, each of which must match a file.
        is_short: one of those for CI, which take minutes together.
        attempts: so often it may miss before it counts; more than one for
            speeds on machines with neighbours, whose load comes and goes.
    """

    kind: str
    source: str
    commands: Sequence[str]
    values: Mapping[str, Value]
    limit_minutes: float
    gpus: int = 0
    files: Sequence[str] = ()
    is_short: bool = False
    attempts: int = 1

    def reason_to_skip(self, num_gpus: int) -> str:
        """Returns what this machine lacks, or ""."""
        if num_gpus < self.gpus:
            return f"needs {self.gpus} of its GPUs, found {num_gpus}"
        for pattern in self.files:
            if not glob.glob(str(ROOT / pattern)):
                return f"needs {pattern}, which is not there"
        return ""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A kind of machine.

    Attributes:
        description: for people.
        checks: by name.
        gpu: regular expression of the GPUs' name; empty for none.
        environment: variables that its commands get.
    """

    description: str
    checks: Mapping[str, Check]
    gpu: str = ""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def count_gpus(self, gpu_names: Sequence[str]) -> int:
        """Returns how many of the GPUs are of this machine's kind."""
        if not self.gpu:
            return 0
        return sum(bool(re.search(self.gpu, name)) for name in gpu_names)


def machine_names() -> list[str]:
    """Returns the machines that have baselines."""
    return sorted(path.stem for path in DIRECTORY.glob("*.json"))


def load(name: str) -> Machine:
    """Reads the baselines of a machine.

    Raises:
        ConfigError: it has none, or the file is wrong; names the field.
    """
    names = machine_names()
    if name not in names:
        raise errors.ConfigError(
            f"--machine: no baselines of {name!r}; "
            f"{config_hints.nearest_name(name, names)}"
        )
    path = DIRECTORY / f"{name}.json"
    try:
        return _parse_machine(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise errors.ConfigError(f"{path}: no valid JSON: {error}") from None
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{path}: {error}") from None


def gpu_names() -> list[str]:
    """Returns the name of each GPU that the driver shows."""
    try:
        result = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in result.stdout.splitlines() if line.strip()]


def machine_of(gpus: Sequence[str]) -> str:
    """Returns the name of the machine that has most of these GPUs."""
    counts = {name: load(name).count_gpus(gpus) for name in machine_names()}
    return max(counts, key=lambda name: (counts[name], name == CPU_MACHINE))


def _parse_machine(content: Any) -> Machine:
    fields = strict_fields.check(content, Machine, "")
    fields["checks"] = {
        name: _parse_check(check, f"checks.{name}.")
        for name, check in fields["checks"].items()
    }
    return Machine(**fields)


def _parse_check(content: Any, prefix: str) -> Check:
    fields = strict_fields.check(content, Check, prefix)
    fields["values"] = {
        name: _parse_value(value, f"{prefix}values.{name}.")
        for name, value in fields["values"].items()
    }
    check = Check(**fields)
    _check_one_of(f"{prefix}kind", check.kind, KINDS)
    for name in ("commands", "values"):
        if not fields[name]:
            raise errors.ConfigError(f"{prefix}{name}: is empty")
    if check.attempts < 1 or check.limit_minutes <= 0:
        raise errors.ConfigError(
            f"{prefix[:-1]}: expected attempts and limit_minutes above 0"
        )
    for entry in (*check.commands, *check.files):
        if not isinstance(entry, str):
            raise errors.ConfigError(
                f"{prefix[:-1]}: expected texts as commands and files, got "
                f"{entry!r}"
            )
    return check


def _parse_value(content: Any, prefix: str) -> Value:
    value = Value(**strict_fields.check(content, Value, prefix))
    _check_one_of(f"{prefix}side", value.side, SIDES)
    if not 0 < value.baseline < math.inf:
        raise errors.ConfigError(
            f"{prefix}baseline: expected a number above 0, got {value.baseline}"
        )
    if not 0 < value.tolerance < 1:
        raise errors.ConfigError(
            f"{prefix}tolerance: expected a share between 0 and 1, got "
            f"{value.tolerance}"
        )
    places = (value.pattern, value.json, value.metric, value.loss_of_steps)
    if sum(map(bool, places)) != 1:
        raise errors.ConfigError(
            f"{prefix[:-1]}: expected one of pattern, json, metric and "
            f"loss_of_steps, got {sum(map(bool, places))}"
        )
    try:
        num_groups = re.compile(value.pattern).groups
    except re.error as error:
        raise errors.ConfigError(f"{prefix}pattern: {error}") from None
    if value.pattern and num_groups != 1:
        raise errors.ConfigError(
            f"{prefix}pattern: expected one group, got {num_groups}"
        )
    steps = value.loss_of_steps
    if steps and (len(steps) != 2 or not 0 < steps[0] <= steps[1]):
        raise errors.ConfigError(
            f"{prefix}loss_of_steps: expected [first, last], got {steps}"
        )
    return value


def _check_one_of(field: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        hint = config_hints.nearest_name(value, valid)
        raise errors.ConfigError(f"{field}: no such value {value!r}; {hint}")
