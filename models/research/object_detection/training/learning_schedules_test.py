"""Tests of the learning rates against those of the original."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from object_detection.training import learning_schedules

GOLDEN = json.loads(
    (
        pathlib.Path(__file__).parent / "testdata" / "learning_rates.json"
    ).read_text()
)


@pytest.mark.parametrize("name", sorted(GOLDEN))
@pytest.mark.parametrize("as_type", [np.asarray, tf.constant])
def test_equals_the_original(name, as_type):
    golden = GOLDEN[name]
    schedule = getattr(learning_schedules, name.split(" ")[0])

    rates = schedule(as_type(golden["steps"]), **golden["args"])

    np.testing.assert_allclose(rates, golden["values"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_takes_a_python_int(name):
    golden = GOLDEN[name]
    schedule = getattr(learning_schedules, name.split(" ")[0])

    rates = [float(schedule(s, **golden["args"])) for s in golden["steps"]]

    np.testing.assert_allclose(rates, golden["values"], rtol=0, atol=1e-7)


def test_works_in_a_graph_with_the_step_as_a_variable():
    step = tf.Variable(499, dtype=tf.int64)
    args = GOLDEN["cosine_decay_with_warmup hold"]["args"]

    @tf.function
    def rate():
        return learning_schedules.cosine_decay_with_warmup(step, **args)

    before = float(rate())
    step.assign(4999)
    assert before == pytest.approx(0.03993999958, abs=1e-7)
    assert float(rate()) == pytest.approx(0.0, abs=1e-7)


def test_constant_is_constant():
    rates = learning_schedules.constant(
        np.array([0, 7, 10**6]), learning_rate=0.003
    )
    np.testing.assert_allclose(rates, [0.003] * 3, rtol=1e-6)


def test_manual_warmup_climbs_in_a_line_to_the_second_rate():
    rates = learning_schedules.manual_stepping(
        np.array([0, 1, 3, 4, 9, 10]),
        boundaries=[4, 10],
        rates=[0.1, 0.5, 0.02],
        warmup=True,
    )
    np.testing.assert_allclose(
        rates, [0.1, 0.2, 0.4, 0.5, 0.5, 0.02], rtol=1e-6
    )


def test_a_warmup_in_steps_ends_one_short_of_the_whole_rate():
    rates = learning_schedules.manual_stepping(
        np.array([0, 1, 3, 4, 5, 6, 7, 9]),
        boundaries=[6, 8],
        rates=[0.5, 0.25, 2.0],
        warmup_steps=5,
    )
    np.testing.assert_allclose(
        rates, [0.0, 0.1, 0.3, 0.4, 0.4, 0.2, 0.2, 1.6], rtol=1e-6
    )
    rates = learning_schedules.manual_stepping(
        np.array([0, 1, 2, 99]), boundaries=[], rates=[0.5], warmup_steps=2
    )
    np.testing.assert_allclose(rates, [0.0, 0.25, 0.25, 0.25])


def test_a_cosine_may_end_above_zero():
    rates = learning_schedules.cosine_decay_with_warmup(
        np.array([0, 3, 5, 7, 8]),
        learning_rate_base=0.8,
        total_steps=7,
        warmup_steps=2,
        hold_base_rate_steps=1,
        end_learning_rate_ratio=0.25,
    )
    np.testing.assert_allclose(rates, [0.0, 0.8, 0.5, 0.2, 0.2], rtol=1e-6)


COSINE = dict(learning_rate_base=0.1, total_steps=10)
EXPONENTIAL = dict(
    learning_rate_base=0.1,
    learning_rate_decay_steps=10,
    learning_rate_decay_factor=0.5,
)


@pytest.mark.parametrize(
    ("schedule", "args", "message"),
    [
        ("cosine_decay_with_warmup", COSINE | dict(warmup_steps=11), "total"),
        (
            "cosine_decay_with_warmup",
            COSINE | dict(warmup_steps=5, warmup_learning_rate=0.2),
            "warmup_learning_rate",
        ),
        (
            "cosine_decay_with_warmup",
            COSINE | dict(learning_rate_base=-1.0),
            "learning_rate_base",
        ),
        (
            "exponential_decay_with_burnin",
            EXPONENTIAL | dict(learning_rate_decay_steps=0),
            "decay_steps",
        ),
        (
            "manual_stepping",
            dict(boundaries=[5, 5], rates=[0.1, 0.2, 0.3]),
            r"^schedule: .* got \[5, 5\]",
        ),
        ("manual_stepping", dict(boundaries=[0], rates=[1, 2]), "^schedule: "),
        ("manual_stepping", dict(boundaries=[5], rates=[0.1]), "rates"),
        (
            "manual_stepping",
            dict(boundaries=[5], rates=[1, 2], warmup_steps=6),
            "^warmup_steps: .* from 2 to .* 5, got 6",
        ),
        (
            "manual_stepping",
            dict(boundaries=[5], rates=[1, 2], warmup_steps=1),
            "^warmup_steps: .* got 1",
        ),
        (
            "manual_stepping",
            dict(boundaries=[5], rates=[1, 2], warmup_steps=3, warmup=True),
            "^warmup_steps: does not go with warmup: true",
        ),
        (
            "cosine_decay_with_warmup",
            COSINE | dict(end_learning_rate_ratio=1.5),
            "end_learning_rate_ratio: must be from 0 to 1, got 1.5",
        ),
        ("constant", dict(learning_rate=float("nan")), "learning_rate"),
    ],
)
def test_refuses_what_cannot_work(schedule, args, message):
    with pytest.raises(ValueError, match=message):
        getattr(learning_schedules, schedule)(0, **args)
