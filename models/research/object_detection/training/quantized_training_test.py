"""Tests of training, saving and measuring a detector that is quantized."""

import dataclasses
import functools
import logging
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import (
    containers,
    conv_blocks,
    naming,
    quantization,
)
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.core.standard_fields import LossFields
from object_detection.training import (
    checkpoints,
    fine_tune,
    learning_schedules,
    optimizers,
    tiny_detector,
    trainer,
)
from object_detection.training.options import FineTune, TrainOptions

DELAY = 3
SIZE_PX = (6, 10)
TRUE_SHAPES = tf.constant([[*SIZE_PX, 3]] * 2)
GROUNDTRUTH = containers.Groundtruth(
    boxes=tf.constant([[[0.1, 0.2, 0.6, 0.5]], [[0.3, 0.1, 0.9, 0.8]]]),
    classes=tf.ones([2, 1, 1]),
    weights=tf.ones([2, 1]),
    num_boxes=tf.ones([2], tf.int32),
)
HYPERPARAMS = hyperparams_lib.ConvHyperparams(
    keras.initializers.RandomNormal(stddev=0.3),
    activation="relu6",
    batch_norm=hyperparams_lib.BatchNormParams(decay=0.9, scale=True),
)
BACKBONE = "FeatureExtractor/net/weights"
BACKBONE_MAX = "FeatureExtractor/net/act_quant/max"


class SmallDetector(tiny_detector.TinyDetector):
    """Regresses a box from the mean over all places of a convolution."""

    def __init__(self, delay, seed=0, dtype="float32"):
        keras.utils.set_random_seed(seed)
        self._blocks = [
            conv_blocks.conv_block(
                "FeatureExtractor/net", 3, 5, 3, HYPERPARAMS, dtype=dtype
            ),
            conv_blocks.depthwise_block(
                "FeatureExtractor/deep", 5, 3, HYPERPARAMS, dtype=dtype
            ),
            conv_blocks.conv_block(
                "BoxPredictor",
                5,
                4,
                1,
                HYPERPARAMS.without_norm().linear(),
                dtype=dtype,
            ),
        ]
        if delay is not None:
            settings = quantization.Quantization(delay)
            quantization.enable(settings, *self._blocks)

    def checkpoint_variables(self):
        return naming.checkpoint_variables(*self._blocks)

    def predict(self, images, true_shapes, training=None):
        outputs = images
        for block in self._blocks:
            outputs = block(outputs, training=training)
        outputs = keras.ops.cast(outputs, "float32")
        boxes = keras.ops.mean(outputs, axis=(1, 2))
        return {"boxes": boxes, "outputs": outputs}

    def regularization_loss(self):
        return keras.ops.zeros(())


def images_of(step):
    random = np.random.default_rng(step)
    return tf.constant(random.uniform(0, 255, (2, *SIZE_PX, 3)), tf.float32)


class Run(NamedTuple):
    """A training and what it was at each step."""

    state: Any
    losses: list


def make_state(delay, seed=0, dtype="float32"):
    return trainer.TrainState(
        SmallDetector(delay, seed, dtype),
        TrainOptions(
            make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
            learning_rate=functools.partial(
                learning_schedules.constant, learning_rate=0.05
            ),
        ),
    )


def train(state, last_step, directory=None):
    step_fn = trainer.make_train_step(state)
    losses = []
    for step in range(int(state.global_step.value) + 1, last_step + 1):
        result = step_fn(images_of(step), TRUE_SHAPES, GROUNDTRUTH)
        losses.append(float(result.losses[LossFields.total_loss]))
        if directory is not None:
            path = str(directory / f"model.ckpt-{step}")
            checkpoints.save(path, state.checkpoint_variables())
    return losses


def arrays(state):
    return {
        n: np.array(v.value) for n, v in state.checkpoint_variables().items()
    }


def predict(model):
    images = model.normalize(images_of(99))
    predictions = model.predict(images, TRUE_SHAPES, training=False)
    return np.asarray(predictions["outputs"])


def assert_rounded_alike(found, expected):
    """They differ, and by little."""
    difference = np.abs(found - expected)
    assert 0.0 < difference.mean() < 0.05 * np.abs(expected).mean()


@pytest.fixture(scope="module")
def checkpoint_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("quantized")


@pytest.fixture(scope="module")
def quantized(checkpoint_dir):
    """Five steps, of which the last two are quantized."""
    state = make_state(DELAY)
    return Run(state, train(state, 5, checkpoint_dir))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    state = make_state(None)
    directory = tmp_path_factory.mktemp("plain")
    return Run(state, train(state, 5, directory)), directory


def test_quantization_begins_after_the_delay(quantized, plain):
    losses = plain[0].losses
    assert quantized.losses[:DELAY] == losses[:DELAY]
    for found, expected in zip(
        quantized.losses[DELAY:], losses[DELAY:], strict=True
    ):
        assert found != expected
        assert found == pytest.approx(expected, rel=0.2)


def test_a_run_resumed_before_the_delay_crosses_it_alike(
    quantized, checkpoint_dir
):
    state = make_state(DELAY, seed=8)
    assert state.restore(str(checkpoint_dir / "model.ckpt-2")) == []
    assert train(state, 5) == quantized.losses[2:]
    expected = arrays(quantized.state)
    for name, value in arrays(state).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.parametrize("step", [DELAY - 1, DELAY, 5])
def test_a_checkpoint_is_measured_as_its_step_was_trained(
    quantized, checkpoint_dir, step
):
    path = str(checkpoint_dir / f"model.ckpt-{step}")
    models = [SmallDetector(delay, seed=9) for delay in (DELAY, None)]
    for model in models:
        assert checkpoints.restore(model, path) == step
    found, unquantized = map(predict, models)
    if step < DELAY:
        np.testing.assert_array_equal(found, unquantized)
    else:
        assert_rounded_alike(found, unquantized)
    assert (len(np.unique(found)) <= 256) == (step >= DELAY)
    if step == 5:
        np.testing.assert_array_equal(found, predict(quantized.state.model))


def test_weights_without_ranges_are_restored_and_reported(plain, caplog):
    path = str(plain[1] / "model.ckpt-5")
    unquantized, model = (SmallDetector(d, seed=7) for d in (None, 0))
    with caplog.at_level(logging.WARNING):
        assert checkpoints.restore(unquantized, path) == 5
        assert caplog.text == ""
        assert checkpoints.restore(model, path) == 5
    assert "model.ckpt-5: has no FeatureExtractor/net/" in caplog.text
    assert "(12 such variables)" in caplog.text
    assert_rounded_alike(predict(model), predict(unquantized))


def test_training_goes_on_from_a_checkpoint_without_ranges(plain):
    state = make_state(0, seed=4)
    missing = state.restore(str(plain[1] / "model.ckpt-3"))
    assert len(missing) == 12 and BACKBONE_MAX in missing
    assert np.isfinite(train(state, 5)).all()
    assert 0.0 < arrays(state)[BACKBONE_MAX] <= 6.0


def test_a_new_run_begins_at_step_0_whatever_was_measured(checkpoint_dir):
    model = SmallDetector(DELAY)
    assert checkpoints.restore(model, str(checkpoint_dir)) == 5
    state = trainer.TrainState(model, make_state(DELAY).options)
    assert int(state.global_step.value) == 0
    assert model.checkpoint_variables()["global_step"] is state.global_step


def test_ranges_of_another_checkpoint_do_not_stay(quantized, plain):
    model = quantized.state.model
    before = arrays(quantized.state)
    name = BACKBONE_MAX
    values = dict(before)
    del values[name], values["global_step"]
    path = str(plain[1] / "model.ckpt-77")
    checkpoints.save(path, values)
    try:
        assert checkpoints.restore(model, path) == 0
        found = arrays(quantized.state)
        assert before[name] > 0.0 == found[name]
        assert before["global_step"] == 5 and found["global_step"] == 0
    finally:
        for variable, value in before.items():
            quantized.state.checkpoint_variables()[variable].assign(value)


@pytest.mark.parametrize("source", ["plain", "quantized"])
def test_fine_tuning_takes_the_weights_and_counts_from_zero(
    source, quantized, plain, checkpoint_dir
):
    directory = {"plain": plain[1], "quantized": checkpoint_dir}[source]
    state = make_state(0, seed=4)
    report = fine_tune.initialize(
        state.model.checkpoint_variables(),
        FineTune(str(directory / "model.ckpt-5"), "detection", True),
    )
    assert all(quantization.is_range_name(name) for name in report.missing)
    assert bool(report.missing) == (source == "plain")
    assert "global_step" not in report.matched
    assert int(state.global_step.value) == 0
    run = {"plain": plain[0], "quantized": quantized}[source]
    np.testing.assert_array_equal(
        arrays(state)[BACKBONE], arrays(run.state)[BACKBONE]
    )


def test_mixed_precision_trains_with_ranges_in_float32():
    state = make_state(1, dtype="mixed_bfloat16")
    losses = train(state, 3)
    assert np.isfinite(losses).all()
    variables = state.model.checkpoint_variables()
    assert {v.dtype for v in variables.values()} == {"float32", "int64"}
    assert 0.0 < float(variables[BACKBONE_MAX].value) <= 6.0
    exact = make_state(1)
    train(exact, 3)
    np.testing.assert_allclose(
        predict(state.model), predict(exact.model), atol=0.15
    )


def test_xla_rounds_alike():
    runs = {}
    for is_compiled in (False, True):
        state = make_state(1)
        state.options = dataclasses.replace(
            state.options, jit_compile=is_compiled
        )
        runs[is_compiled] = train(state, 3)
    assert runs[True] == pytest.approx(runs[False], rel=1e-3)
