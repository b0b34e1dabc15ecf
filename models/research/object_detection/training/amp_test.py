"""Tests of the choice of a type and of the loss scale."""

import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.training import amp


def test_without_amp_everything_is_float32():
    assert amp.compute_dtype(False) == "float32"


@pytest.mark.parametrize("dtype", sorted(amp.POLICIES))
def test_a_chosen_type_is_taken(dtype):
    assert amp.compute_dtype(True, dtype) == dtype


def test_amp_chooses_a_type_that_has_a_policy():
    assert amp.compute_dtype(True) in amp.POLICIES


def test_a_type_without_amp_is_refused():
    with pytest.raises(errors.ConfigError, match="--amp"):
        amp.compute_dtype(False, "bfloat16")


def test_the_scale_grows_after_good_updates_and_shrinks_to_its_floor():
    scale = amp.DynamicLossScale(initial=8.0, floor=2.0, growth_steps=3)
    good, bad = tf.constant(True), tf.constant(False)
    may_go_on = []
    scales = []
    for is_finite in (good, good, good, good, bad, bad, bad, good, bad):
        may_go_on.append(bool(scale.update(is_finite)))
        scales.append(float(scale.scale))
    assert scales == [8, 8, 16, 16, 8, 4, 2, 2, 2]
    assert may_go_on == [True] * 8 + [False]


def test_an_overflow_starts_the_count_of_good_updates_anew():
    scale = amp.DynamicLossScale(initial=8.0, growth_steps=2)
    for is_finite in (True, False, True):
        scale.update(tf.constant(is_finite))
    assert float(scale.scale) == 4.0
    scale.update(tf.constant(True))
    assert float(scale.scale) == 8.0
    assert sorted(scale.checkpoint_variables()) == [
        "loss_scale/current_loss_scale",
        "loss_scale/good_steps",
    ]
