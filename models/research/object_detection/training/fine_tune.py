"""Starting from the weights of another model.

That is a checkpoint, or a file of weights of Keras or PyTorch. Only the
variables that both have, with one shape, are taken. What was taken
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
from object_detection.training import checkpoints, weight_sources
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
        matched: checkpoint name by variable name; that of a moving average
            where its value was taken.
        missing: names that the checkpoint was asked for and does not have.
        mismatched: checkpoint name -> (shape there, shape in the model).
        num_unused: how many tensors of the checkpoint nobody asked for.
        notes: what a user should know of the weights, a line each.
    """

    path: str
    matched: dict[str, str]
    missing: list[str]
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    num_unused: int
    notes: tuple[str, ...] = ()

    def table(self) -> rich.table.Table:
        """Returns the report as a table, long lists cut short."""
        averages = [n for n in self.matched.values() if _is_average(n)]
        weights = [n for n in self.matched.values() if not _is_average(n)]
        of_averages = f" ({len(averages)} from moving averages)"
        table = rich.table.Table(
            title=f"{self.path}: {len(self.matched)} variables taken"
            f"{of_averages if averages else ''}, {len(self.missing)} missing, "
            f"{len(self.mismatched)} of another shape, {self.num_unused} not "
            "asked for",
            title_justify="left",
        )
        table.add_column("variable in the checkpoint", overflow="fold")
        table.add_column("what became of it")
        for names, fate in (
            (weights, "taken"),
            (averages, "taken, a moving average"),
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
        """Prints the table and the notes to standard error."""
        console = rich.console.Console(stderr=True)
        console.print(self.table())
        for note in self.notes:
            # Plain and in one piece: parts of it are to be copied.
            console.print(
                f"{self.path}: {note}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def names_in_checkpoint(
    variables: Mapping[str, keras.Variable], fine_tune: FineTune
) -> dict[str, str]:
    """Returns the checkpoint's name of each variable to look for."""
    if fine_tune.checkpoint_type == CLASSIFICATION:
        prefix = _EXTRACTOR + "/"
        return {
            name: name.removeprefix(prefix)
            for name in variables
            if name.startswith(prefix)
        }
    return {
        name: name
        for name in variables
        if name != checkpoints.GLOBAL_STEP
        and (fine_tune.load_all_variables or name.startswith(_EXTRACTOR))
    }


def initialize(
    variables: Mapping[str, keras.Variable], fine_tune: FineTune
) -> Report:
    """Assigns what fits, after everything was read; returns the report.

    Raises:
        CheckpointError: the checkpoint is missing or damaged, or nothing of
            it fits. No variable was changed.
    """
    reader = weight_sources.open_source(fine_tune.path, fine_tune.takes_bgr)
    wanted = names_in_checkpoint(variables, fine_tune)
    matched, missing, mismatched = {}, [], {}
    prefers_averages = (
        fine_tune.prefers_averages
        and fine_tune.checkpoint_type == CLASSIFICATION
    )
    for name, name_wanted in wanted.items():
        shape = tuple(variables[name].shape)
        name_there = _name_there(reader, name_wanted, prefers_averages)
        if name_there is None:
            missing.append(name_wanted)
        elif reader.shapes[name_there] != shape:
            mismatched[name_there] = (reader.shapes[name_there], shape)
        else:
            matched[name] = name_there
    # Last, because every checkpoint of a model in floats lacks them.
    missing.sort(key=quantization.is_range_name)
    num_unused = len(reader.shapes) - len(matched) - len(mismatched)
    report = Report(
        reader.path, matched, missing, mismatched, num_unused, reader.notes
    )
    if not matched:
        raise errors.CheckpointError(
            _nothing_matched(reader, wanted, mismatched, fine_tune)
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


def _name_there(
    reader: weight_sources.WeightSource, name: str, prefers_averages: bool
) -> str | None:
    """Returns the name of a variable's value or average, None without any."""
    names = [name, name + checkpoints.MOVING_AVERAGE_SUFFIX]
    if prefers_averages:
        names.reverse()
    return next((name for name in names if name in reader.shapes), None)


def _is_average(name: str) -> bool:
    return name.endswith(checkpoints.MOVING_AVERAGE_SUFFIX)


def _nothing_matched(
    reader: weight_sources.WeightSource,
    wanted: Mapping[str, str],
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    fine_tune: FineTune,
) -> str:
    problem = f"{reader.path}: none of the {len(wanted)} variables fits"
    if mismatched:
        name, (found, expected) = next(iter(mismatched.items()))
        return (
            f"{problem}; {name!r} has shape {list(found)} in the file and "
            f"{list(expected)} in the model; is the file of another "
            "model.ssd.feature_extractor.depth_multiplier?"
        )
    is_detector = any(n.startswith(_EXTRACTOR + "/") for n in reader.shapes)
    other = DETECTION if is_detector else CLASSIFICATION
    if other != fine_tune.checkpoint_type:
        advice = f"set train_config.fine_tune_checkpoint_type: {other!r}"
    else:
        advice = "is it of another feature_extractor type?"
    weights = sorted(n for n in reader.shapes if n.endswith("weights"))
    first_there = (weights or sorted(reader.shapes) or ["nothing"])[0]
    return (
        f"{problem}; expected names such as "
        f"{next(iter(wanted.values()), 'none')!r}, found names such as "
        f"{first_there!r}; {advice}"
    )


def _add_rows(table: rich.table.Table, rows: list[tuple[str, str]]) -> None:
    for name, fate in rows[:_MAX_ROWS_PER_KIND]:
        table.add_row(name, fate)
    if len(rows) > _MAX_ROWS_PER_KIND:
        table.add_row(f"... and {len(rows) - _MAX_ROWS_PER_KIND} more", "")
