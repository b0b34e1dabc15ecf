"""Tests of what weight decay adds to a training step."""

import functools

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields
from object_detection.training import (
    learning_schedules,
    optimizers,
    options,
    tiny_detector,
    trainer,
)

LEARNING_RATE = 0.05
DECAY = 0.3
WEIGHTS = "FeatureExtractor/net/weights"
BETA = "FeatureExtractor/net/BatchNorm/beta"
HEAD = "BoxPredictor/weights"
BIASES = "BoxPredictor/biases"
NO_DECAY = (".*/biases", ".*/BatchNorm/.*")


def make_step(batch_size=2, **settings):
    """Makes one step; returns its result, the weights before and moves."""
    model = tiny_detector.TinyDetector()
    variables = model.checkpoint_variables()
    for name in (BETA, BIASES):
        variables[name].assign(variables[name].value + 0.5)
    before = {n: np.array(v.value) for n, v in variables.items()}
    state = trainer.TrainState(
        model,
        options.TrainOptions(
            make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
            learning_rate=functools.partial(
                learning_schedules.constant, learning_rate=LEARNING_RATE
            ),
            **settings,
        ),
    )
    features, labels = next(iter(tiny_detector.input_fn_with(batch_size)()))
    result = trainer.make_train_step(state)(
        features[InputDataFields.image],
        features[InputDataFields.true_image_shape],
        tiny_detector.groundtruth_from_labels(labels),
    )
    moved = {n: np.array(v.value) - before[n] for n, v in variables.items()}
    return result, before, moved


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"no_decay_patterns": NO_DECAY},
        {"no_decay_patterns": NO_DECAY, "num_parts": 3, "batch_size": 6},
        {"no_decay_patterns": NO_DECAY, "use_loss_scale": True},
        {"no_decay_patterns": NO_DECAY, "jit_compile": True},
        {"no_decay_patterns": NO_DECAY, "bias_gradient_factor": 2.0},
        {"bias_gradient_factor": 2.0},
        {"freeze_patterns": ("^BoxPredictor",)},
    ],
)
def test_the_gradient_of_what_decays_has_its_weight_added_once(settings):
    plain, before, moved = make_step(**settings)
    decayed, _, moved_more = make_step(weight_decay=DECAY, **settings)
    excluded = {BETA, BIASES} if "no_decay_patterns" in settings else set()
    if "freeze_patterns" in settings:
        excluded |= {HEAD, BIASES}
    for name in (WEIGHTS, BETA, HEAD, BIASES):
        added = 0.0 if name in excluded else DECAY * before[name]
        assert np.abs(before[name]).max() > 0.1
        np.testing.assert_allclose(
            moved_more[name] - moved[name],
            np.broadcast_to(-LEARNING_RATE * added, before[name].shape),
            atol=1e-7,
        )
    # It is no part of the losses.
    assert decayed.losses.keys() == plain.losses.keys()
    for name, loss in plain.losses.items():
        assert float(decayed.losses[name]) == pytest.approx(float(loss))


def test_the_norm_that_is_limited_is_the_whole_gradients():
    (free, _, moved) = make_step(weight_decay=DECAY)
    norm = float(free.gradient_norm)
    squares = sum(
        np.sum(np.square(m / LEARNING_RATE))
        for n, m in moved.items()
        if not n.endswith("moving_mean")
    )
    assert norm == pytest.approx(squares**0.5, rel=1e-5)
    _, _, clipped = make_step(weight_decay=DECAY, clip_norm=norm / 4)
    np.testing.assert_allclose(
        clipped[WEIGHTS], moved[WEIGHTS] / 4, rtol=1e-4, atol=1e-7
    )


def test_an_expression_that_is_none_is_refused():
    with pytest.raises(
        errors.ConfigError,
        match=r"^train_config: weight_decay\.exclude_variables: '\('",
    ):
        make_step(weight_decay=DECAY, no_decay_patterns=("(",))
