"""Tests of what the recipes share."""

import functools
import re

import numpy as np
import pytest

from object_detection import model_hparams
from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.recipes import epochs, jobs, step_times
from object_detection.training import (
    checkpoints,
    learning_schedules,
    optimizers,
    tiny_detector,
)
from object_detection.training.estimator import Estimator
from object_detection.training.options import TrainOptions
from object_detection.training.training_loop import RunConfig

STEPS_PER_EPOCH = 3


class Notes(epochs.EpochLog):
    """Keeps what a log would write."""

    def __init__(self, log_steps):
        super().__init__(STEPS_PER_EPOCH, log_steps)
        self.steps, self.epochs = [], []

    def show_step(self, epoch, step, losses):
        self.steps.append((epoch, step))
        assert losses[LossFields.total_loss] > 0

    def show_epoch(self, epoch, losses, seconds, num_steps, images_per_step):
        self.epochs.append((epoch, num_steps, images_per_step))
        assert seconds > 0
        assert losses[LossFields.total_loss] > 0


@pytest.fixture
def options():
    return TrainOptions(
        make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
        learning_rate=functools.partial(
            learning_schedules.constant, learning_rate=0.1
        ),
    )


def train(model_dir, options, targets, *looking_on, **config):
    estimator = Estimator(
        tiny_detector.TinyDetector(),
        RunConfig(
            str(model_dir),
            save_checkpoints_steps=STEPS_PER_EPOCH,
            listeners=looking_on,
            **config,
        ),
        tiny_detector.groundtruth_from_labels,
    )
    for target in targets:
        estimator.train(tiny_detector.input_fn_with(), options, target)


@pytest.mark.parametrize("targets", [[9], [2, 3, 9], [4, 5, 9]])
def test_epochs_and_their_steps_are_told_from_0(tmp_path, options, targets):
    notes = Notes(log_steps=2)
    train(tmp_path, options, targets, notes)
    assert notes.steps == [(e, s) for e in range(3) for s in (0, 2)]
    assert notes.epochs == [(0, 3, 2), (1, 3, 2), (2, 3, 2)]


def test_a_resumed_epoch_counts_from_there(tmp_path, options):
    train(tmp_path, options, [4])
    notes = Notes(log_steps=1)
    train(tmp_path, options, [6], notes)
    assert notes.steps == [(1, 1), (1, 2)]
    assert notes.epochs == [(1, 2, 2)]


def test_checkpoints_of_epochs_have_second_names_that_stay(tmp_path, options):
    names = epochs.EpochCheckpoints(
        STEPS_PER_EPOCH,
        str(tmp_path / "named" / "ssd-{epoch}_{steps_per_epoch}.ckpt"),
        every_epochs=2,
        also_epochs=[7],
        max_to_keep=2,
    )
    train(tmp_path / "run", options, [25], names, keep_checkpoint_max=1)
    found = {path.name for path in (tmp_path / "named").glob("*.index")}
    assert found == {f"ssd-{epoch}_3.ckpt.index" for epoch in (6, 7, 8)}
    assert len(list((tmp_path / "named").iterdir())) == 6
    reader = checkpoints.Reader(str(tmp_path / "named" / "ssd-6_3.ckpt"))
    assert checkpoints.global_step(reader) == 18


def test_another_run_goes_on_from_a_checkpoint(tmp_path, options):
    train(tmp_path / "whole", options, [3, 7])
    names = epochs.EpochCheckpoints(
        STEPS_PER_EPOCH, str(tmp_path / "epoch_{last_epoch}")
    )
    train(tmp_path / "first", options, [3], names)
    path, there = str(tmp_path / "epoch_0"), str(tmp_path / "second")
    jobs.adopt_checkpoint(path, there)
    train(there, options, [7])
    # The same command once more goes on with the run.
    jobs.adopt_checkpoint(path, there)
    assert checkpoints.latest_checkpoint(there) == f"{there}/model.ckpt-7"
    with pytest.raises(errors.ConfigError, match="is of step 7, but .* step 3"):
        jobs.adopt_checkpoint(there, str(tmp_path / "first"))
    ours = checkpoints.Reader(there)
    whole = checkpoints.Reader(str(tmp_path / "whole"))
    for name in whole.shapes:
        np.testing.assert_array_equal(ours.read(name), whole.read(name))


def test_a_new_run_begins_at_a_later_step(tmp_path, options):
    notes, start = Notes(log_steps=1), epochs.StartAtStep(4)
    train(tmp_path, options, [5, 7], notes, start)
    assert notes.steps == [(1, 1), (1, 2), (2, 0)]
    # Not again, where it has begun.
    train(tmp_path, options, [8], notes, start)
    assert notes.steps[3:] == [(2, 1)]


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(errors.CheckpointError, match="no such checkpoint"):
        jobs.adopt_checkpoint(str(tmp_path / "x"), str(tmp_path / "run"))
    with pytest.raises(errors.CheckpointError, match="no such checkpoint"):
        epochs.name_checkpoint(str(tmp_path / "x"), str(tmp_path / "y"))


def test_steps_are_timed_after_the_warm_up(tmp_path, options):
    times, none = step_times.StepTimes(2), step_times.StepTimes(9)
    train(tmp_path, options, [5], times, none)
    assert times.speed.num_images == 3 * 2
    assert times.speed.least <= times.speed.median <= times.speed.greatest
    assert none.speed is None


def test_speed_is_images_over_seconds():
    speed = step_times.speed_of(6, [1.0, 2.0, 3.0])
    assert speed == (18, 6.0, 3.0, 3.0, 2.0, 6.0)


def test_overrides_are_read_as_they_were_meant():
    text = jobs.overrides_text(
        {
            "a.path": 'x,y="z" [1]',
            "a.flag": True,
            "a.rate": 2.6e-3,
            "a.none": None,
            "a.name": "ä",
            "a.list": [1, 2.5],
            "a.parts": [{"x": 'y, "z"', "is_on": False}, {}],
        }
    )
    found = model_hparams.create_hparams(text)
    assert list(found) == [
        *("a.path", "a.flag", "a.rate", "a.name", "a.list", "a.parts")
    ]
    assert found["a.list"] == "[1, 2.5]"
    assert found["a.parts"] == r'[{ x: "y, \"z\"" is_on: false }, {  }]'
    assert re.search(r"a\.rate=0\.0026,", text)


def test_overrides_of_the_user_win():
    text = jobs.with_overrides(
        {"a.b": 1, "a.c": None, "a.d": "x,y"}, "a.d=z,batch_size=3"
    )
    assert text == "a.b=1,a.d=z,batch_size=3"
    assert jobs.with_overrides({}, None) == ""
    with pytest.raises(errors.ConfigError, match="--hparams_overrides: exp"):
        jobs.with_overrides({}, "a")
