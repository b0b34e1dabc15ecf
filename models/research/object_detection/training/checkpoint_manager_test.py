"""Tests of which checkpoints stay in a directory."""

import os
import threading

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.training import (
    checkpoint_manager,
    checkpoints,
    signals,
)

VALUES = {"weights": np.ones(3, "float32")}


def steps_in(directory):
    return [
        checkpoints.step_of(prefix)
        for prefix in checkpoints.checkpoints_in(str(directory))
    ]


def test_the_newest_stay(tmp_path):
    manager = checkpoint_manager.CheckpointManager(str(tmp_path), max_to_keep=2)
    for step in (0, 3, 7, 20):
        manager.save(step, VALUES)
    assert steps_in(tmp_path) == [7, 20]
    assert manager.latest.endswith("model.ckpt-20")
    state = (tmp_path / "checkpoint").read_text()
    assert state.startswith('model_checkpoint_path: "model.ckpt-20"\n')
    assert 'all_model_checkpoint_paths: "model.ckpt-7"' in state


def test_a_second_run_counts_the_checkpoints_of_the_first(tmp_path):
    for step in (1, 2, 3, 4):
        checkpoint_manager.CheckpointManager(str(tmp_path), max_to_keep=2).save(
            step, VALUES
        )
    assert steps_in(tmp_path) == [3, 4]


def test_one_of_those_that_leave_stays_every_so_often(tmp_path):
    manager = checkpoint_manager.CheckpointManager(
        str(tmp_path), max_to_keep=1, keep_every_n_hours=1e-12
    )
    for step in (1, 2, 3):
        manager.save(step, VALUES)
    assert steps_in(tmp_path) == [1, 2, 3]


def test_a_save_that_fails_every_time_keeps_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "_SECONDS_BETWEEN_ATTEMPTS", (0.0,))
    manager = checkpoint_manager.CheckpointManager(str(tmp_path))
    manager.save(1, VALUES)
    (tmp_path / "model.ckpt-2.index").mkdir()

    with pytest.raises(errors.ResourceError, match="model.ckpt-1"):
        manager.save(2, VALUES)

    assert manager.latest.endswith("model.ckpt-1")


def test_new_checkpoints_are_seen_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_manager, "_SECONDS_BETWEEN_LOOKS", 0.05)
    directory = str(tmp_path / "later")
    stop = signals.StopRequest()
    found = checkpoint_manager.new_checkpoints(directory, 0.0, stop)

    def write_first():
        os.makedirs(directory)
        checkpoint_manager.CheckpointManager(directory).save(1, VALUES)

    timer = threading.Timer(0.2, write_first)
    timer.start()
    assert next(found).endswith("model.ckpt-1")
    timer.join()
    manager = checkpoint_manager.CheckpointManager(directory)
    manager.save(2, VALUES)
    manager.save(3, VALUES)
    assert next(found).endswith("model.ckpt-3")
    stop.signum = 15
    with pytest.raises(SystemExit) as ended:
        next(found)
    assert ended.value.code == 143
