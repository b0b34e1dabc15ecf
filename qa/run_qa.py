r"""Checks what this machine reaches against its baselines.

    python qa/run_qa.py                       # all that this machine can run
    python qa/run_qa.py --short               # what CI runs
    python qa/run_qa.py --machine dgx_a100 --only 'train_*' [--list]

Baselines, with their tolerances and sources, are in `qa/baselines`. Which of
them count is decided by the GPUs; without one that has baselines, those of
the CPU. Checks that cannot run here are listed with the reason.

Exit code 0 when all values are reached, 1 when one is missed or a command
failed, 2 for a wrong argument, 7 when nothing can run here.
"""

import argparse
import fnmatch
import json
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

import qa_baselines
import qa_checks
import rich.console
import rich.table
from rich.markup import escape

from object_detection.core import errors
from object_detection.utils import config_hints

Checks = Mapping[str, qa_baselines.Check]


def choose(checks: Checks, patterns: Sequence[str], is_short: bool) -> Checks:
    """Returns the checks that were asked for.

    Raises:
        ConfigError: a pattern matches no name.
    """
    for pattern in patterns:
        if not fnmatch.filter(checks, pattern):
            hint = config_hints.nearest_name(pattern, checks)
            raise errors.ConfigError(f"--only: no check {pattern!r}; {hint}")
    return {
        name: check
        for name, check in checks.items()
        if (check.is_short or not is_short)
        and any(fnmatch.fnmatch(name, p) for p in patterns or ["*"])
    }


def print_outcomes(outcomes: Sequence[qa_checks.Outcome]) -> None:
    """Prints the table, the notes, and how many of each state there are."""
    table = rich.table.Table(show_edge=False)
    for heading in ("check", "value", "measured", "expected", ""):
        table.add_column(heading, no_wrap=heading == "check", overflow="fold")
    styles = {"passed": "green", "skipped": "dim"}
    for outcome in outcomes:
        measured = outcome.measured
        table.add_row(
            escape(outcome.check),
            escape(outcome.value),
            "" if measured is None else f"{measured:.4g}",
            outcome.expected,
            outcome.state,
            style=styles.get(outcome.state, "bold red"),
        )
    print()
    rich.console.Console().print(table)
    for outcome in outcomes:
        if outcome.note:
            print(f"{outcome.check} {outcome.state}: {outcome.note}")
    states = [outcome.state for outcome in outcomes]
    num_failed = states.count("missed") + states.count("failed")
    print(
        f"\n{states.count('passed')} passed, {num_failed} failed, "
        f"{states.count('skipped')} skipped"
    )


def print_checks(checks: Checks, num_gpus: int) -> None:
    """Prints what there is, and what of it can run here."""
    table = rich.table.Table(show_edge=False)
    for heading in ("check", "kind", "short", "expected", "runs here"):
        table.add_column(heading, no_wrap=heading == "check", overflow="fold")
    for name, check in checks.items():
        reason = check.reason_to_skip(num_gpus)
        expected = [f"{n} {v.expectation()}" for n, v in check.values.items()]
        table.add_row(
            escape(name),
            check.kind,
            "yes" if check.is_short else "",
            escape("\n".join(expected)),
            escape(f"no: {reason}" if reason else "yes"),
        )
    rich.console.Console().print(table)


def run(options: argparse.Namespace) -> int:
    """Does what the arguments say; returns the exit code.

    Raises:
        ConfigError: an argument is wrong.
        ResourceError: nothing can run here.
    """
    gpus = qa_baselines.gpu_names()
    print(f"GPUs here: {', '.join(gpus) or 'none'}")
    name = options.machine
    if name == "auto":
        name = qa_baselines.machine_of(gpus)
        _print_others(name)
    machine = qa_baselines.load(name)
    print(f"Baselines: {name}, {machine.description}")
    checks = choose(machine.checks, options.only, options.short)
    num_gpus = machine.count_gpus(gpus)
    if options.list:
        print_checks(checks, num_gpus)
        return 0
    reasons = {n: c.reason_to_skip(num_gpus) for n, c in checks.items()}
    if all(reasons.values()):
        reason = next(iter(reasons.values()), "none of them is short")
        raise errors.ResourceError(f"{name}: no check can run here: {reason}")
    work_dir = options.work_dir or tempfile.mkdtemp(prefix="qa-")
    run_dir = pathlib.Path(work_dir).absolute() / (
        f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    )
    outcomes = []
    for check_name, check in checks.items():
        if reason := reasons[check_name]:
            outcomes.append(
                qa_checks.Outcome(check_name, "", "skipped", note=reason)
            )
        else:
            outcomes += qa_checks.run(
                check_name, check, machine.environment, run_dir / check_name
            )
    print_outcomes(outcomes)
    results = [outcome._asdict() for outcome in outcomes]
    (run_dir / "results.json").write_text(json.dumps(results, indent=1))
    print(f"Logs, models and results.json: {run_dir}")
    return int(any(o.state in ("missed", "failed") for o in outcomes))


def _print_others(name: str) -> None:
    for other in qa_baselines.machine_names():
        if other != name:
            machine = qa_baselines.load(other)
            print(
                f"Skipped: {len(machine.checks)} checks of {other}, which "
                f"need GPUs named '{machine.gpu}'"
                if machine.gpu
                else f"Skipped: the checks of {other}, with --machine {other}"
            )


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--machine",
        default="auto",
        help=f"auto, {', '.join(qa_baselines.machine_names())}",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], help="names of checks, * for any"
    )
    parser.add_argument("--short", action="store_true", help="what CI runs")
    parser.add_argument("--list", action="store_true", help="run nothing")
    parser.add_argument("--work_dir", default="", help="a new one in /tmp")
    options = parser.parse_args()
    # So that what a check started is ended with this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(options)
    except errors.DetectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
