"""Tests of what looks on while a model trains."""

import functools
import pathlib

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.training import (
    learning_schedules,
    listeners,
    optimizers,
    tiny_detector,
)
from object_detection.training.estimator import Estimator
from object_detection.training.options import TrainOptions
from object_detection.training.training_loop import RunConfig

NUM_STEPS = 6


class Recorder(listeners.TrainingListener):
    """Notes the calls in their order."""

    def __init__(self):
        self.calls = []
        self.losses = {}

    def begin(self, state):
        self.calls.append(("begin", int(state.global_step.value)))

    def before_step(self, step, features, groundtruth):
        self.calls.append(("before", step))

    def after_step(self, current):
        self.calls.append(("after", current.step))
        self.losses[current.step] = current.read()[0]

    def after_save(self, step, path):
        self.calls.append(("save", step, pathlib.Path(path).name))

    def end(self):
        self.calls.append(("end",))


def train(model_dir, *looking_on, **input_settings):
    estimator = Estimator(
        tiny_detector.TinyDetector(),
        RunConfig(
            str(model_dir),
            save_checkpoints_steps=4,
            listeners=tuple(looking_on),
        ),
        tiny_detector.groundtruth_from_labels,
    )
    options = TrainOptions(
        make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
        learning_rate=functools.partial(
            learning_schedules.constant, learning_rate=0.1
        ),
    )
    estimator.train(
        tiny_detector.input_fn_with(**input_settings), options, NUM_STEPS
    )
    return estimator


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    recorder = Recorder()
    return train(tmp_path_factory.mktemp("run"), recorder), recorder


def weights_of(estimator):
    variables = estimator.model.checkpoint_variables()
    return {name: np.asarray(v.value) for name, v in variables.items()}


def test_listeners_are_told_of_everything_in_order(undisturbed):
    _, recorder = undisturbed
    steps = [
        call
        for step in range(1, NUM_STEPS + 1)
        for call in (("before", step), ("after", step))
    ]
    steps.insert(8, ("save", 4, "model.ckpt-4"))
    assert recorder.calls == [
        ("begin", 0),
        ("save", 0, "model.ckpt-0"),
        *steps,
        ("end",),
        ("save", NUM_STEPS, f"model.ckpt-{NUM_STEPS}"),
    ]
    assert len(recorder.losses) == NUM_STEPS


def test_a_dump_holds_what_the_step_computed_and_changes_nothing(
    undisturbed, tmp_path
):
    expected, recorder = undisturbed
    dump = listeners.TensorDump(str(tmp_path / "dump"), at_step=3)
    estimator = train(tmp_path / "run", dump)
    (path,) = (tmp_path / "dump").iterdir()
    assert path.name == "step-3-rank-0.npz"
    with np.load(path) as arrays:
        losses = {
            name.removeprefix("losses/"): value
            for name, value in arrays.items()
            if name.startswith("losses/")
        }
        assert losses == pytest.approx(recorder.losses[3], rel=1e-6)
        velocity = "BoxPredictor/biases/Momentum"
        gradient = arrays["gradients/BoxPredictor/biases"]
        assert arrays["inputs/image"].shape == (2, 4, 4, 3)
        assert arrays["predictions/boxes"].shape == (2, 4)
        # The step after it, by the rule of momentum.
        step_4 = tmp_path / "four"
        later = listeners.TensorDump(str(step_4), at_step=4)
        train(tmp_path / "again", later)
        with np.load(step_4 / "step-4-rank-0.npz") as after:
            np.testing.assert_allclose(
                after[f"weights/{velocity}"],
                0.9 * arrays[f"weights/{velocity}"] + gradient,
                rtol=1e-5,
            )
    for name, value in weights_of(expected).items():
        np.testing.assert_array_equal(weights_of(estimator)[name], value)


def test_the_first_overflow_is_dumped_and_its_first_tensor_named(
    tmp_path, caplog
):
    caplog.set_level("INFO")
    dump = listeners.TensorDump(str(tmp_path / "dump"), at_overflow=True)
    with pytest.raises(errors.NumericsError, match="step 5"):
        train(tmp_path / "run", dump, bad_step=5)
    (path,) = (tmp_path / "dump").iterdir()
    assert path.name == "step-5-rank-0.npz"
    assert "the first that is not finite is inputs/image, 96 of" in caplog.text
    with np.load(path) as arrays:
        assert np.isnan(arrays[f"losses/{LossFields.total_loss}"])
        assert np.isfinite(arrays["weights/BoxPredictor/weights"]).all()


def test_describe_first_not_finite():
    arrays = {
        "names": np.array(["a"]),
        "fine": np.ones(3),
        "bad": np.array([1.0, np.inf, np.nan]),
        "worse": np.array([np.nan]),
    }
    assert listeners.describe_first_not_finite(arrays) == (
        "the first that is not finite is bad, 2 of its 3 values"
    )
    del arrays["bad"], arrays["worse"]
    assert listeners.describe_first_not_finite(arrays) == "all are finite"


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    dump = listeners.TensorDump(str(tmp_path / "file" / "dump"), at_step=2)
    with pytest.raises(errors.ResourceError, match="step-2-rank-0.npz: cannot"):
        train(tmp_path / "run", dump)


def test_a_profile_is_written_for_its_steps(tmp_path):
    profiler = listeners.Profiler(str(tmp_path / "log"), 2, 3)
    recorder = Recorder()
    train(tmp_path / "run", profiler, recorder)
    traces = list((tmp_path / "log").glob("plugins/profile/*/*.xplane.pb"))
    assert len(traces) == 1
    assert traces[0].stat().st_size > 0


@pytest.mark.parametrize("steps", [(0, 3), (4, 3)])
def test_a_profile_of_no_steps_is_refused(steps):
    with pytest.raises(errors.ConfigError, match=r"--profile_steps: expected"):
        listeners.Profiler("log", *steps)
