"""Tests of how a command ends, with real processes."""

import subprocess
import sys

import pytest

SCRIPT = """
from absl import flags
from object_detection.core import errors
from object_detection.utils import command
flags.DEFINE_string("fail", "", "")
flags.DEFINE_integer("number", 1, "", lower_bound=1)
def main(_):
    print("ran")
    if flags.FLAGS.fail == "interrupt":
        raise KeyboardInterrupt
    if flags.FLAGS.fail:
        raise getattr(errors, flags.FLAGS.fail)("what, where")
command.run(main)
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_success_is_0():
    result = run("--number=3")
    assert (result.returncode, result.stdout) == (0, "ran\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("ConfigError", 2),
        ("DataError", 3),
        ("CheckpointError", 4),
        ("NumericsError", 5),
        ("DistributedError", 6),
        ("ResourceError", 7),
    ],
)
def test_an_error_is_one_line_and_its_code(error, code):
    result = run(f"--fail={error}")
    assert result.returncode == code
    assert result.stderr == "ERROR: what, where\n"


def test_debug_shows_the_trace():
    result = run("--fail=DataError", "--debug")
    assert result.returncode != 0
    assert "Traceback" in result.stderr and "what, where" in result.stderr


def test_an_interrupt_is_130():
    result = run("--fail=interrupt")
    assert result.returncode == 130
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--nubmer=3", "nubmer"),
        ("--number=0", "--number=0"),
        ("--number=x", "--number=x"),
        ("number=3", "unexpected argument 'number=3'"),
    ],
)
def test_wrong_usage_is_2_and_runs_nothing(argument, message):
    result = run(argument)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) <= 2


SCRIPT_WITH_ARGUMENTS = """
import argparse
from object_detection.core import errors
from object_detection.utils import command
def main(arguments):
    print(arguments.count, arguments.rate, end=" ")
    print(arguments.is_on)
    if not arguments.count:
        raise errors.DataError("what, where")
formatter = command.make_parser().formatter_class
parser = argparse.ArgumentParser("x", formatter_class=formatter)
add = parser.add_argument
add("--is_on", type=command.true_or_false, default=True, help="y")
parser.add_argument("--count", type=command.number_from(0))
parser.add_argument("--rate", type=command.number_from(0.5, float))
command.run_with_arguments(parser, main)
"""


@pytest.mark.parametrize(
    ("arguments", "code", "printed", "message"),
    [
        (["--count=1", "--rate=0.5"], 0, "1 0.5 True\n", ""),
        (["--count=1", "--is_on", "False"], 0, "1 None False\n", ""),
        (["--is_on=no"], 2, "", "must be True or False, got no; --help"),
        (["--count=0"], 3, "0 None True\n", "ERROR: what, where\n"),
        (["--count=-1"], 2, "", "must be at least 0, got -1; --help lists"),
        (["--count=x"], 2, "", "invalid int value: 'x'; --help lists"),
        (["--rate=inf"], 2, "", "must be at least 0.5, got inf; --help"),
        (["--rat=1", "x"], 2, "", "unrecognized arguments: x; --help lists"),
    ],
)
def test_arguments_of_argparse(arguments, code, printed, message):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT_WITH_ARGUMENTS, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (result.returncode, result.stdout) == (code, printed)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == bool(message)
