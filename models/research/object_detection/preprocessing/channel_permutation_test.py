import itertools

import numpy as np
import pytest

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import examples
from object_detection.preprocessing.channel_permutation import (
    make_random_channel_permutation,
)
from object_detection.preprocessing.sample_examples import (
    draw_many,
    make_example,
    seed_of,
)


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_every_order_of_the_channels_is_as_likely(probability):
    step = make_random_channel_permutation(probability)
    image = np.float32([[[10, 20, 30], [1, 2, 3]]])
    pixels = draw_many(
        step, make_example(image), 1800, lambda result: result[Fields.image]
    )
    orders = [tuple(order) for order in pixels[:, 0, 0] / 10]
    counts = {
        order: orders.count(order) / 1800
        for order in itertools.permutations((1.0, 2.0, 3.0))
    }
    assert sum(counts.values()) == pytest.approx(1)
    same = counts.pop((1.0, 2.0, 3.0))
    assert abs(same - (1 - probability * 5 / 6)) < 0.06
    for share in counts.values():
        assert abs(share - probability / 6) < 0.045
    np.testing.assert_allclose(pixels[:, 0, 1], pixels[:, 0, 0] / 10)


def test_permuted_bytes_stay_exact():
    every_value = np.arange(256, dtype=np.uint8)
    image = np.stack([every_value, every_value[::-1], every_value // 2], -1)
    step = make_random_channel_permutation(1.0)
    seen = set()
    for position in range(8):
        given = make_example(image[np.newaxis])
        result = step(given, seed_of(position))[Fields.image].numpy()[0]
        assert result.dtype == np.uint8
        (order,) = [
            order
            for order in itertools.permutations(range(3))
            if (image[:, order] == result).all()
        ]
        seen.add(order)
    assert len(seen) > 2


def test_no_order_is_drawn():
    image = np.arange(30, dtype=np.uint8).reshape(2, 5, 3)
    permute = make_random_channel_permutation(0.0)
    result = permute(make_example(image), seed_of(0))
    np.testing.assert_array_equal(result[Fields.image], image)


def test_additional_channels_stay_and_gray_is_refused():
    image = np.arange(50, dtype=np.uint8).reshape(2, 5, 5)
    permute = make_random_channel_permutation(1.0)
    results = [
        permute(make_example(image), seed_of(i))[Fields.image].numpy()
        for i in range(4)
    ]
    for result in results:
        np.testing.assert_array_equal(result[..., 3:], image[..., 3:])
    assert any((result != image).any() for result in results)
    with pytest.raises(examples.StepError, match="3 colours, got 1 channel"):
        permute(make_example(image[..., :1]), seed_of(1))


def test_a_value_out_of_range_is_refused():
    with pytest.raises(ValueError, match="probability.*1.5"):
        make_random_channel_permutation(1.5)
