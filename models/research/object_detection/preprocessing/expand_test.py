import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import examples, expand
from object_detection.preprocessing.sample_examples import (
    assert_uniform,
    draw_many,
    make_example,
    seed_of,
)

COLOR = (123.0, 117.0, 104.0)
SIZE_PX = (40, 70)
PIXELS = np.random.default_rng(1).integers(0, 99, (*SIZE_PX, 3), np.uint8)
BOXES = np.float32([[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.75, 0.6]])


def draw_sizes(count, probability, max_ratio):
    """Returns sizes and offsets, int [count, 2] each."""
    step = expand.make_ssd_expand(probability, max_ratio, COLOR)

    def read(result):
        size = tf.cast(tf.shape(result[Fields.image])[:2], tf.float32)
        offset = result[Fields.groundtruth_boxes][0, :2] * size
        return tf.concat([size, offset], axis=0)

    drawn = draw_many(step, make_example(PIXELS, BOXES), count, read)
    return np.split(np.round(drawn).astype(int), 2, axis=1)


def test_pixels_boxes_masks_and_keypoints():
    given = make_example(PIXELS, BOXES)
    step = expand.make_ssd_expand(1.0, 3.0, COLOR)
    for position in range(6):
        result = {
            k: v.numpy() for k, v in step(given, seed_of(position)).items()
        }
        size_px = np.array(result[Fields.image].shape[:2])
        boxes_px = result[Fields.groundtruth_boxes] * np.tile(size_px, 2)
        offset_px = np.round(boxes_px[0, :2]).astype(int)
        top, left = offset_px
        inside = np.s_[top : top + SIZE_PX[0], left : left + SIZE_PX[1]]
        expected = np.empty((*size_px, 3), np.uint8)
        expected[:] = COLOR
        expected[inside] = PIXELS
        assert result[Fields.image].dtype == np.uint8
        np.testing.assert_array_equal(result[Fields.image], expected)
        np.testing.assert_allclose(
            boxes_px,
            BOXES * np.tile(SIZE_PX, 2) + np.tile(offset_px, 2),
            atol=1e-3,
        )
        masks = np.zeros((2, *size_px))
        masks[(slice(None), *inside)] = given[Fields.groundtruth_instance_masks]
        np.testing.assert_array_equal(
            result[Fields.groundtruth_instance_masks], masks
        )
        np.testing.assert_allclose(
            result[Fields.groundtruth_keypoints] * size_px,
            given[Fields.groundtruth_keypoints] * SIZE_PX + offset_px,
            atol=1e-3,
        )


def test_both_sides_grow_by_one_number():
    sizes, offsets = draw_sizes(1500, 1.0, 4.0)
    low = np.max(sizes / SIZE_PX, axis=1)
    high = np.min((sizes + 1) / SIZE_PX, axis=1)
    # Some ratio makes both, cut to whole pixels.
    assert (low < high).all()
    rng = np.random.default_rng(0)
    assert_uniform(np.clip(low + (high - low) * rng.random(1500), 1, 4), 1, 4)
    assert (offsets >= 0).all() and (offsets + SIZE_PX <= sizes).all()
    for axis in range(2):
        room = sizes[:, axis] - SIZE_PX[axis]
        is_wide = room > 20
        places = (offsets[:, axis] + rng.random(1500)) / (room + 1)
        assert_uniform(places[is_wide], 0, 1)
    # The last place is one of them.
    room = sizes - SIZE_PX
    assert ((offsets == room) & (room > 0)).any()
    assert np.abs(np.corrcoef(*(offsets / sizes).T)[0, 1]) < 0.75


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
def test_share_of_expanded_images(probability):
    sizes, offsets = draw_sizes(800, probability, 2.0)
    is_same = (sizes == SIZE_PX).all(axis=1)
    assert not offsets[is_same].any()
    # A ratio below 1 + 1 / 70 changes nothing.
    sigma = (probability * (1 - probability) / 800) ** 0.5
    share = 1 - is_same.mean()
    assert abs(share - probability * (1 - 1 / 70)) <= 4.5 * sigma + 0.015


def test_the_greatest_ratio_is_not_exceeded():
    sizes, _ = draw_sizes(800, 1.0, 1.5)
    assert (sizes <= [60, 105]).all()
    assert sizes[:, 0].max() >= 58 and sizes[:, 0].min() <= 41
    sizes, offsets = draw_sizes(20, 1.0, 1.0)
    assert (sizes == SIZE_PX).all() and not offsets.any()


def test_no_boxes_gray_and_additional_channels():
    step = expand.make_ssd_expand(1.0, 3.0, COLOR)
    none = make_example(PIXELS)
    result = step(none, seed_of(2))
    assert result[Fields.groundtruth_boxes].shape == (0, 4)
    assert result[Fields.image].shape[0] > SIZE_PX[0]
    more = make_example(np.concatenate([PIXELS, PIXELS[..., :1]], axis=2))
    image = step(more, seed_of(2))[Fields.image].numpy()
    np.testing.assert_array_equal(image[..., :3], result[Fields.image])
    assert (image[..., 3].sum()) == PIXELS[..., 0].sum()
    with pytest.raises(examples.StepError, match="got 1 channel"):
        step(make_example(PIXELS[..., :1]), seed_of(2))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1.5, 2.0), "probability.*1.5"),
        ((0.5, 0.9), "max_ratio must be at least 1, got 0.9"),
        ((0.5, float("nan")), "max_ratio.*nan"),
    ],
)
def test_values_out_of_range_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        expand.make_ssd_expand(*values)
