"""Tests that training goes on exactly with the slots of a checkpoint."""

import functools

import numpy as np
import pytest

from object_detection.core.standard_fields import InputDataFields
from object_detection.training import (
    checkpoints,
    learning_schedules,
    optimizers,
    tiny_detector,
    trainer,
)
from object_detection.training.options import TrainOptions

WEIGHTS = "FeatureExtractor/net/weights"
KINDS = {
    "momentum": functools.partial(optimizers.Momentum, momentum=0.9),
    "rms_prop": functools.partial(
        optimizers.RMSProp, momentum=0.8, decay=0.7, epsilon=0.5
    ),
    "adam": optimizers.Adam,
}
SLOTS = {
    "momentum": {f"{WEIGHTS}/Momentum"},
    "rms_prop": {f"{WEIGHTS}/RMSProp", f"{WEIGHTS}/RMSProp_1"},
    "adam": {
        f"{WEIGHTS}/Adam",
        f"{WEIGHTS}/Adam_1",
        "beta1_power",
        "beta2_power",
    },
}


def averaged(make_optimizer):
    return lambda variables: optimizers.MovingAverage(
        make_optimizer(variables), variables, decay=0.75
    )


def make_state(make_optimizer, seed=0, **settings):
    return trainer.TrainState(
        tiny_detector.TinyDetector(seed),
        TrainOptions(
            make_optimizer=make_optimizer,
            learning_rate=functools.partial(
                learning_schedules.manual_stepping,
                boundaries=[2, 4],
                rates=[0.02, 0.1, 0.004],
                warmup=True,
            ),
            **settings,
        ),
    )


def train(state, num_steps):
    step = trainer.make_train_step(state)
    start = int(state.global_step.value)
    dataset = tiny_detector.input_fn_with()(start)
    for features, labels in dataset.take(num_steps):
        step(
            features[InputDataFields.image],
            features[InputDataFields.true_image_shape],
            tiny_detector.groundtruth_from_labels(labels),
        )


def arrays(state):
    return {
        n: np.array(v.value) for n, v in state.checkpoint_variables().items()
    }


def saved(state, directory):
    path = str(directory / f"model.ckpt-{int(state.global_step.value)}")
    checkpoints.save(path, state.checkpoint_variables())
    return path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_resumed_run_equals_an_uninterrupted_one(kind, tmp_path):
    whole = make_state(averaged(KINDS[kind]))
    train(whole, 5)
    first = make_state(averaged(KINDS[kind]))
    train(first, 3)
    path = saved(first, tmp_path)
    names = set(checkpoints.Reader(path).shapes)
    assert names >= SLOTS[kind] | {f"{WEIGHTS}/ExponentialMovingAverage"}

    second = make_state(averaged(KINDS[kind]), seed=5)
    assert second.restore(path) == []
    train(second, 2)

    expected = arrays(whole)
    for name, value in arrays(second).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_averages_that_a_checkpoint_lacks_start_at_its_weights(tmp_path):
    first = make_state(KINDS["momentum"])
    train(first, 2)
    path = saved(first, tmp_path)

    second = make_state(averaged(KINDS["momentum"]), seed=5)
    missing = second.restore(path)

    assert f"{WEIGHTS}/ExponentialMovingAverage" in missing
    found, expected = arrays(second), arrays(first)
    for name in missing:
        variable = name.removesuffix("/ExponentialMovingAverage")
        np.testing.assert_array_equal(found[name], expected[variable])


def test_biases_are_multiplied_before_the_norm_is_limited():
    """One step from zero velocity moves by the rate times the gradient."""
    biases = "BoxPredictor/biases"
    moved = {}
    for factor in (1.0, 3.0):
        for clip_norm in (0.0, 0.05):
            state = make_state(
                KINDS["momentum"],
                bias_gradient_factor=factor,
                clip_norm=clip_norm,
            )
            before = arrays(state)
            train(state, 1)
            after = arrays(state)
            moved[factor, clip_norm] = {
                name: after[name] - before[name]
                for name in state.trained_variables
            }
    free, multiplied = moved[1.0, 0.0], moved[3.0, 0.0]
    np.testing.assert_allclose(multiplied[biases], 3 * free[biases], rtol=1e-4)
    np.testing.assert_array_equal(multiplied[WEIGHTS], free[WEIGHTS])
    for factor in (1.0, 3.0):
        squares = sum(np.sum(m**2) for m in moved[factor, 0.05].values())
        # The learning rate of step 0.
        assert squares**0.5 == pytest.approx(0.02 * 0.05, rel=1e-3)
