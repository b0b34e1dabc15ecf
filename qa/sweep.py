r"""Searches for the best values of keys that `--hparams_overrides` takes.

    python qa/sweep.py qa/sweeps/learning_rate.toml --sweep_dir runs/lr \
        [--jobs 2] [--gpus 0,1]

Each trial is a training by `object_detection.model_main` in a directory of
its own, `trial-0000` on, with its output in `log.txt`. Ctrl-C ends them with
a checkpoint; the same command goes on where it was, also after a kill, and
trials that ended are not run again. Raise `num_trials` in the file for more.

At the end, and whenever it stops, it prints a table and leaves `trials.csv`,
`trials.json` and `trials.png`. Exit code 1 when no trial got a value, 2 when
none could begin.
"""

import argparse
import dataclasses
import math
import os
import shlex
import subprocess
import sys
import time
from typing import IO

try:
    from sweeps import sweep_file, sweep_report, sweep_study
except ModuleNotFoundError as problem:
    if problem.name not in ("optuna", "tomli"):
        raise
    print(
        f"error: sweeps need {problem.name}, which is not installed: "
        "pip install -c constraints.txt -e '.[cpu,sweep]'",
        file=sys.stderr,
    )
    sys.exit(2)
from sweeps.sweep_space import Sweep

from object_detection.core import errors
from object_detection.training import model_dir_lock, signals
from object_detection.utils import evaluation_files

_SECONDS_BETWEEN_LOOKS = 0.5
_LOG_NAME = "log.txt"
# How often a trial that was killed, by a lack of memory, say, is resumed.
_MAX_RESTARTS = 2
# What COCO's metrics are where there is no groundtruth.
_NOT_MEASURED = -1


@dataclasses.dataclass
class _Run:
    """A process that runs a trial.

    Attributes:
        trial: what it runs.
        slot: which of the jobs it is.
        process: model_main.
        log: gets what it prints.
        start_seconds: when it was started.
        is_pruned: it was told to stop as it falls behind.
    """

    trial: sweep_study.Trial
    slot: int
    process: subprocess.Popen
    log: IO[bytes]
    start_seconds: float
    is_pruned: bool = False


class Runner:
    """Runs the trials of a study, some at a time.

    Args:
        sweep: what is tried.
        study: says what to run next, and gets what came out.
        num_jobs: trials at a time.
        gpus: ids of the GPUs that the jobs share in turn, or none, to leave
            the choice to the environment.
    """

    def __init__(
        self,
        sweep: Sweep,
        study: sweep_study.Study,
        num_jobs: int,
        gpus: list[str],
    ) -> None:
        self._sweep = sweep
        self._study = study
        self._num_jobs = num_jobs
        self._gpus = gpus
        self._runs: list[_Run] = []

    def run(self, stop: signals.StopRequest) -> None:
        """Runs trials until all have ended, or a signal came."""
        is_stopped = False
        try:
            while True:
                if stop.signum is None:
                    self._begin_trials()
                elif not is_stopped:
                    is_stopped = True
                    _say("Stopping; running trials save a checkpoint")
                    self._terminate()
                if not self._runs:
                    return
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                for run in list(self._runs):
                    exit_code = run.process.poll()
                    self._note_evaluations(run)
                    if exit_code is not None:
                        self._end(run, exit_code, is_stopped)
        finally:
            self._terminate()

    def _begin_trials(self) -> None:
        while len(self._runs) < self._num_jobs:
            trial = self._study.next_trial()
            if trial is None:
                return
            self._begin(trial)

    def _begin(self, trial: sweep_study.Trial) -> None:
        # One whose sweep was killed may still be running.
        with model_dir_lock.locked(trial.directory):
            pass
        slot = min(set(range(self._num_jobs)) - {r.slot for r in self._runs})
        command = _command(self._sweep, trial)
        log = open(  # noqa: SIM115
            os.path.join(trial.directory, _LOG_NAME), "ab", buffering=0
        )
        log.write(f"$ {shlex.join(command)}\n".encode())
        environment = dict(os.environ)
        if self._gpus:
            gpu = self._gpus[slot % len(self._gpus)]
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            # Ctrl-C is for this process, which then ends the trials.
            start_new_session=True,
        )
        self._runs.append(_Run(trial, slot, process, log, time.monotonic()))
        texts = ",".join(f"{key}={text}" for key, text in trial.texts.items())
        _say(f"trial {trial.number}: {texts}")

    def _terminate(self) -> None:
        for run in self._runs:
            run.process.terminate()

    def _note_evaluations(self, run: _Run) -> None:
        for record in _evaluations(run.trial):
            value = record.metrics.get(self._sweep.metric, math.nan)
            if record.step in run.trial.reported_steps or math.isnan(value):
                continue
            is_behind = self._study.should_prune(run.trial, record.step, value)
            if is_behind and not run.is_pruned and run.process.poll() is None:
                run.is_pruned = True
                run.process.terminate()

    def _end(self, run: _Run, exit_code: int, is_stopped: bool) -> None:
        """Notes the end of a process."""
        self._runs.remove(run)
        run.log.close()
        trial = run.trial
        seconds = time.monotonic() - run.start_seconds
        self._study.add_seconds(trial, seconds)
        # A signal's number is below 0, or above 128 where it was caught.
        is_ended_by_signal = exit_code < 0 or exit_code > 128
        if exit_code == 0:
            self._finish(trial, seconds)
        elif is_ended_by_signal and run.is_pruned:
            self._study.prune(trial)
            _say(f"trial {trial.number}: pruned, it falls behind")
        elif is_ended_by_signal and is_stopped:
            _say(f"trial {trial.number}: stopped, to go on later")
        elif is_ended_by_signal and trial.num_restarts < _MAX_RESTARTS:
            self._study.note_restart(trial)
            _say(f"trial {trial.number}: was killed (code {exit_code})")
            self._begin(trial)
        else:
            self._fail(trial, exit_code, _last_error(trial, exit_code))

    def _finish(self, trial: sweep_study.Trial, seconds: float) -> None:
        records = _evaluations(trial)
        if not records:
            self._fail(trial, 0, "ended without an evaluation")
            return
        value = records[-1].metrics.get(self._sweep.metric, math.nan)
        if value == _NOT_MEASURED or math.isnan(value):
            problem = "nothing of the evaluation set is measured by it"
            self._fail(trial, 0, f"{self._sweep.metric} is {value}: {problem}")
        else:
            self._study.finish(trial, value)
            _say(f"trial {trial.number}: {value:.6g} in {seconds:.0f} s")

    def _fail(
        self, trial: sweep_study.Trial, exit_code: int, error: str
    ) -> None:
        self._study.fail(trial, exit_code, error)
        _say(f"trial {trial.number}: failed: {error}")


def _command(sweep: Sweep, trial: sweep_study.Trial) -> list[str]:
    flags = {
        "pipeline_config_path": sweep.pipeline_config_path,
        "model_dir": trial.directory,
        "hparams_overrides": sweep.overrides_with(trial.texts),
        "raport_file": os.path.join(trial.directory, "summary.json"),
    }
    if sweep.num_train_steps:
        flags["num_train_steps"] = str(sweep.num_train_steps)
    if sweep.pruning:
        flags["eval_every_n_steps"] = str(sweep.pruning.eval_every_n_steps)
    return [
        *(sys.executable, "-m", "object_detection.model_main"),
        *(f"--{name}={value}" for name, value in flags.items()),
        *sweep.flags,
    ]


def _evaluations(
    trial: sweep_study.Trial,
) -> list[evaluation_files.EvaluationRecord]:
    return evaluation_files.read_records(os.path.join(trial.directory, "eval"))


def _last_error(trial: sweep_study.Trial, exit_code: int) -> str:
    """Returns model_main's line of error, or the last line of its log."""
    path = os.path.join(trial.directory, _LOG_NAME)
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    # What an earlier process of this trial said is no reason.
    begin = max(i for i, line in enumerate(lines) if line.startswith("$ "))
    found = [line for line in lines[begin:] if line.startswith("ERROR: ")]
    if found:
        return found[-1].removeprefix("ERROR: ")
    return f"exit code {exit_code}: {lines[-1]} ({path})"


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def run_sweep(
    sweep: Sweep, sweep_dir: str, num_jobs: int, gpus: list[str]
) -> None:
    """Runs what is left of a sweep, and reports all of it.

    Raises:
        ConfigError: none of the first trials could begin, or the directory is
            in use or another sweep's.
        SystemExit: after a signal, or when no trial got a value.
    """
    with model_dir_lock.locked(sweep_dir), signals.StopRequest() as stop:
        study = sweep_study.Study(sweep, sweep_dir)
        Runner(sweep, study, num_jobs, gpus).run(stop)
        results = study.results()
        sweep_report.write(sweep, results, sweep_dir)
        stop.exit_if_requested()
    if error := study.common_error():
        raise errors.ConfigError(f"no trial could begin: {error}")
    if results[0].state != "done":
        sys.exit(1)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="what is tried, in TOML")
    parser.add_argument("--sweep_dir", required=True)
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--gpus", default="", help="ids that the jobs share")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs: expected 1 or more, got {options.jobs}")
    try:
        sweep = sweep_file.read(options.file)
        gpus = [gpu for gpu in options.gpus.split(",") if gpu]
        run_sweep(sweep, options.sweep_dir, options.jobs, gpus)
    except errors.DetectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
