"""Starting from the weights of another model.

Only the variables that both have, with one shape, are taken. What was taken
and what was not is printed, and a checkpoint of which nothing fits is
refused, because training would silently start from random weights.
"""

import dataclasses
import os
from collections.abc import Mapping

import keras
import rich.console
import rich.table

from object_detection.core import errors, quantization
from object_detection.training import checkpoints
from object_detection.training.options import (
    CLASSIFICATION,
    DETECTION,
    FineTune,
)

_EXTRACTOR = "FeatureExtractor"
_MAX_ROWS_PER_KIND = 12


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of each variable that was looked for.

    Attributes:
        path: the checkpoint.
        matched: checkpoint name by variable name.
        missing: names that the checkpoint was asked for and does not have.
        mismatched: checkpoint name -> (shape there, shape in the model).
        num_unused: how many tensors of the checkpoint nobody asked for.
    """

    path: str
    matched: dict[str, str]
    missing: list[str]
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    num_unused: int

    def table(self) -> rich.table.Table:
        """Returns the report as a table, long lists cut short."""
        table = rich.table.Table(
            title=f"{self.path}: {len(self.matched)} variables taken, "
            f"{len(self.missing)} missing, {len(self.mismatched)} of another "
            f"shape, {self.num_unused} not asked for",
            title_justify="left",
        )
        table.add_column("variable in the checkpoint", overflow="fold")
        table.add_column("what became of it")
        for names, fate in (
            (list(self.matched.values()), "taken"),
            (self.missing, "missing"),
        ):
            _add_rows(table, [(name, fate) for name in names])
        _add_rows(
            table,
            [
                (name, f"shape {list(found)}, the model has {list(expected)}")
                for name, (found, expected) in self.mismatched.items()
            ],
        )
        return table

    def print(self) -> None:
        """Prints the table to standard error."""
        rich.console.Console(stderr=True).print(self.table())


def names_in_checkpoint(
    variables: Mapping[str, keras.Variable], fine_tune: FineTune
) -> dict[str, str]:
    """Returns the checkpoint's name of each variable to look for.

    Raises:
        ConfigError: the type is neither CLASSIFICATION nor DETECTION.
    """
    if fine_tune.checkpoint_type == CLASSIFICATION:
        prefix = _EXTRACTOR + "/"
        return {
            name: name.removeprefix(prefix)
            for name in variables
            if name.startswith(prefix)
        }
    if fine_tune.checkpoint_type == DETECTION:
        return {
            name: name
            for name in variables
            if name != checkpoints.GLOBAL_STEP
            and (fine_tune.load_all_variables or name.startswith(_EXTRACTOR))
        }
    raise errors.ConfigError(
        "train_config.fine_tune_checkpoint_type: expected "
        f"{CLASSIFICATION!r} or {DETECTION!r}, got "
        f"{fine_tune.checkpoint_type!r}"
    )


def initialize(
    variables: Mapping[str, keras.Variable], fine_tune: FineTune
) -> Report:
    """Assigns what fits, after everything was read; returns the report.

    Raises:
        CheckpointError: the checkpoint is missing or damaged, or nothing of
            it fits. No variable was changed.
    """
    reader = checkpoints.Reader(fine_tune.path)
    wanted = names_in_checkpoint(variables, fine_tune)
    matched, missing, mismatched = {}, [], {}
    for name, name_there in wanted.items():
        shape = tuple(variables[name].shape)
        if name_there not in reader.shapes:
            missing.append(name_there)
        elif reader.shapes[name_there] != shape:
            mismatched[name_there] = (reader.shapes[name_there], shape)
        else:
            matched[name] = name_there
    # Last, because every checkpoint of a model in floats lacks them.
    missing.sort(key=quantization.is_range_name)
    num_unused = len(set(reader.shapes) - set(wanted.values()))
    report = Report(reader.path, matched, missing, mismatched, num_unused)
    if not matched:
        raise errors.CheckpointError(
            _nothing_matched(reader, wanted, fine_tune)
        )
    values = {name: reader.read(there) for name, there in matched.items()}
    for name, value in values.items():
        variables[name].assign(value)
    return report


def refuse_own_directory(fine_tune: FineTune, model_dir: str) -> None:
    """Refuses to start from a checkpoint inside the run's own directory.

    Such a checkpoint would be resumed from, not started from, and then be
    removed as one of the oldest.

    Raises:
        ConfigError: the checkpoint lies in `model_dir`.
    """
    path = os.path.realpath(fine_tune.path)
    directory = path if os.path.isdir(path) else os.path.dirname(path)
    if directory == os.path.realpath(model_dir):
        raise errors.ConfigError(
            f"train_config.fine_tune_checkpoint: {fine_tune.path} lies in "
            f"--model_dir {model_dir}; give a model_dir of its own to the new "
            "run, or remove the field to resume this one"
        )


def _nothing_matched(
    reader: checkpoints.Reader, wanted: Mapping[str, str], fine_tune: FineTune
) -> str:
    is_detector = any(n.startswith(_EXTRACTOR + "/") for n in reader.shapes)
    other = DETECTION if is_detector else CLASSIFICATION
    if other != fine_tune.checkpoint_type:
        advice = f"set train_config.fine_tune_checkpoint_type: {other!r}"
    else:
        advice = "is it of another feature_extractor type?"
    weights = sorted(n for n in reader.shapes if n.endswith("weights"))
    first_there = (weights or sorted(reader.shapes) or ["nothing"])[0]
    return (
        f"{reader.path}: none of the {len(wanted)} variables fits; expected "
        f"names such as {next(iter(wanted.values()), 'none')!r}, found names "
        f"such as {first_there!r}; {advice}"
    )


def _add_rows(table: rich.table.Table, rows: list[tuple[str, str]]) -> None:
    for name, fate in rows[:_MAX_ROWS_PER_KIND]:
        table.add_row(name, fate)
    if len(rows) > _MAX_ROWS_PER_KIND:
        table.add_row(f"... and {len(rows) - _MAX_ROWS_PER_KIND} more", "")
