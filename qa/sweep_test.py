"""Sweeps of real trainings, of a detector that trains in seconds."""

import csv
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from object_detection import sample_inputs
from object_detection.dataset_tools import create_shapes_tf_record

pytest.importorskip("optuna")

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "ssd_mobilenet_v1_fpn_shapes.config"
TIMEOUT_SECONDS = 400
SMALL = f"{sample_inputs.SMALL_OVERRIDES},eval_config.num_visualizations=0"
LOSS = "Loss/total_loss"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    create_shapes_tf_record.create_shapes_dataset(
        str(directory),
        num_train=7,
        num_val=4,
        num_shards=1,
        num_workers=1,
        seed=0,
    )
    return directory


def write(folder, data, search, *lines):
    overrides = (
        f"{SMALL},label_map_path={data}/shapes_label_map.pbtxt,"
        f"train_input_path={data}/shapes_train.record,"
        f"eval_input_path={data}/shapes_val.record"
    )
    path = folder / "sweep.toml"
    path.write_text(
        "\n".join(
            [
                f'pipeline_config_path = "{CONFIG}"',
                f'hparams_overrides = "{overrides}"',
                f'metric = "{LOSS}"',
                'direction = "minimize"',
                'sampler = "grid"',
                *lines,
                "[search]",
                search,
            ]
        )
    )
    return str(path)


def start(path, sweep_dir, *flags, **settings):
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "qa" / "sweep.py"), path),
            *(f"--sweep_dir={sweep_dir}", *flags),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **settings,
    )


def run(path, sweep_dir, *flags, **settings):
    process = start(path, sweep_dir, *flags, **settings)
    output, problems = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, output, problems


def rows(sweep_dir):
    with open(sweep_dir / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def wait_for(path, text):
    end_seconds = time.monotonic() + TIMEOUT_SECONDS
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < end_seconds, path
        time.sleep(0.05)


def test_an_unknown_key_ends_it_before_any_trial(tmp_path):
    path = write(tmp_path, "no_data", "lerning_rate = [1.0]")
    code, _, problems = run(path, tmp_path / "s")
    assert code == 2
    assert problems.count("\n") == 1
    assert (
        "lerning_rate: no such key; did you mean 'learning_rate'?" in problems
    )
    assert not (tmp_path / "s").exists()


def test_a_missing_optuna_is_one_line(tmp_path):
    # As if it were not installed: found first, and not there.
    (tmp_path / "optuna.py").write_text(
        "raise ModuleNotFoundError('no optuna', name='optuna')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    path = write(tmp_path, "no_data", "learning_rate = [1.0]")
    code, _, problems = run(path, tmp_path / "s", env=environment)
    assert code == 2
    assert problems.count("\n") == 1
    assert "need optuna, which is not installed: pip install" in problems


@pytest.mark.slow
def test_trials_end_with_a_value_or_an_error_and_are_not_run_again(
    data, tmp_path
):
    sweep_dir = tmp_path / "s"
    path = write(
        tmp_path,
        data,
        "learning_rate = [0.001, 1e30, 0.01]",
        "num_train_steps = 3",
        'flags = ["--log_steps=1"]',
    )
    code, output, problems = run(path, sweep_dir, "--jobs=2")
    assert (code, problems) == (0, "")
    table = rows(sweep_dir)
    assert [row["state"] for row in table] == ["done", "done", "failed"]
    assert [row["learning_rate"] for row in table][2] == "1e+30"
    assert "Loss/localization_loss is nan" in table[2]["error"]
    for row in table[:2]:
        model_dir = sweep_dir / f"trial-000{row['trial']}"
        record = json.loads((model_dir / "eval/evaluation-3.json").read_text())
        assert float(row[LOSS]) == record["metrics"][LOSS]
        config = (model_dir / "pipeline.config").read_text()
        assert f"learning_rate_base: {row['learning_rate']}" in config
    assert float(table[0][LOSS]) < float(table[1][LOSS])
    (best,) = shlex.split(output.splitlines()[-1])
    assert best.startswith(f"--hparams_overrides={SMALL},label_map_path=")
    assert best.endswith(f",learning_rate={table[0]['learning_rate']}")

    before = {p: p.read_text() for p in sweep_dir.glob("*/log.txt")}
    assert len(before) == 3
    assert run(path, sweep_dir)[0] == 0
    assert {p: p.read_text() for p in sweep_dir.glob("*/log.txt")} == before
    assert rows(sweep_dir) == table


@pytest.mark.slow
def test_when_none_can_begin_it_ends_with_their_message(data, tmp_path):
    path = write(
        tmp_path,
        data,
        "learning_rate = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]",
        "num_train_steps = 2",
        'flags = ["--no_such_flag=1"]',
    )
    code, output, problems = run(path, tmp_path / "s", "--jobs=3")
    assert code == 2
    assert problems.startswith("error: no trial could begin: ")
    assert "no_such_flag" in problems and problems.count("\n") == 1
    # Two may have been begun before the third ended.
    assert 3 <= len(re.findall(r"trial \d: failed: ", output)) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_sweep_goes_on_from_the_checkpoint(data, tmp_path, signum):
    sweep_dir = tmp_path / "s"
    path = write(
        tmp_path,
        data,
        "learning_rate = [0.001, 0.002]",
        "num_train_steps = 120",
        'flags = ["--log_steps=1", "--save_checkpoints_steps=10"]',
    )
    log = sweep_dir / "trial-0000" / "log.txt"
    process = start(path, sweep_dir)
    wait_for(log, "step 12/")
    process.send_signal(signum)
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    if signum == signal.SIGINT:
        assert process.returncode == 130
        assert "trial 0: stopped, to go on later" in output
        assert rows(sweep_dir)[0]["state"] == "stopped"
    else:
        # The trial itself runs on, and must not be started twice.
        owner = int((sweep_dir / "trial-0000" / ".lock").read_text())
        os.kill(owner, signal.SIGSTOP)
        code, _, problems = run(path, sweep_dir)
        os.kill(owner, signal.SIGKILL)
        assert code == 2
        assert f"trial-0000: process {owner} trains into it" in problems
    assert "step 120/120" not in log.read_text()

    code, output, problems = run(path, sweep_dir, "--jobs=2")
    assert (code, problems) == (0, "")
    assert "Resuming from step " in log.read_text()
    assert [row["state"] for row in rows(sweep_dir)] == ["done", "done"]
    other = (sweep_dir / "trial-0001" / "log.txt").read_text()
    assert "Resuming" not in other


@pytest.mark.slow
def test_a_killed_trial_is_resumed_and_one_behind_is_pruned(data, tmp_path):
    sweep_dir = tmp_path / "s"
    path = write(
        tmp_path,
        data,
        '"model.ssd.loss.localization_weight" = [1.0, 50.0]',
        "num_train_steps = 120",
        'flags = ["--log_steps=1", "--save_checkpoints_steps=10"]',
        "[pruning]",
        "eval_every_n_steps = 40",
        "startup_trials = 1",
    )
    log = sweep_dir / "trial-0000" / "log.txt"
    process = start(path, sweep_dir)
    wait_for(log, "step 12/")
    owner = int((sweep_dir / "trial-0000" / ".lock").read_text())
    os.kill(owner, signal.SIGKILL)
    output, problems = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, problems) == (0, "")
    assert "trial 0: was killed (code -9)" in output
    assert "Resuming from step " in log.read_text()
    states = {row["trial"]: row["state"] for row in rows(sweep_dir)}
    assert states == {"0": "done", "1": "pruned"}
    other = (sweep_dir / "trial-0001" / "log.txt").read_text()
    assert "step 120/120" not in other
