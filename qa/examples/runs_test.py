"""Tests of how the launch scripts run and log a program."""

import re
import signal
import subprocess
import sys
import time

import pytest
from launch_scripts import EXAMPLES, environment, install, run

# Stands for an interpreter: it has all packages, and trains as it is told.
FAKE_PYTHON = """#!/usr/bin/env bash
case $1 in
  -c) exit 0 ;;
  -m) exec {python} "$@" ;;
esac
echo "trains with ${{*:3}}"
echo "warns" >&2
{training}
"""


def test_an_interpreter_without_the_packages_is_refused(tmp_path):
    # Without its site packages.
    lone = install(tmp_path, "lone", f'#!/bin/sh\n{sys.executable} -S "$@"\n')
    for python, missing in ((lone, "tensorflow"), ("/no/python", "Python")):
        model_dir = tmp_path / "model"
        result = run("SSD320_FP32_1GPU.sh", model_dir, PYTHON=str(python))
        assert result.returncode == 7
        assert f"error: {python} cannot import object_detection" in (
            result.stderr
        )
        assert missing in result.stderr and "make setup" in result.stderr
        assert not model_dir.exists()


def test_several_processes_need_horovod(tmp_path):
    python = install(
        tmp_path / "fake",
        "python",
        "#!/bin/sh\ncase $2 in *horovod*) exit 1; esac",
    )
    model_dir = tmp_path / "m"
    settings = {"PYTHON": str(python), "LAUNCHER": "mpirun"}
    result = run("SSD320_FP16_4GPU.sh", model_dir, **settings)
    assert (result.returncode, result.stdout) == (6, "")
    assert result.stderr.startswith(f"error: NGPU=4: {python} has no Horovod")
    assert not model_dir.exists()


def fake_python(tmp_path, training):
    content = FAKE_PYTHON.format(python=sys.executable, training=training)
    return str(install(tmp_path / "fake", "python", content))


def test_everything_printed_is_shown_and_logged(tmp_path):
    model_dir = tmp_path / "not yet" / "there"
    python = fake_python(tmp_path, "exit 0")
    printed = ""
    for _ in range(2):
        result = run("SSD320_FP16_1GPU.sh", model_dir, PYTHON=python)
        assert result.returncode == 0
        first, *others, took = result.stdout.splitlines()
        assert first.startswith("trains with --pipeline_config_path=")
        assert others == ["warns"]
        assert re.fullmatch(r"Took \d+:\d\d:\d\d", took)
        printed += result.stdout
    # The log of a run that goes on has both parts.
    assert (model_dir / "train_log").read_text() == printed


def test_another_number_of_processes_is_noted(tmp_path):
    python = fake_python(tmp_path, "exit 0")
    script = "SSD320_FP16_4GPU.sh"
    result = run(script, tmp_path / "m", PYTHON=python, NGPU="1")
    assert result.returncode == 0
    assert result.stderr == (
        "note: ssd320_full_4gpus.config is made for 4 processes\n"
    )


@pytest.mark.parametrize("script", ["1GPU", "1GPU_BENCHMARK"])
def test_a_failing_training_gives_its_exit_code(script, tmp_path):
    python = fake_python(tmp_path, "echo 'ERROR: NaN' >&2; exit 5")
    result = run(f"SSD320_FP16_{script}.sh", tmp_path / "m", PYTHON=python)
    assert result.returncode == 5
    log = (tmp_path / "m" / "train_log").read_text()
    assert "\nERROR: NaN\n" in log and "performance" not in log


def test_a_directory_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    python = fake_python(tmp_path, "exit 0")
    result = run("SSD320_FP32_1GPU.sh", tmp_path / "file", PYTHON=python)
    assert (result.returncode, result.stdout) == (7, "")
    assert result.stderr == (
        f"error: {tmp_path}/file/train_log: cannot be written; give another "
        "directory as first argument\n"
    )


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_training_which_ends_in_its_own_time(
    signum, tmp_path
):
    python = fake_python(
        tmp_path,
        f"trap 'sleep 1; echo saved; exit {128 + signum}' {int(signum)}\n"
        "echo ready; for _ in {1..300}; do sleep 0.1; done",
    )
    log = tmp_path / "m" / "train_log"
    process = subprocess.Popen(
        ["bash", str(EXAMPLES / "SSD320_FP32_1GPU.sh"), str(tmp_path / "m")],
        env=environment(PYTHON=python),
        stdout=subprocess.PIPE,
        text=True,
        # Tests that run in the background of a shell ignore SIGINT.
        preexec_fn=lambda: signal.signal(signum, signal.SIG_DFL),
    )
    while not log.exists() or "ready" not in log.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signum)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + signum
    assert "\nsaved\n" in printed
    assert log.read_text() == printed


def benchmark(tmp_path, lines, *flags, num=1, batch_size=6, **settings):
    """Runs a benchmark whose training logs lines and saves its config."""
    model_dir = tmp_path / "m"
    config = f"train_config {{ batch_size: {batch_size} }}"
    echoes = "\n".join(f"echo '{line}' >&2" for line in lines)
    python = fake_python(
        tmp_path, f"echo '{config}' >{model_dir}/pipeline.config\n{echoes}"
    )
    script = f"SSD320_FP16_{num}GPU_BENCHMARK.sh"
    return run(script, model_dir, *flags, PYTHON=python, **settings)


def test_benchmark_puts_its_speed_first(tmp_path):
    rates = [9, 9, 9, 9, 9, 9, 1.5, 2]
    lines = [f"step {i}  global_step/sec: {r}" for i, r in enumerate(rates)]
    result = benchmark(tmp_path, lines)
    first = "Single GPU mixed precision training performance: 10.50 img/s"
    assert (result.returncode, result.stderr) == (0, "")
    printed = result.stdout.splitlines()
    assert printed[-1] == first
    log = (tmp_path / "m" / "train_log").read_text().splitlines()
    assert log == [first, *printed[:-1]]
    assert log[3:-1] == lines


def test_benchmark_of_several_processes(tmp_path):
    launch = 'while [[ $1 != *python ]]; do shift; done; exec "$@"'
    install(tmp_path / "fake", "horovodrun", f"#!/usr/bin/env bash\n{launch}\n")
    result = benchmark(
        tmp_path, ["global_step/sec: 2"], "--accumulate_steps=3", num=4
    )
    first = "4 GPUs mixed precision training performance: 144.00 img/s\n"
    assert result.stdout.endswith(f"\n{first}")
    assert (tmp_path / "m" / "train_log").read_text().startswith(first)


def test_benchmark_without_speeds_fails(tmp_path):
    result = benchmark(tmp_path, ["Step 1250 of 1250 is already reached"])
    assert result.returncode == 3
    assert "holds no line with 'global_step/sec'" in result.stderr


def test_benchmark_leaves_a_training_alone(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "checkpoint").write_text("")
    result = benchmark(tmp_path, [])
    assert (result.returncode, result.stdout) == (2, "")
    assert "holds a training" in result.stderr
    assert not (tmp_path / "m" / "train_log").exists()
