"""Tests of the summary of runs with several seeds."""

import json
import pathlib
import subprocess
import sys

import pytest
import stability

SCRIPT = pathlib.Path(stability.__file__)


def run(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, f"--work_dir={tmp_path}", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_figures():
    assert stability.summarize([0.3, 0.1, 0.2, 0.6]) == {
        "runs": 4,
        "mean": pytest.approx(0.3),
        "standard deviation": pytest.approx((0.14 / 3) ** 0.5),
        "minimum": 0.1,
        "maximum": 0.6,
        "median": pytest.approx(0.25),
    }
    assert stability.summarize([0.5])["standard deviation"] == 0.0


def test_each_seed_is_run_in_a_directory_of_its_own(tmp_path):
    program = "import os; print('mAP', {seed} ** 2, '{work}')"
    result = run(
        tmp_path,
        *("--seeds=3", "--pattern=mAP ([0-9.]+)", "--"),
        *("{python}", "-c", program),
    )
    assert result.returncode == 0, result.stderr
    assert "seed 2: 4\n" in result.stdout
    assert "median              4\n" in result.stdout
    found = json.loads((tmp_path / "stability.json").read_text())
    assert found["values"] == {"1": 1.0, "2": 4.0, "3": 9.0}
    assert found["mean"] == pytest.approx(14 / 3)
    log = (tmp_path / "seed-3" / "attempt-1" / "output.txt").read_text()
    assert f"{tmp_path}/seed-3/attempt-1" in log


def test_a_run_that_fails_is_named_and_the_others_count(tmp_path):
    program = "import sys; print('mAP 0.5'); sys.exit({seed} == 2)"
    result = run(
        tmp_path,
        *("--seeds=3", "--pattern=mAP ([0-9.]+)", "--"),
        *("{python}", "-c", program),
    )
    assert result.returncode == 1
    assert "seed 2 failed: exit code 1: mAP 0.5" in result.stderr
    assert "runs                2\n" in result.stdout


def test_all_runs_fail(tmp_path):
    result = run(tmp_path, "--seeds=1", "--", "{python}", "-c", "print()")
    assert result.returncode == 1
    assert "seed 1 failed: " in result.stderr
    assert "no evaluation was left" in result.stderr
    assert run(tmp_path, "--seeds=0", "--", "true").returncode == 2
