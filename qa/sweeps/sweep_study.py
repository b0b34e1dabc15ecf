"""What is known of the trials of a sweep: an Optuna study in its directory.

A trial is RUNNING from its drawing until it has a value, is pruned or failed.
One that is RUNNING when a study is opened was interrupted, and goes on.
"""

import dataclasses
import itertools
import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from object_detection.core import errors
from sweeps import sweep_sampling
from sweeps.sweep_space import Sweep

_FILE_NAME = "study.log"
_SETTINGS, _ERROR, _EXIT_CODE = "settings", "error", "exit_code"
_SECONDS, _RESTARTS = "seconds", "restarts"
# So many trials are tried before all are believed to have the same mistake.
_NUM_FIRST_TRIALS = 3

_STATE_NAMES = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "stopped",
}


class Result(NamedTuple):
    """What came out of a trial.

    Attributes:
        number: from 0.
        state: done, pruned, failed, or stopped, which goes on later.
        value: of the metric, None without one; of a pruned trial its last.
        texts: by key of the search, what was tried.
        seconds: in training and evaluation.
        error: why it failed, or "".
    """

    number: int
    state: str
    value: float | None
    texts: Mapping[str, str]
    seconds: float
    error: str


@dataclasses.dataclass
class Trial:
    """A trial that has to be run, or goes on.

    Attributes:
        number: from 0.
        directory: its model_dir.
        texts: by key of the search, what is tried.
        reported_steps: steps whose evaluation is known.
        num_restarts: how often it was killed so far.
    """

    number: int
    directory: str
    texts: Mapping[str, str]
    reported_steps: set[int]
    num_restarts: int
    handle: optuna.Trial


class Study:
    """The trials of a sweep, kept in `study.log`.

    Args:
        sweep: what is tried.
        directory: of the sweep, made when it does not exist; that of one
            process at a time.

    Raises:
        ConfigError: the directory holds a sweep of other settings.
    """

    def __init__(self, sweep: Sweep, directory: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._sweep = sweep
        self._directory = directory
        self._study = _open(sweep, directory)
        self._distributions = sweep_sampling.distributions(sweep)
        if sweep.sampler == "grid":
            self._enqueue_grid()
        self._interrupted = self._trials(TrialState.RUNNING)

    @property
    def num_trials(self) -> int:
        """How many trials the sweep has in all."""
        if self._sweep.sampler != "grid":
            return self._sweep.num_trials
        size = len(self._study.trials)
        return min(size, self._sweep.num_trials or size)

    def next_trial(self) -> Trial | None:
        """Returns a trial to run, interrupted ones first; None at the end."""
        while self._interrupted:
            frozen = self._interrupted.pop(0)
            trial = self._trial(optuna.Trial(self._study, frozen._trial_id))
            if set(trial.texts) == set(self._sweep.search):
                return trial
            self.fail(trial, 1, "interrupted while its values were drawn")
        num_drawn = len(self._study.trials) - len(
            self._trials(TrialState.WAITING)
        )
        if num_drawn >= self.num_trials or self.common_error():
            return None
        self._study.sampler = sweep_sampling.sampler(self._sweep, num_drawn)
        return self._trial(self._study.ask(self._distributions))

    def should_prune(self, trial: Trial, step: int, value: float) -> bool:
        """Notes an evaluation; says whether the trial falls behind."""
        trial.reported_steps.add(step)
        trial.handle.report(value, step)
        return self._sweep.pruning is not None and trial.handle.should_prune()

    def add_seconds(self, trial: Trial, seconds: float) -> None:
        """Notes how long a trial ran since it was last begun."""
        before = trial.handle.user_attrs.get(_SECONDS, 0.0)
        trial.handle.set_user_attr(_SECONDS, before + seconds)

    def note_restart(self, trial: Trial) -> None:
        """Notes that a trial was killed and is begun again."""
        trial.num_restarts += 1
        trial.handle.set_user_attr(_RESTARTS, trial.num_restarts)

    def finish(self, trial: Trial, value: float) -> None:
        """Ends a trial that has its value."""
        self._study.tell(trial.number, value)

    def prune(self, trial: Trial) -> None:
        """Ends a trial that falls behind."""
        self._study.tell(trial.number, state=TrialState.PRUNED)

    def fail(self, trial: Trial, exit_code: int, error: str) -> None:
        """Ends a trial without a value."""
        trial.handle.set_user_attr(_ERROR, error)
        trial.handle.set_user_attr(_EXIT_CODE, exit_code)
        self._study.tell(trial.number, state=TrialState.FAIL)

    def common_error(self) -> str:
        """Returns the error when none of the first trials could begin.

        That is, when all that ended had an exit code of 2, a flag or config
        that cannot work, and these are more than a few.
        """
        ended = [t for t in self._study.trials if t.state.is_finished()]
        if len(ended) < min(_NUM_FIRST_TRIALS, self.num_trials):
            return ""
        return ended[-1].user_attrs[_ERROR] if _all_refused(ended) else ""

    def results(self) -> list[Result]:
        """Returns what came out of the trials that were begun, best first."""
        results = [
            Result(
                frozen.number,
                _STATE_NAMES[frozen.state],
                frozen.value,
                self._texts(frozen.params),
                frozen.user_attrs.get(_SECONDS, 0.0),
                frozen.user_attrs.get(_ERROR, ""),
            )
            for frozen in self._trials(*_STATE_NAMES)
        ]
        sign = -1 if self._sweep.direction == "maximize" else 1
        states = list(_STATE_NAMES.values())
        return sorted(
            results,
            key=lambda r: (states.index(r.state), sign * (r.value or 0)),
        )

    def _enqueue_grid(self) -> None:
        keys = list(self._distributions)
        choices = [self._distributions[key].choices for key in keys]
        for values in itertools.product(*choices):
            self._study.enqueue_trial(
                dict(zip(keys, values, strict=True)), skip_if_exists=True
            )

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(states=states)

    def _trial(self, handle: optuna.Trial) -> Trial:
        frozen = self._study.trials[handle.number]
        return Trial(
            handle.number,
            trial_directory(self._directory, handle.number),
            self._texts(frozen.params),
            set(frozen.intermediate_values),
            frozen.user_attrs.get(_RESTARTS, 0),
            handle,
        )

    def _texts(self, values: Mapping[str, float | str]) -> dict[str, str]:
        search = self._sweep.search
        return {
            key: value if isinstance(value, str) else search[key].text(value)
            for key, value in values.items()
        }


def trial_directory(directory: str, number: int) -> str:
    """Returns the model_dir of a trial."""
    return os.path.join(directory, f"trial-{number:04d}")


def _open(sweep: Sweep, directory: str) -> optuna.Study:
    path = pathlib.Path(directory) / _FILE_NAME
    _cut_unfinished_line(path)
    study = _load(sweep, path)
    if study.trials and _all_refused(study.trials):
        # Nothing was trained, so there is nothing to go on with.
        for trial in study.trials:
            shutil.rmtree(
                trial_directory(directory, trial.number), ignore_errors=True
            )
        path.unlink()
        study = _load(sweep, path)
    own = json.loads(json.dumps(sweep.fingerprint()))
    known = study.user_attrs.get(_SETTINGS)
    if known is None:
        study.set_user_attr(_SETTINGS, own)
    elif known != own:
        differing = [key for key in own if own[key] != known.get(key)]
        raise errors.ConfigError(
            f"--sweep_dir {directory}: holds a sweep of another "
            f"{', '.join(differing)}; give another directory, or the file as "
            "it was"
        )
    return study


def _cut_unfinished_line(path: pathlib.Path) -> None:
    """Removes what a full disk or a power cut left of a last line."""
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)


def _load(sweep: Sweep, path: pathlib.Path) -> optuna.Study:
    pruning = sweep.pruning
    return optuna.create_study(
        study_name="sweep",
        storage=JournalStorage(JournalFileBackend(str(path))),
        direction=sweep.direction,
        load_if_exists=True,
        pruner=pruning
        and optuna.pruners.MedianPruner(
            n_startup_trials=pruning.startup_trials,
            n_warmup_steps=pruning.warmup_steps,
        ),
    )


def _all_refused(trials: list[FrozenTrial]) -> bool:
    code = errors.ConfigError.exit_code
    return all(trial.user_attrs.get(_EXIT_CODE) == code for trial in trials)
