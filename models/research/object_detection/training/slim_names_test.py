import numpy as np
import pytest

from object_detection.training import slim_names
from object_detection.training.weight_files import LazyTensor


def lazy(value):
    return LazyTensor(value.shape, lambda: value)


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def vgg_tensors(channels=2, hidden=12):
    return {
        "vgg_16/conv5/conv5_3/weights": lazy(numbers(3, 3, 1, channels)),
        "vgg_16/fc6/weights": lazy(numbers(7, 7, channels, hidden)),
        "vgg_16/fc6/biases": lazy(numbers(hidden)),
        "vgg_16/fc7/weights": lazy(numbers(1, 1, hidden, hidden)),
        "vgg_16/fc7/biases": lazy(numbers(hidden)),
        "vgg_16/fc8/weights": lazy(numbers(1, 1, hidden, 5)),
    }


def test_each_third_pixel_and_each_fourth_channel_is_left():
    found = slim_names.with_dilated_vgg(vgg_tensors())
    assert {n: t.shape for n, t in found.items()} == {
        "vgg_16/conv5/conv5_3/weights": (3, 3, 1, 2),
        "vgg_16/conv6/weights": (3, 3, 2, 3),
        "vgg_16/conv6/biases": (3,),
        "vgg_16/conv7/weights": (1, 1, 3, 3),
        "vgg_16/conv7/biases": (3,),
        "vgg_16/fc8/weights": (1, 1, 12, 5),
    }
    fc6, fc7 = numbers(7, 7, 2, 12), numbers(1, 1, 12, 12)
    conv6 = found["vgg_16/conv6/weights"].read()
    for h, w, channel, i in np.ndindex(conv6.shape):
        expected = fc6[3 * h, 3 * w, channel, 4 * i]
        assert conv6[h, w, channel, i] == expected
    conv7 = found["vgg_16/conv7/weights"].read()
    for channel, i in np.ndindex(3, 3):
        assert conv7[0, 0, channel, i] == fc7[0, 0, 4 * channel, 4 * i]
    for name in ("conv6", "conv7"):
        biases = found[f"vgg_16/{name}/biases"].read()
        np.testing.assert_array_equal(biases, [0, 4, 8])


def test_a_quarter_is_rounded_up():
    found = slim_names.with_dilated_vgg(vgg_tensors(hidden=10))
    assert found["vgg_16/conv6/weights"].shape == (3, 3, 2, 3)
    assert found["vgg_16/conv7/weights"].read().shape == (1, 1, 3, 3)


def test_what_is_there_already_and_other_networks_stay():
    tensors = {
        **vgg_tensors(),
        "vgg_16/conv6/biases": lazy(np.full(3, 7, "f4")),
        "vgg_19/fc6/biases": lazy(numbers(8)),
    }
    found = slim_names.with_dilated_vgg(tensors)
    np.testing.assert_array_equal(found["vgg_16/conv6/biases"].read(), 7)
    assert found["vgg_16/fc6/biases"].shape == (12,)
    assert found["vgg_19/fc6/biases"].shape == (8,)


def test_other_ranks_stay():
    tensors = {"vgg_16/fc6/weights": lazy(numbers(98, 12))}
    assert slim_names.with_dilated_vgg(tensors) == tensors


def test_colours_are_reversed():
    kernel = numbers(1, 2, 3, 2)
    tensors = {"a": lazy(kernel), "b": lazy(kernel)}
    found = slim_names.reverse_colours(tensors, "a")
    assert found["a"].shape == (1, 2, 3, 2)
    np.testing.assert_array_equal(
        found["a"].read()[0, 1], [[10, 11], [8, 9], [6, 7]]
    )
    assert found["b"] is tensors["b"]


def test_pixels_have_whole_channels():
    assert slim_names.split_pixels(25088, 7) == 512
    with pytest.raises(ValueError, match="25089 inputs"):
        slim_names.split_pixels(25089, 7)
