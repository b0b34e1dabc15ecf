"""Starts real processes and tells how they ended, for tests."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

TIMEOUT_SECONDS = 240
BIN = pathlib.Path(sys.executable).parent
WORKER = pathlib.Path(__file__).parent / "worker.py"

# Keeps the exit code of a process, whatever the launcher makes of it.
_WRAPPER = (
    "trap : TERM; "
    'rank=${HOROVOD_RANK:-${OMPI_COMM_WORLD_RANK:-0}}; "$@" & child=$!; '
    "while kill -0 $child 2>/dev/null; do wait $child; code=$?; done; "
    "echo $code >code-$rank; exit $code"
)

needs_horovod = pytest.mark.skipif(
    importlib.util.find_spec("horovod") is None,
    reason="Horovod is not installed: make horovod",
)
needs_mpirun = pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="there is no mpirun"
)


@dataclasses.dataclass(frozen=True)
class Run:
    """How a run ended.

    Attributes:
        directory: where its processes ran.
        output: everything that was printed.
        codes: the exit code of each process, by rank.
    """

    directory: pathlib.Path
    output: str
    codes: dict[int, int]

    def error_lines(self) -> list[str]:
        """Returns the lines of errors, without the launcher's prefix."""
        lines = self.output.splitlines()
        return [ln[ln.index("ERROR:") :] for ln in lines if "ERROR:" in ln]

    def variables(self, rank: int = 0) -> dict[str, np.ndarray]:
        """Returns what a worker had at its end."""
        with np.load(self.directory / f"final-{rank}.npz") as arrays:
            return dict(arrays)

    def steps(self, rank: int = 0) -> list[dict[str, float]]:
        """Returns what each step of a worker reported."""
        return json.loads((self.directory / f"steps-{rank}.json").read_text())


def launch(
    num_processes: int,
    command: Sequence[str],
    directory: pathlib.Path,
    *,
    launcher: str = "horovodrun",
    options: Sequence[str] = (),
    **environment: str,
) -> Run:
    """Runs a command in several processes, or one, to the end.

    Args:
        num_processes: 1 needs no launcher.
        command: a program and its arguments.
        directory: made; the working directory.
        launcher: horovodrun or mpirun.
        options: more of the launcher's.
        **environment: additional variables.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for code in directory.glob("code-*"):
        code.unlink()
    wrapped = ["bash", "-c", _WRAPPER, "_", *command]
    if num_processes > 1:
        wrapped = [*_prefix(launcher, num_processes), *options, *wrapped]
    finished = subprocess.run(
        wrapped,
        cwd=directory,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT_SECONDS,
    )
    codes = {
        int(path.name.removeprefix("code-")): int(path.read_text())
        for path in directory.glob("code-*")
    }
    return Run(directory, finished.stdout, codes)


def train_tiny(
    num_processes: int,
    directory: pathlib.Path,
    launcher: str = "horovodrun",
    options: Sequence[str] = (),
    **settings: Any,
) -> Run:
    """Runs `worker.py` in several processes; settings as in `Settings`."""
    settings = {"model_dir": str(directory / "model"), **settings}
    return launch(
        num_processes,
        [sys.executable, str(WORKER)],
        directory,
        launcher=launcher,
        options=options,
        WORKER_SETTINGS=json.dumps(settings),
    )


def _prefix(launcher: str, num_processes: int) -> list[str]:
    if launcher == "horovodrun":
        options = ["--gloo", "-np", str(num_processes)]
        return [str(BIN / "horovodrun"), *options]
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    options = ["-np", str(num_processes), "--oversubscribe", "-bind-to", "none"]
    return ["mpirun", *as_root, *options, "-x", "PATH", "-x", "WORKER_SETTINGS"]
