"""Tests with real processes, which are ended in the middle of training."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import (
    directory_watcher,
    event_file_loader,
)

from object_detection.core.standard_fields import LossFields
from object_detection.training import checkpoints

NUM_STEPS = 40
TIMEOUT_SECONDS = 300

# Trains slowly enough to be ended in between. The first weights differ from
# process to process, so that a resumed run cannot be right by chance.
SCRIPT = f"""
import functools, os, sys, time
from object_detection.training import (
    estimator, learning_schedules, model_dir_lock, optimizers, options,
    signals, tiny_detector, training_loop)

model_dir, seed, seconds_per_step = sys.argv[1:]

def input_fn(start_step):
    for batch in tiny_detector.input_fn_with()(start_step):
        time.sleep(float(seconds_per_step))
        yield batch

with signals.StopRequest() as stop, model_dir_lock.locked(model_dir):
    estimator.Estimator(
        tiny_detector.TinyDetector(int(seed)),
        training_loop.RunConfig(
            model_dir, save_checkpoints_steps=5, save_summary_steps=1,
            keep_checkpoint_max=100, log_steps=1),
        tiny_detector.groundtruth_from_labels,
    ).train(
        input_fn,
        options.TrainOptions(
            make_optimizer=functools.partial(
                optimizers.Momentum, momentum=0.9),
            learning_rate=functools.partial(
                learning_schedules.cosine_decay_with_warmup,
                learning_rate_base=0.02, total_steps={NUM_STEPS},
                warmup_steps=8)),
        {NUM_STEPS}, stop)
    stop.exit_if_requested()
"""


def start(model_dir, seed, seconds_per_step=0.0):
    return subprocess.Popen(
        [
            *(sys.executable, "-c", SCRIPT),
            *(str(model_dir), str(seed), str(seconds_per_step)),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(model_dir, seed=0):
    process = start(model_dir, seed)
    _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, stderr


def wait_for_line(process, text):
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the process ended without {text!r}")


def last_tensors(model_dir):
    reader = checkpoints.Reader(str(model_dir))
    return {name: reader.read(name) for name in reader.shapes}


def losses(model_dir):
    """Returns the loss of each step, the last that was written of each."""
    directory = os.path.join(model_dir, "train")
    watcher = directory_watcher.DirectoryWatcher(
        directory, event_file_loader.EventFileLoader
    )
    return {
        event.step: float(tf.make_ndarray(value.tensor))
        for event in watcher.Load()
        for value in event.summary.value
        if value.tag == LossFields.total_loss
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("whole") / "run"
    finish(model_dir)
    return model_dir


def assert_same_run(model_dir, whole):
    expected, found = last_tensors(whole), last_tensors(model_dir)
    assert sorted(found) == sorted(expected)
    assert found["global_step"] == NUM_STEPS
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert len(losses(whole)) == NUM_STEPS
    assert losses(model_dir) == losses(whole)


def test_kill_9_loses_only_the_steps_since_the_last_checkpoint(tmp_path, whole):
    process = start(tmp_path, seed=0, seconds_per_step=0.1)
    wait_for_line(process, "step 13/")
    process.kill()
    process.wait(TIMEOUT_SECONDS)
    assert checkpoints.latest_checkpoint(str(tmp_path)).endswith("ckpt-10")

    finish(tmp_path, seed=1)

    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize(
    ("signum", "exit_code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_ends_with_its_code(
    tmp_path, whole, signum, exit_code
):
    process = start(tmp_path, seed=0, seconds_per_step=0.1)
    wait_for_line(process, "step 12/")
    process.send_signal(signum)
    process.send_signal(signum)
    process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == exit_code
    step = checkpoints.step_of(checkpoints.latest_checkpoint(str(tmp_path)))
    assert step % 5 and 12 <= step < NUM_STEPS

    finish(tmp_path, seed=2)

    assert_same_run(tmp_path, whole)


def test_a_second_process_leaves_the_first_alone(tmp_path):
    first = start(tmp_path, seed=0, seconds_per_step=0.2)
    wait_for_line(first, "step 2/")
    second = start(tmp_path, seed=3)
    _, stderr = second.communicate(timeout=TIMEOUT_SECONDS)
    assert second.returncode != 0
    assert f"process {first.pid} trains into it" in stderr
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=TIMEOUT_SECONDS)
    assert first.returncode == 143
    step = checkpoints.step_of(checkpoints.latest_checkpoint(str(tmp_path)))
    assert list(losses(tmp_path)) == list(range(1, step + 1))
