"""What a sweep tries, and the checks of the file that says so.

The file is TOML: settings that all trials share, and a table `search` with a
line a key of `--hparams_overrides`. `qa/sweeps/learning_rate.toml` shows it.
"""

import dataclasses
import hashlib
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import strict_fields

from object_detection.core import errors
from object_detection.utils import config_hints

SAMPLERS = ("tpe", "random", "grid")
DIRECTIONS = ("maximize", "minimize")

# Flags of model_main that the sweep sets itself, or that mean no training.
_OWN_FLAGS = (
    *("pipeline_config_path", "model_dir", "hparams_overrides"),
    *("raport_file", "report_file", "num_train_steps", "eval_count"),
    *("eval_every_n_steps", "checkpoint_dir", "run_once"),
)
_MAY_BE_ZERO = ("seed", "startup_trials", "warmup_steps")


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: the least.
        high: the largest.
        log: whether small and large are drawn as often as their logarithms.
        step: from one number to the next; None for any.
        int: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    int: bool = False

    def text(self, value: float) -> str:
        """Returns a number of the range as --hparams_overrides reads it."""
        # Eight digits: 0.1 + 2 * 0.1 is to be 0.3, and a pasted value short.
        return repr(round(value) if self.int else float(f"{value:.8g}"))

    def values(self) -> list[float] | None:
        """Returns all numbers of the range, None when there is no end."""
        step = self.step or (1 if self.int else None)
        if step is None:
            return None
        count = round((self.high - self.low) / step) + 1
        return [self.low + i * step for i in range(count)]


@dataclasses.dataclass(frozen=True)
class Pruning:
    """When a trial that falls behind is stopped.

    Attributes:
        eval_every_n_steps: steps between two evaluations.
        startup_trials: so many trials run to their end first.
        warmup_steps: no trial is stopped before this step.
    """

    eval_every_n_steps: int
    startup_trials: int = 5
    warmup_steps: int = 0


Choices = Mapping[str, Range | tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a sweep tries, and how a trial is measured.

    Attributes:
        pipeline_config_path: what is trained; paths are seen from where the
            sweep is started, as model_main sees them.
        search: by key of --hparams_overrides, what is tried: a range, or the
            texts of single values.
        num_trials: in all, None for the whole grid.
        hparams_overrides: of all trials.
        num_train_steps: of each trial; None for those of the config.
        metric: of the last evaluation, by its name in TensorBoard.
        direction: one of DIRECTIONS.
        sampler: one of SAMPLERS.
        seed: of the sampler.
        flags: more flags of model_main.
        pruning: None for none.
    """

    pipeline_config_path: str
    search: Choices
    num_trials: int | None = None
    hparams_overrides: str = ""
    num_train_steps: int | None = None
    metric: str = "DetectionBoxes_Precision/mAP"
    direction: str = "maximize"
    sampler: str = "tpe"
    seed: int = 0
    flags: tuple[str, ...] = ()
    pruning: Pruning | None = None

    def texts(self) -> dict[str, tuple[str, ...]]:
        """Returns, by key, the single values, or the ends of the range."""
        return {
            key: item
            if isinstance(item, tuple)
            else (item.text(item.low), item.text(item.high))
            for key, item in self.search.items()
        }

    def overrides_with(self, values: Mapping[str, str]) -> str:
        """Returns the value of --hparams_overrides for one trial."""
        pairs = [f"{key}={value}" for key, value in values.items()]
        return ",".join(filter(None, [self.hparams_overrides.strip(), *pairs]))

    def fingerprint(self) -> dict[str, Any]:
        """Returns, as JSON, what two runs of one sweep have in common."""
        content = pathlib.Path(self.pipeline_config_path).read_bytes()
        settings = dataclasses.asdict(self)
        del settings["num_trials"]
        return {
            **settings,
            "content of pipeline_config_path": hashlib.sha256(
                content
            ).hexdigest(),
        }


def parse(content: Mapping[str, Any]) -> Sweep:
    """Turns the tables of a file into settings.

    Raises:
        ConfigError: a field is unknown, missing, or of another type or range.
    """
    values = _fields(content, Sweep, "")
    search = values["search"]
    if not search:
        raise errors.ConfigError("search: is empty; expected keys to search")
    values["search"] = {
        key: (_choices if isinstance(item, list) else _range)(
            item, f"search.{key}"
        )
        for key, item in search.items()
    }
    values["flags"] = tuple(_check_flag(f) for f in values.get("flags", []))
    if "pruning" in values:
        values["pruning"] = Pruning(
            **_fields(values["pruning"], Pruning, "pruning.")
        )
    sweep = Sweep(**values)
    _check_one_of("direction", sweep.direction, DIRECTIONS)
    _check_one_of("sampler", sweep.sampler, SAMPLERS)
    if sweep.sampler == "grid":
        for key, item in sweep.search.items():
            if isinstance(item, Range) and item.values() is None:
                raise errors.ConfigError(
                    f"search.{key}: a grid needs a step, or a list of values"
                )
    elif sweep.num_trials is None:
        raise errors.ConfigError("num_trials: is missing; only a grid ends")
    return sweep


def override_text(value: Any) -> str:
    """Returns a value as --hparams_overrides reads it.

    Raises:
        ConfigError: it is neither a number, a truth value, a text nor a list.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{','.join(map(override_text, value))}]"
    raise errors.ConfigError(
        f"expected a number, true, false, text or a list, got {value!r}"
    )


def _fields(content: Any, kind: type, prefix: str) -> dict[str, Any]:
    """Checks the fields of one table; all whole numbers count something."""
    fields = strict_fields.check(content, kind, prefix)
    for name, value in fields.items():
        least = 0 if name in _MAY_BE_ZERO else 1
        if type(value) is int and kind is not Range and value < least:
            raise errors.ConfigError(
                f"{prefix}{name}: expected {least} or more, got {value}"
            )
    return fields


def _choices(values: list[Any], path: str) -> tuple[str, ...]:
    try:
        texts = tuple(map(override_text, values))
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{path}: {error}") from None
    if not texts or len(set(texts)) < len(texts):
        raise errors.ConfigError(
            f"{path}: expected values that differ, got {values!r}"
        )
    return texts


def _range(content: Any, path: str) -> Range:
    if not isinstance(content, dict):
        raise errors.ConfigError(
            f"{path}: expected a list of values or {{ low = .., high = .. }}, "
            f"got {content!r}; what all trials share goes in hparams_overrides"
        )
    for name, inner in content.items():
        if isinstance(inner, dict | list):
            raise errors.ConfigError(
                f"{path}.{name}: a key with dots goes in quotes: "
                f'"{path.removeprefix("search.")}.{name}"'
            )
    item = Range(**_fields(content, Range, f"{path}."))
    problem = _problem_of(item)
    if problem:
        raise errors.ConfigError(f"{path}: {problem}, got {content!r}")
    return item


def _problem_of(item: Range) -> str:
    step = 1 if item.step is None else item.step
    numbers = (item.low, item.high, step)
    if not all(map(math.isfinite, numbers)):
        return "expected finite numbers"
    if item.low >= item.high:
        return "expected a low that is less than high"
    if step <= 0:
        return "expected a step above 0"
    if item.int and any(number != round(number) for number in numbers):
        return "int = true needs whole numbers"
    if item.log and item.step is not None:
        return "log and step exclude each other"
    if item.log and item.low <= 0:
        return "log needs a low above 0"
    num_steps = (item.high - item.low) / step
    if item.step and not math.isclose(num_steps, round(num_steps)):
        return "high must be whole steps away from low"
    return ""


def _check_flag(flag: Any) -> str:
    name = str(flag).removeprefix("--").partition("=")[0]
    if not isinstance(flag, str) or not flag.startswith("--"):
        raise errors.ConfigError(
            f"flags: expected flags of model_main, --name=value, got {flag!r}"
        )
    if name in _OWN_FLAGS:
        raise errors.ConfigError(
            f"flags: --{name} is set by the sweep; leave it out"
        )
    return flag


def _check_one_of(field: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        hint = config_hints.nearest_name(value, valid)
        raise errors.ConfigError(f"{field}: no such value {value!r}; {hint}")
