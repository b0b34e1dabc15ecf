import numpy as np
import tensorflow as tf

from object_detection.preprocessing import draws, sample_examples


def draw_many(draw, count):
    return sample_examples.draw_many(
        lambda _, seed: draw(seed),
        {},
        count,
        lambda drawn: tf.cast(drawn, tf.float32),
    )


def test_integers_leave_out_the_upper_bound_and_are_uniform():
    drawn = draw_many(
        lambda seed: draws.uniform_integers(
            tf.constant([3, -2]), tf.constant([7, 0]), seed
        ),
        1200,
    )
    for column, expected in zip(drawn.T, ([3, 4, 5, 6], [-2, -1]), strict=True):
        values, counts = np.unique(column, return_counts=True)
        assert list(values) == expected
        np.testing.assert_allclose(counts * len(expected) / 1200, 1, atol=0.2)
    # The two are drawn independently.
    assert len(np.unique(drawn, axis=0)) == 8


def test_integers_of_no_range_are_the_upper_bound():
    drawn = draws.uniform_integers(
        tf.constant([5, 6, 4]), tf.constant([5, 2, 6]), tf.constant([1, 2])
    )
    assert list(drawn[:2].numpy()) == [5, 2]
    assert drawn[2] in (4, 5)


def test_whole_numbers_of_shares():
    shares = [0.0, 0.19999, 0.2, 0.79999, 0.8, 1 - 2**-23]
    drawn = draws.whole_number_below(5, tf.constant(shares))
    assert list(drawn.numpy()) == [0, 0, 1, 3, 4, 4]
    drawn = draws.whole_number_below(
        tf.constant([1, 7, 2**23]), tf.constant([1 - 2**-23] * 3)
    )
    assert list(drawn.numpy()) == [0, 6, 2**23 - 1]


def test_cases_are_equally_likely():
    cases = draw_many(lambda seed: draws.uniform_case(7, seed), 1400)
    values, counts = np.unique(cases, return_counts=True)
    assert list(values) == list(range(7))
    np.testing.assert_allclose(counts / 200, 1, atol=0.25)
    assert draws.uniform_case(1, tf.constant([3, 4])) == 0


def test_values_of_a_case_are_plain_where_all_are_equal():
    assert draws.value_of_case([0.5, 0.5], tf.constant(1)) == 0.5
    assert not tf.is_tensor(draws.value_of_case([True], tf.constant(0)))
    assert draws.value_of_case([0.5, 0.25, 2.0], tf.constant(2)) == 2
    assert not draws.value_of_case([True, False], tf.constant(1))
