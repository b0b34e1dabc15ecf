"""Tests of what is done to gradients, and of which variables have one."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.training import gradients

GRADIENTS = {
    "net/weights": tf.constant([[3.0, -2.0]]),
    "net/biases": tf.constant([4.0, 0.5]),
    "net/BatchNorm/beta": tf.constant([1.0]),
    "biases_of/weights": tf.constant([5.0]),
}
NAMES = dict.fromkeys(GRADIENTS)


def test_biases_alone_are_multiplied():
    found = gradients.multiply_biases(GRADIENTS, 2.5)
    assert list(found) == list(GRADIENTS)
    for name, gradient in GRADIENTS.items():
        factor = 2.5 if name == "net/biases" else 1.0
        np.testing.assert_array_equal(found[name], factor * gradient)


def test_clipping_scales_to_the_norm_that_is_allowed():
    norm = tf.linalg.global_norm(list(GRADIENTS.values()))
    clipped = gradients.clip_by_global_norm(GRADIENTS, 2.0, norm)
    squares = sum(np.sum(np.square(g)) for g in clipped.values())
    assert squares**0.5 == pytest.approx(2.0, rel=1e-6)
    unclipped = gradients.clip_by_global_norm(GRADIENTS, 0.0, norm)
    for name, gradient in GRADIENTS.items():
        np.testing.assert_array_equal(unclipped[name], gradient)


@pytest.mark.parametrize(
    ("update", "freeze", "expected"),
    [
        ((), (), list(NAMES)),
        (("biases",), (), ["net/biases", "biases_of/weights"]),
        (("biases$",), (), ["net/biases"]),
        # Freezing wins over updating.
        (("biases",), ("^net",), ["biases_of/weights"]),
        (
            ("weights", "beta"),
            ("es_of", "absent"),
            ["net/weights", "net/BatchNorm/beta"],
        ),
    ],
)
def test_patterns_are_searched_for_and_freezing_wins(update, freeze, expected):
    assert list(gradients.select_variables(NAMES, update, freeze)) == expected


def test_a_pattern_that_matches_nothing_is_warned_about(caplog):
    with caplog.at_level(logging.WARNING):
        gradients.select_variables(NAMES, ("net", "nett"), ("beta", "gamma"))
    (update, freeze) = (record.getMessage() for record in caplog.records)
    assert "train_config.update_trainable_variables: 'nett'" in update
    assert "train_config.freeze_variables: 'gamma' matches none of the 4" in (
        freeze
    )


def test_weights_decay_unless_their_whole_name_matches(caplog):
    variables = {
        name: keras.Variable(2.0 * gradient)
        for name, gradient in GRADIENTS.items()
    }
    with caplog.at_level(logging.WARNING):
        decayed = gradients.select_decayed(
            variables, [".*/biases", "BatchNorm|beta", "net/Batch.*|x"]
        )
    assert list(decayed) == ["net/weights", "biases_of/weights"]
    # A part of a name is no match.
    (message,) = (record.getMessage() for record in caplog.records)
    assert "weight_decay.exclude_variables" in message
    found = gradients.add_weight_decay(GRADIENTS, decayed, 0.25)
    assert list(found) == list(GRADIENTS)
    for name, gradient in GRADIENTS.items():
        factor = 1.5 if name in decayed else 1.0
        np.testing.assert_allclose(found[name], factor * gradient)


def test_what_has_no_gradient_does_not_decay():
    variables = {"a": keras.Variable([2.0]), "b": keras.Variable([3.0])}
    found = gradients.add_weight_decay(
        {"b": tf.constant([1.0])}, variables, 0.5
    )
    np.testing.assert_array_equal(found.pop("b"), [2.5])
    assert not found


def test_an_expression_of_what_does_not_decay_has_to_be_one():
    with pytest.raises(ValueError, match="weight_decay.exclude_variables: "):
        gradients.select_decayed(NAMES, ["("])
