"""Tests of each field's way from the config to the update."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import optimizer_builder
from object_detection.core import errors
from object_detection.protos import optimizer_pb2
from object_detection.training import optimizers

# Stands in the texts below as RATE.
RATE = "learning_rate { constant_learning_rate { learning_rate: 0.5 } }"


def build(text):
    return optimizer_builder.build(
        text_format.Parse(text.replace("RATE", RATE), optimizer_pb2.Optimizer())
    )


def build_rate(text):
    rate = build(
        f"momentum_optimizer {{ learning_rate {{ {text} }} }} "
        "use_moving_average: false"
    ).learning_rate
    return lambda *steps: np.asarray(rate(np.array(steps)))


def updated(text, num_updates=2):
    """Returns weights [2., -3.] after updates by gradient [1., 4.]."""
    variable = keras.Variable(np.array([2.0, -3.0], "float32"))
    built = build(text)
    optimizer = built.make_optimizer({"w": variable})
    for step in range(num_updates):
        optimizer.apply(
            {"w": tf.constant([1.0, 4.0])}, built.learning_rate(step)
        )
    slots = optimizer.checkpoint_variables()
    return np.array(variable.value), {n: v.numpy() for n, v in slots.items()}


def test_momentum():
    weights, slots = updated(
        "momentum_optimizer { RATE momentum_optimizer_value: 0.25 } "
        "use_moving_average: false"
    )
    np.testing.assert_allclose(weights, [2 - 0.5 * 2.25, -3 - 0.5 * 9])
    assert list(slots) == ["w/Momentum"]


def test_rms_prop():
    weights, slots = updated(
        "rms_prop_optimizer { RATE momentum_optimizer_value: 0.25 decay: 0.75 "
        "epsilon: 0.5 } use_moving_average: false",
        num_updates=1,
    )
    mean_squares = 0.75 + 0.25 * np.array([1.0, 16.0])
    np.testing.assert_allclose(
        weights,
        [2, -3] - 0.5 * np.array([1, 4]) / np.sqrt(mean_squares + 0.5),
        rtol=1e-6,
    )
    assert sorted(slots) == ["w/RMSProp", "w/RMSProp_1"]


def test_adam_moves_by_the_learning_rate_at_first():
    weights, slots = updated(
        "adam_optimizer { RATE } use_moving_average: false",
        num_updates=1,
    )
    np.testing.assert_allclose(weights, [1.5, -3.5], rtol=1e-4)
    assert sorted(slots) == [
        *("beta1_power", "beta2_power", "w/Adam", "w/Adam_1")
    ]


def test_moving_averages_are_on_by_default_as_in_the_original():
    built = build("momentum_optimizer { RATE }")
    assert isinstance(built.make_optimizer({}), optimizers.MovingAverage)


def test_moving_average_decay():
    weights, slots = updated(
        "momentum_optimizer { RATE } moving_average_decay: 0.75",
        num_updates=1,
    )
    np.testing.assert_allclose(weights, [1.5, -5.0])
    np.testing.assert_allclose(
        slots["w/ExponentialMovingAverage"], [1.875, -3.5]
    )


def test_exponential_decay():
    rate = build_rate(
        """exponential_decay_learning_rate {
          initial_learning_rate: 0.5 decay_steps: 10 decay_factor: 0.5
          staircase: false burnin_learning_rate: 0.125 burnin_steps: 3
          min_learning_rate: 0.2 }"""
    )
    np.testing.assert_allclose(
        rate(0, 2, 3, 13, 100), [0.2, 0.2, 0.5, 0.25, 0.2], rtol=1e-6
    )


def test_manual_steps():
    rate = build_rate(
        """manual_step_learning_rate { initial_learning_rate: 0.1
          schedule { step: 4 learning_rate: 0.5 }
          schedule { step: 9 learning_rate: 0.2 } warmup: true }"""
    )
    np.testing.assert_allclose(
        rate(0, 2, 4, 8, 9), [0.1, 0.3, 0.5, 0.5, 0.2], rtol=1e-6
    )


def test_cosine_decay():
    rate = build_rate(
        """cosine_decay_learning_rate { learning_rate_base: 0.5
          total_steps: 30 warmup_learning_rate: 0.1 warmup_steps: 8
          hold_base_rate_steps: 2 }"""
    )
    np.testing.assert_allclose(
        rate(0, 4, 9, 20, 30, 31), [0.1, 0.3, 0.5, 0.25, 0, 0], atol=1e-7
    )


def test_constant_has_the_originals_default():
    assert build_rate("constant_learning_rate {}")(7) == pytest.approx([0.002])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "train_config.optimizer: expected"),
        ("momentum_optimizer {}", "momentum_optimizer.learning_rate"),
        (
            "momentum_optimizer { RATE momentum_optimizer_value: 2 }",
            "momentum_optimizer.momentum_optimizer_value: .* got 2",
        ),
        (
            "adam_optimizer { RATE } moving_average_decay: -1",
            "train_config.optimizer.moving_average_decay: .* got -1",
        ),
        (
            """adam_optimizer { learning_rate { manual_step_learning_rate {
              } } }""",
            "rate.manual_step_learning_rate.schedule: .* got none",
        ),
        (
            """adam_optimizer { learning_rate { cosine_decay_learning_rate {
              total_steps: 5 warmup_steps: 9 } } }""",
            "cosine_decay_learning_rate.warmup_steps: .* 5, got 9",
        ),
    ],
)
def test_what_cannot_work_names_its_field(text, message):
    with pytest.raises(errors.ConfigError, match=message):
        build(text)
