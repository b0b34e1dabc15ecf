"""Tests of the demo's own steps; the whole demo takes minutes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from object_detection import demo, model_hparams
from object_detection.core import errors
from object_detection.training import model_dir_lock
from object_detection.utils import config_check, config_util


def test_config_is_accepted_with_the_overrides_of_the_command(tmp_path):
    output_dir = str(tmp_path / "a, b=c")
    _, train = demo.commands(output_dir, demo.default_config_path())
    arguments = dict(a[2:].split("=", 1) for a in train[3:])
    configs = model_hparams.apply_hparams_overrides(
        config_util.get_configs_from_pipeline_file(
            arguments["pipeline_config_path"]
        ),
        arguments["hparams_overrides"],
    )
    data_dir = os.path.join(output_dir, "data")
    os.makedirs(data_dir)
    label_map_path = configs["train_input_config"].label_map_path
    assert os.path.dirname(label_map_path) == data_dir
    with open(label_map_path, "w"):
        pass
    readers = configs["train_input_config"], configs["eval_input_config"]
    for reader, split in zip(readers, ("train", "val"), strict=True):
        (path,) = reader.tf_record_input_reader.input_path
        assert path == os.path.join(data_dir, f"shapes_{split}.record-*")
    config_check.check_configs(configs, is_training=True, is_evaluating=True)
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    assert config_check.find_fields_without_effect(pipeline) == []
    steps = configs["train_config"].num_steps
    optimizer = configs["train_config"].optimizer
    rate = getattr(
        optimizer, optimizer.WhichOneof("optimizer")
    ).learning_rate.cosine_decay_learning_rate
    assert rate.total_steps == steps > rate.warmup_steps


def test_earlier_training_is_removed(tmp_path):
    model_dir = tmp_path / "model"
    assert not demo.remove_earlier_model(str(model_dir))
    (model_dir / "eval").mkdir(parents=True)
    (model_dir / "pipeline.config").touch()
    assert demo.remove_earlier_model(str(model_dir))
    assert not model_dir.exists()


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(errors.ConfigError, match="no training of an earlier"):
        demo.remove_earlier_model(str(tmp_path))
    assert (tmp_path / "thesis.tex").exists()


def test_running_training_is_left_alone(tmp_path):
    (tmp_path / "pipeline.config").touch()
    with (
        model_dir_lock.locked(str(tmp_path)),
        pytest.raises(errors.ConfigError, match="trains into it"),
    ):
        demo.remove_earlier_model(str(tmp_path))
    assert (tmp_path / "pipeline.config").exists()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
def test_code_of_a_failed_command_is_passed_on(code, expected):
    with pytest.raises(SystemExit) as info:
        demo.run([sys.executable, "-c", code])
    assert info.value.code == expected


def test_interrupted_command_may_end_in_peace(tmp_path):
    saved = tmp_path / "saved"
    command = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.5)\n"
        f"    pathlib.Path({str(saved)!r}).touch()\n"
        "    sys.exit(130)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    code = (
        "import sys\n"
        "from object_detection import demo\n"
        f"demo.run([sys.executable, '-c', {command!r}])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while process.stdout.readline() != "ready\n":
        assert process.poll() is None
    time.sleep(0.2)  # The parent, too, waits by now.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130
    assert saved.exists()


def test_two_demos_do_not_share_a_report(tmp_path):
    _, train = demo.commands(str(tmp_path), "x.config")
    assert f"--raport_file={tmp_path}/summary.json" in train
