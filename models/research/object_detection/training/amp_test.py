"""Tests of the choice of a type and of the loss scale."""

import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.training import amp, options


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


def follow(scale, signs):
    """Returns scale and verdict after each update: + good, x overflow."""
    found = []
    for sign in signs:
        may_go_on = scale.update(tf.constant(sign == "+"))
        found.append((float(scale.scale), bool(may_go_on)))
    return found


def test_the_scale_may_wait_for_several_overflows():
    scale = amp.DynamicLossScale(
        initial=4.0, growth_steps=3, overflows_before_shrink=2
    )
    found = follow(scale, "x+xx+++xxxxxx")
    assert [value for value, _ in found] == [
        4, 4, 2, 2, 2, 2, 4, 4, 2, 2, 1, 1, 1
    ]  # fmt: skip
    # At the floor it takes as many to give up.
    assert [may for _, may in found] == [True] * 12 + [False]
    assert sorted(scale.checkpoint_variables()) == [
        "loss_scale/current_loss_scale",
        "loss_scale/good_steps",
        "loss_scale/overflows",
    ]


def test_the_scale_of_ssd_vgg():
    scale = amp.make_loss_scale(
        options.LossScaleOptions(2.0**32, False, 1000, 2)
    )
    steps = "x+x" + 1000 * "+" + "x" + 1000 * "+" + "x+x"
    found = [value for value, _ in follow(scale, steps)]
    assert found[:2] == [2.0**32] * 2
    assert found[2:1002] == [2.0**31] * 1000
    # An overflow before a change does not count after it.
    assert found[1002:2003] == [2.0**32] * 1001
    assert found[2003:] == [2.0**33] * 3 + [2.0**32]


def test_a_scale_that_never_overflows_stays_finite():
    scale = amp.DynamicLossScale(initial=2.0**125, growth_steps=1)
    assert [value for value, _ in follow(scale, "+++")] == [2.0**126] * 3


def test_a_static_scale_never_changes_and_overflows_so_often_at_most():
    scale = amp.make_loss_scale(options.LossScaleOptions(1000.0, True))
    most = amp.MAX_STATIC_OVERFLOWS
    found = follow(scale, "++" + most * "x" + "+" + most * "x" + "x")
    assert {value for value, _ in found} == {1000.0}
    assert [may for _, may in found] == [True] * (3 + 2 * most) + [False]
    # The config's scale is what counts in a run that is continued.
    assert list(scale.checkpoint_variables()) == ["loss_scale/overflows"]


def test_what_is_not_asked_for_stays_as_it_was():
    scale = amp.make_loss_scale(options.LossScaleOptions())
    found = follow(scale, 15 * "x" + "x")
    assert [value for value, _ in found] == [
        max(2.0 ** (14 - i), 1.0) for i in range(16)
    ]
    assert [may for _, may in found] == [True] * 15 + [False]
