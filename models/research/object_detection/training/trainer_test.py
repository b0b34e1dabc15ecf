"""Tests of one training step: what it updates, and what stops it."""

import functools
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields, LossFields
from object_detection.training import (
    learning_schedules,
    optimizers,
    step_in_flight,
    tiny_detector,
    trainer,
)
from object_detection.training.options import LossScaleOptions, TrainOptions

WEIGHTS = "FeatureExtractor/net/weights"
BIASES = "BoxPredictor/biases"
MOVING_MEAN = "FeatureExtractor/net/BatchNorm/moving_mean"


def make_state(model=None, learning_rate=0.05, **settings):
    return trainer.TrainState(
        model or tiny_detector.TinyDetector(),
        TrainOptions(
            make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
            learning_rate=functools.partial(
                learning_schedules.constant, learning_rate=learning_rate
            ),
            **settings,
        ),
    )


def make_steps(state, num_steps=1, **input_settings):
    """Returns the result of each step and how far each variable moved."""
    variables = state.model.checkpoint_variables()
    before = {n: np.array(v.value) for n, v in variables.items()}
    step = trainer.make_train_step(state)
    dataset = tiny_detector.input_fn_with(**input_settings)()
    results = [
        step(
            features[InputDataFields.image],
            features[InputDataFields.true_image_shape],
            tiny_detector.groundtruth_from_labels(labels),
        )
        for features, labels in dataset.take(num_steps)
    ]
    moved = {n: np.array(v.value) - before[n] for n, v in variables.items()}
    return results, moved


def moved_names(moved):
    return {name for name, change in moved.items() if change.any()}


def test_a_step_descends_along_the_gradient():
    model = tiny_detector.TinyDetector()
    features, labels = next(iter(tiny_detector.input_fn_with()()))
    variable = model.checkpoint_variables()[BIASES]
    with tf.GradientTape() as tape:
        predictions = model.predict(
            model.normalize(features[InputDataFields.image]), None
        )
        losses = model.loss(
            predictions, None, tiny_detector.groundtruth_from_labels(labels)
        )
        total = sum(losses.values()) + model.regularization_loss()
    gradient = tape.gradient(total, variable.value)

    state = make_state(model)
    (result,), moved = make_steps(state)

    np.testing.assert_allclose(moved[BIASES], -0.05 * gradient, rtol=1e-4)
    assert float(result.losses[LossFields.total_loss]) == pytest.approx(
        float(total), rel=1e-6
    )
    assert float(result.learning_rate) == pytest.approx(0.05)
    assert int(state.global_step.value) == 1
    assert bool(result.is_applied) and not bool(result.is_fatal)


def test_regularization_is_part_of_the_loss_unless_switched_off():
    (with_it,), moved = make_steps(make_state())
    (without,), moved_without = make_steps(
        make_state(add_regularization_loss=False)
    )
    assert LossFields.regularization_loss in with_it.losses
    assert LossFields.regularization_loss not in without.losses
    assert (moved[WEIGHTS] != moved_without[WEIGHTS]).any()
    np.testing.assert_array_equal(moved[BIASES], moved_without[BIASES])


def test_clipping_scales_all_gradients_by_one_factor():
    (free,), moved = make_steps(make_state())
    norm = float(free.gradient_norm)
    (clipped,), moved_clipped = make_steps(make_state(clip_norm=norm / 4))
    (loose,), moved_loose = make_steps(make_state(clip_norm=norm * 4))

    assert float(clipped.gradient_norm) == pytest.approx(norm, rel=1e-6)
    for name in (WEIGHTS, BIASES):
        np.testing.assert_allclose(
            moved_clipped[name], moved[name] / 4, rtol=2e-3, atol=1e-7
        )
        np.testing.assert_array_equal(moved_loose[name], moved[name])
    assert float(loose.gradient_norm) == pytest.approx(norm)


@pytest.mark.parametrize(
    ("settings", "trained"),
    [
        ({}, {"net/weights", "beta", "BoxPredictor/weights", "biases"}),
        (
            {"freeze_patterns": ("^FeatureExtractor/",)},
            {"BoxPredictor/weights", "biases"},
        ),
        ({"update_patterns": ("beta$", "biases")}, {"beta", "biases"}),
        (
            {"update_patterns": ("BoxPredictor",), "freeze_patterns": ("bia",)},
            {"BoxPredictor/weights"},
        ),
    ],
)
def test_chosen_variables_train_and_statistics_always_move(settings, trained):
    state = make_state(**settings)
    _, moved = make_steps(state)
    names = moved_names(moved)
    assert MOVING_MEAN in names
    assert {
        part
        for part in ("net/weights", "beta", "BoxPredictor/weights", "biases")
        if any(name.endswith(part) for name in names)
    } == trained
    slots = [n for n in state.checkpoint_variables() if n.endswith("Momentum")]
    assert len(slots) == len(trained)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze_patterns": (".",)}, "no variable is left to train"),
        ({"update_patterns": ("absent",)}, "update_trainable_variables"),
        ({"freeze_patterns": ("(",)}, "no regular expression"),
    ],
)
def test_refuses_a_choice_that_leaves_nothing(settings, message):
    with pytest.raises(errors.ConfigError, match=message):
        make_state(**settings)


def test_a_nan_stops_before_the_weights_change():
    state = make_state()
    (good, bad), moved = make_steps(state, 2, bad_step=2)
    (_,), moved_by_one = make_steps(make_state(), 1)

    assert not bool(good.is_fatal)
    assert bool(bad.is_fatal) and not bool(bad.is_applied)
    for name in (WEIGHTS, BIASES):
        np.testing.assert_array_equal(moved[name], moved_by_one[name])
    with pytest.raises(errors.NumericsError) as caught:
        trainer.raise_numerics_error(2, bad, ["a.jpg", "b\n.jpg"])
    for part in ("step 2", "Loss/localization_loss is nan", "0.05", "'a.jpg'"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_loss_scale_changes_no_update():
    _, moved = make_steps(make_state(), 3)
    _, moved_scaled = make_steps(make_state(use_loss_scale=True), 3)
    for name in (WEIGHTS, BIASES):
        np.testing.assert_allclose(
            moved_scaled[name], moved[name], rtol=1e-4, atol=1e-7
        )


class Overflowing(tiny_detector.TinyDetector):
    """The loss is finite and its gradient is not."""

    def regularization_loss(self):
        biases = self.checkpoint_variables()[BIASES]
        return keras.ops.sum(keras.ops.sqrt(biases * 0.0))


def test_an_overflow_is_skipped_until_the_scale_is_at_its_floor():
    state = make_state(Overflowing(), use_loss_scale=True)
    results, moved = make_steps(state, 17)

    assert BIASES not in moved_names(moved)
    assert [bool(r.is_applied) for r in results] == [False] * 17
    # 2^15 halves 15 times before it is 1.
    assert [bool(r.is_fatal) for r in results] == [False] * 15 + [True] * 2
    with pytest.raises(errors.NumericsError, match="gradient norm"):
        trainer.raise_numerics_error(16, results[-1], ["a"])


def test_an_overflow_at_a_static_scale_is_skipped_and_said(caplog):
    scale = LossScaleOptions(1000.0, is_static=True)
    state = make_state(Overflowing(), use_loss_scale=True, loss_scale=scale)
    results, moved = make_steps(state, 17)

    assert BIASES not in moved_names(moved)
    assert [float(r.loss_scale) for r in results] == [1000.0] * 17
    assert [bool(r.is_fatal) for r in results] == [False] * 15 + [True] * 2
    with caplog.at_level(logging.WARNING):
        step_in_flight.StepInFlight(3, {}, {}, results[2]).finish()
        (good,), _ = make_steps(make_state(use_loss_scale=True))
        step_in_flight.StepInFlight(4, {}, {}, good).finish()
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("Step 3 made no update: ")
    assert message.endswith("loss scale of 1000")


def test_xla_computes_the_same():
    (plain,), moved = make_steps(make_state())
    (compiled,), moved_compiled = make_steps(make_state(jit_compile=True))
    assert float(compiled.gradient_norm) == pytest.approx(
        float(plain.gradient_norm), rel=1e-4
    )
    np.testing.assert_allclose(
        moved_compiled[WEIGHTS], moved[WEIGHTS], rtol=1e-3, atol=1e-7
    )


def test_bfloat16_keeps_variables_and_losses_in_float32():
    model = tiny_detector.TinyDetector(compute_dtype="bfloat16")
    (result,), moved = make_steps(make_state(model))
    (exact,), _ = make_steps(make_state())
    assert {str(m.dtype) for m in moved.values()} == {"float32"}
    assert all(v.dtype == tf.float32 for v in result.losses.values())
    total = float(result.losses[LossFields.total_loss])
    assert total == pytest.approx(
        float(exact.losses[LossFields.total_loss]), rel=0.05
    )


def test_gradient_norms_are_reported_when_asked():
    (result,), _ = make_steps(make_state(summarize_gradients=True))
    squares = sum(float(n) ** 2 for n in result.gradient_norms.values())
    assert squares**0.5 == pytest.approx(float(result.gradient_norm), rel=1e-5)
    (silent,), _ = make_steps(make_state())
    assert silent.gradient_norms == {}


class SharedHead(tiny_detector.TinyDetector):
    """Uses one head at five levels of one image, as a predictor does."""

    def predict(self, images, true_shapes, training=None):
        levels = [
            super(SharedHead, self).predict(images * scale, true_shapes)
            for scale in (1.0, 0.5, 2.0, 0.25, 3.0)
        ]
        return {"boxes": sum(level["boxes"] for level in levels)}


def test_gradients_of_a_shared_weight_are_added_in_one_order():
    # AddN of more than two takes them in the order in which buffers are free.
    state = make_state(SharedHead())
    _, moved = make_steps(state)
    assert BIASES in moved_names(moved)
    features, labels = next(iter(tiny_detector.input_fn_with()()))
    graph = (
        trainer.make_train_step(state)
        .get_concrete_function(
            features[InputDataFields.image],
            features[InputDataFields.true_image_shape],
            tiny_detector.groundtruth_from_labels(labels),
        )
        .graph
    )
    num_added = [
        len(operation.inputs)
        for operation in graph.get_operations()
        if operation.type == "AddN"
    ]
    assert len(num_added) >= 4
    assert max(num_added) == 2
    options = tf.config.optimizer.get_experimental_options()
    assert options["arithmetic_optimization"] is False


def test_parts_of_a_batch_are_as_many_processes():
    features, labels = next(iter(tiny_detector.input_fn_with(batch_size=6)()))
    batch = (
        features[InputDataFields.image],
        features[InputDataFields.true_image_shape],
        tiny_detector.groundtruth_from_labels(labels),
    )

    def update(rows, **settings):
        state = make_state(**settings)
        variables = state.model.checkpoint_variables()
        before = {n: np.array(v.value) for n, v in variables.items()}
        result = trainer.make_train_step(state)(
            *tf.nest.map_structure(
                lambda t: None if t is None else t[rows], batch
            )
        )
        moved = {n: np.array(v.value) - before[n] for n, v in variables.items()}
        return float(result.losses[LossFields.total_loss]), moved

    alone = [update(slice(i, i + 2)) for i in (0, 2, 4)]
    loss, moved = update(slice(None), num_parts=3)
    assert loss == pytest.approx(np.mean([one for one, _ in alone]), rel=1e-6)
    for name in (WEIGHTS, BIASES, MOVING_MEAN):
        parts = [one[name] for _, one in alone]
        assert not np.allclose(parts[0], parts[1], rtol=1e-2)
        np.testing.assert_allclose(
            moved[name], np.mean(parts, axis=0), rtol=1e-4, atol=1e-8
        )
