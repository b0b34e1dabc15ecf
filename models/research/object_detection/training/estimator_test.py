"""Tests of training in a directory: resuming, stopping, what is written."""

import functools
import glob
import os
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.training import (
    checkpoints,
    learning_schedules,
    model_dir_lock,
    optimizers,
    signals,
    tiny_detector,
)
from object_detection.training.estimator import Estimator
from object_detection.training.options import FineTune, TrainOptions
from object_detection.training.training_loop import RunConfig


def make_options(**settings):
    return TrainOptions(
        make_optimizer=lambda variables: optimizers.MovingAverage(
            optimizers.Momentum(variables, momentum=0.9), variables, decay=0.9
        ),
        learning_rate=functools.partial(
            learning_schedules.cosine_decay_with_warmup,
            learning_rate_base=0.05,
            total_steps=30,
            warmup_steps=4,
        ),
        **settings,
    )


def make_estimator(model_dir, seed=0, **config):
    return Estimator(
        tiny_detector.TinyDetector(seed),
        RunConfig(str(model_dir), **config),
        tiny_detector.groundtruth_from_labels,
    )


def train(model_dir, max_steps, seed=0, options=None, **config):
    estimator = make_estimator(model_dir, seed, **config)
    step = estimator.train(
        tiny_detector.input_fn_with(), options or make_options(), max_steps
    )
    assert step == max_steps
    return estimator


def tensors(model_dir, step):
    reader = checkpoints.Reader(os.path.join(model_dir, f"model.ckpt-{step}"))
    return {name: reader.read(name) for name in reader.shapes}


def steps_in(model_dir):
    return [
        checkpoints.step_of(p) for p in checkpoints.checkpoints_in(model_dir)
    ]


def scalars(model_dir):
    events = event_accumulator.EventAccumulator(
        os.path.join(model_dir, "train")
    )
    events.Reload()
    return {
        tag: {
            event.step: float(tf.make_ndarray(event.tensor_proto))
            for event in events.Tensors(tag)
        }
        for tag in events.Tags()["tensors"]
    }


def test_a_stopped_run_goes_on_as_if_never_stopped(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, 12)
    train(parts, 5)
    # Other first weights, which must not matter.
    train(parts, 9, seed=3)
    train(parts, 12, seed=4)

    expected, found = tensors(whole, 12), tensors(parts, 12)
    assert sorted(found) == sorted(expected)
    assert "BoxPredictor/weights/Momentum" in found
    assert "BoxPredictor/weights/ExponentialMovingAverage" in found
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_one_estimator_trains_in_rounds(tmp_path):
    train(tmp_path / "whole", 9)
    estimator = make_estimator(tmp_path / "rounds")
    options, input_fn = make_options(), tiny_detector.input_fn_with()
    for max_steps in (4, 4, 9):
        assert estimator.train(input_fn, options, max_steps) == max_steps
    expected = tensors(tmp_path / "whole", 9)
    for name, value in tensors(tmp_path / "rounds", 9).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_checkpoints_are_at_the_start_at_intervals_and_at_the_end(tmp_path):
    train(tmp_path, 8, save_checkpoints_steps=3, save_checkpoints_secs=None)
    assert steps_in(tmp_path) == [0, 3, 6, 8]


def test_a_run_past_its_end_changes_nothing(tmp_path):
    train(tmp_path, 6)
    before = tensors(tmp_path, 6)
    assert (
        make_estimator(tmp_path, seed=8).train(
            tiny_detector.input_fn_with(), make_options(), 5
        )
        == 6
    )
    assert steps_in(tmp_path) == [0, 6]
    np.testing.assert_equal(tensors(tmp_path, 6), before)


def test_an_input_that_ends_ends_the_training(tmp_path):
    step = make_estimator(tmp_path).train(
        tiny_detector.input_fn_with(end_step=4), make_options(), 10
    )
    assert step == 4
    assert steps_in(tmp_path) == [0, 4]


def test_what_was_trained_before_a_bad_record_is_saved(tmp_path):
    def input_fn(start_step):
        yield from tiny_detector.input_fn_with(end_step=5)(start_step)
        raise tf.errors.DataLossError(None, None, "truncated record")

    with pytest.raises(tf.errors.DataLossError):
        make_estimator(tmp_path).train(input_fn, make_options(), 10)
    assert steps_in(tmp_path) == [0, 5]
    train(tmp_path / "whole", 5)
    expected = tensors(tmp_path / "whole", 5)
    np.testing.assert_equal(tensors(tmp_path, 5), expected)


def test_boxes_beyond_the_limit_are_counted(tmp_path, caplog):
    def input_fn(start_step):
        batches = tiny_detector.input_fn_with(end_step=4)(start_step)
        for num_truncated, (features, labels) in zip(
            [0, 3, 1, 5], batches, strict=True
        ):
            counts = {"num_truncated_boxes": tf.constant([num_truncated, 0])}
            yield features, labels | counts

    with caplog.at_level("WARNING"):
        make_estimator(tmp_path).train(input_fn, make_options(), 4)
    lines = [r.getMessage() for r in caplog.records if "boxes" in r.msg]
    assert [line.split()[0] for line in lines] == ["3", "4", "9"]


def test_a_stop_saves(tmp_path):
    stop = signals.StopRequest()

    def input_fn(start_step):
        for number, batch in enumerate(
            tiny_detector.input_fn_with()(start_step), start_step + 1
        ):
            if number == 6:
                stop.signum = 15
            yield batch

    step = make_estimator(tmp_path).train(input_fn, make_options(), 50, stop)
    assert step == 6
    assert steps_in(tmp_path) == [0, 6]
    with pytest.raises(SystemExit):
        stop.exit_if_requested()


def test_a_nan_names_its_images_and_leaves_the_last_good_one(tmp_path):
    with pytest.raises(errors.NumericsError, match="step 5.*'s4-0', 's4-1'"):
        make_estimator(
            tmp_path, save_checkpoints_steps=2, save_checkpoints_secs=None
        ).train(tiny_detector.input_fn_with(bad_step=5), make_options(), 10)
    assert steps_in(tmp_path) == [0, 2, 4]
    assert all(np.isfinite(v).all() for v in tensors(tmp_path, 4).values())


def test_a_nan_in_the_last_step_is_not_saved(tmp_path):
    with pytest.raises(errors.NumericsError, match="step 3"):
        make_estimator(tmp_path).train(
            tiny_detector.input_fn_with(bad_step=3), make_options(), 3
        )
    assert steps_in(tmp_path) == [0]


@pytest.mark.parametrize("summary_dir", [None, "elsewhere"])
def test_tensorboard_shows_losses_rate_speed_and_assignment(
    tmp_path, summary_dir
):
    directory = str(tmp_path / summary_dir) if summary_dir else None
    train(tmp_path, 6, save_summary_steps=2, summary_dir=directory)
    assert (tmp_path / "train").exists() == (directory is None)
    curves = scalars(directory or tmp_path)
    for tag in (
        *(LossFields.total_loss, LossFields.regularization_loss),
        "learning_rate",
        "images/s",
        "global_step/sec",
        "global_norm/gradient_norm",
        "TargetAssignment/AvgNumGroundtruthBoxes",
        "Loss/NumBoxes",
    ):
        assert sorted(curves[tag]) == [2, 4, 6], tag
    # The rate of an update is that of the number of updates before it.
    assert curves["learning_rate"][4] == pytest.approx(0.05 * 3 / 4)


def test_lines_of_progress_have_what_scripts_look_for(tmp_path, capfd):
    train(tmp_path, 6, log_steps=3)
    lines = capfd.readouterr().err.splitlines()
    line = next(line for line in lines if line.startswith("step 3/6"))
    for part in ("loss ", "localization", "lr 0.025", "images/s"):
        assert part in line
    assert re.search(r"eta \d+:\d\d:\d\d", line)
    assert float(line.split("global_step/sec: ")[1]) > 0


def test_a_label_stands_before_the_progress(tmp_path, capfd):
    train(tmp_path, 6, log_steps=3, progress_label="part {}:".format)
    lines = capfd.readouterr().err.splitlines()
    found = [line for line in lines if "loss" in line]
    starts = ("part 1:  step 1/6", "part 3:  step 3/6", "part 6:  step 6/6")
    assert len(found) == 3
    assert all(map(str.startswith, found, starts))


def test_fine_tuning_starts_from_the_other_weights_once(tmp_path):
    train(tmp_path / "first", 4)
    options = make_options(
        fine_tune=FineTune(
            str(tmp_path / "first"), "detection", load_all_variables=True
        )
    )
    train(tmp_path / "second", 3, seed=6, options=options)
    start = tensors(tmp_path / "second", 0)
    for name, value in tensors(tmp_path / "first", 4).items():
        if name in make_estimator(tmp_path).model.checkpoint_variables():
            np.testing.assert_array_equal(start[name], value, err_msg=name)
    assert start["global_step"] == 0
    # Resuming does not start again from them.
    train(tmp_path / "second", 5, seed=7, options=options)
    assert steps_in(tmp_path / "second") == [0, 3, 5]


def test_averages_are_measured_and_the_weights_come_back(tmp_path):
    estimator = train(tmp_path, 6)
    last = tensors(tmp_path, 6)
    name = "BoxPredictor/biases"
    variable = estimator.model.checkpoint_variables()[name]
    with estimator._weights(None, True) as step:
        assert step == 6
        np.testing.assert_array_equal(
            variable.value, last[f"{name}/ExponentialMovingAverage"]
        )
    np.testing.assert_array_equal(variable.value, last[name])


def test_averages_that_training_does_not_keep_are_not_measured(tmp_path):
    options = TrainOptions(
        make_optimizer=optimizers.Adam,
        learning_rate=functools.partial(
            learning_schedules.constant, learning_rate=0.01
        ),
    )
    estimator = train(tmp_path, 1, options=options)
    with pytest.raises(errors.ConfigError, match="use_moving_average: false"):
        estimator.evaluate(
            tiny_detector.input_fn_with(), [], [], use_moving_averages=True
        )


def test_another_models_directory_is_refused(tmp_path):
    train(tmp_path, 2)
    estimator = Estimator(
        tiny_detector.TinyDetector(depth=5),
        RunConfig(str(tmp_path)),
        tiny_detector.groundtruth_from_labels,
    )
    with pytest.raises(errors.CheckpointError, match=r"\[48, 4\].*\[48, 5\]"):
        estimator.train(tiny_detector.input_fn_with(), make_options(), 9)


def test_another_optimizer_starts_its_slots_anew(tmp_path):
    train(tmp_path, 3)
    other = TrainOptions(
        make_optimizer=optimizers.Adam,
        learning_rate=functools.partial(
            learning_schedules.constant, learning_rate=0.01
        ),
    )
    train(tmp_path, 5, options=other)
    assert "BoxPredictor/weights/Adam_1" in tensors(tmp_path, 5)


def test_the_lock_is_for_one(tmp_path):
    model_dir = str(tmp_path / "new" / "run")
    with model_dir_lock.locked(model_dir):
        with pytest.raises(errors.ConfigError, match=str(os.getpid())):
            with model_dir_lock.locked(model_dir):
                pass
    with model_dir_lock.locked(model_dir):
        pass
    assert glob.glob(f"{model_dir}/*") == []


def test_a_file_is_no_directory(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(errors.ConfigError, match="expected a directory"):
        with model_dir_lock.locked(str(path)):
            pass
