import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import crop, examples
from object_detection.preprocessing.sample_examples import draw_many

# In a 20 x 40 image, and a window of rows 4 to 14 and columns 10 to 30:
# inside, cut in half at its left, cut to a tenth, outside, touching, empty.
SIZE_PX = (20, 40)
WINDOW_PX = (4, 10, 10, 20)
BOXES = np.float32(
    [
        [0.3, 0.375, 0.6, 0.5],
        [0.4, 0.125, 0.6, 0.375],
        [0.55, 0.7, 0.65, 1.2],
        [0.75, 0.3, 0.9, 0.5],
        [0.3, 0.75, 0.5, 0.9],
        [0.4, 0.4, 0.4, 0.5],
    ]
)
IN_WINDOW = np.float32(
    [
        [0.2, 0.25, 0.8, 0.5],
        [0.4, -0.25, 0.8, 0.25],
        [0.7, 0.9, 0.9, 1.9],
    ]
)


def example(**extra):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*SIZE_PX, 3), dtype=np.uint8)
    return {
        Fields.image: tf.constant(image),
        Fields.groundtruth_boxes: tf.constant(BOXES),
        Fields.groundtruth_classes: tf.range(6, dtype=tf.int64),
        Fields.groundtruth_is_crowd: tf.constant([False, True] * 3),
        Fields.groundtruth_area: tf.range(6, dtype=tf.float32) * 10,
        **extra,
    }


def crop_example(overlap_thresh, clip_boxes, **extra):
    return crop.crop_example(
        example(**extra), tf.constant(WINDOW_PX), overlap_thresh, clip_boxes
    )


@pytest.mark.parametrize(
    ("overlap_thresh", "kept"),
    [(0.0, [0, 1, 2]), (0.09, [0, 1, 2]), (0.11, [0, 1]), (0.51, [0])],
)
def test_boxes_stay_by_the_part_that_is_inside(overlap_thresh, kept):
    result = crop_example(overlap_thresh, clip_boxes=False)
    np.testing.assert_array_equal(result[Fields.groundtruth_classes], kept)
    np.testing.assert_allclose(
        result[Fields.groundtruth_boxes], IN_WINDOW[kept], atol=1e-5
    )


def test_what_belongs_to_a_box_goes_with_it():
    result = crop_example(0.0, clip_boxes=True)
    np.testing.assert_array_equal(
        result[Fields.groundtruth_is_crowd], [False, True, False]
    )
    np.testing.assert_array_equal(result[Fields.groundtruth_area], [0, 10, 20])
    np.testing.assert_allclose(
        result[Fields.groundtruth_boxes], IN_WINDOW.clip(0, 1), atol=1e-5
    )
    np.testing.assert_array_equal(
        result[Fields.image], example()[Fields.image][4:14, 10:30]
    )


def test_masks_and_keypoints_follow():
    masks = np.float32(np.random.default_rng(1).random((6, *SIZE_PX)) > 0.5)
    keypoints = np.float32([[[0.45, 0.5], [0.25, 0.1]]] * 6)
    extra = {
        "groundtruth_instance_masks": tf.constant(masks),
        "groundtruth_keypoints": tf.constant(keypoints),
    }
    result = crop_example(0.0, clip_boxes=True, **extra)
    np.testing.assert_array_equal(
        result[Fields.groundtruth_instance_masks], masks[:3, 4:14, 10:30]
    )
    expected = [[[0.5, 0.5], [np.nan, np.nan]]] * 3
    np.testing.assert_allclose(
        result[Fields.groundtruth_keypoints], expected, atol=1e-6
    )
    unclipped = crop_example(0.0, clip_boxes=False, **extra)
    np.testing.assert_allclose(
        unclipped[Fields.groundtruth_keypoints][0, 1], [0.1, -0.3], atol=1e-6
    )


def test_no_boxes():
    none = examples.keep_boxes(example(), tf.zeros([6], tf.bool))
    step = crop.make_random_crop_image(crop.RandomCrop())
    result = step(none, tf.constant([1, 2], tf.int64))
    assert result[Fields.groundtruth_boxes].shape == (0, 4)
    assert 0 < result[Fields.image].shape[0] <= 20


def draw_windows(parameters, count, boxes=BOXES[:1], size_px=(200, 300)):
    def draw(_, seed):
        return crop.draw_window(
            tf.constant(size_px), tf.constant(boxes), seed, *parameters
        )

    return draw_many(
        draw, {}, count, lambda window: tf.cast(window, tf.float32)
    )


def test_windows_have_the_area_and_the_shape_asked_for():
    parameters = (0.0, (0.75, 3.0), (0.3, 0.8))
    top, left, height, width = draw_windows(parameters, 200).T
    assert (top >= 0).all() and (top + height <= 200).all()
    assert (left >= 0).all() and (left + width <= 300).all()
    area = height * width / 200 / 300
    ratio = width / height
    assert 0.29 < area.min() < 0.4 and 0.7 < area.max() < 0.81
    assert 0.74 < ratio.min() < 1 and 2 < ratio.max() < 3.05
    assert len(np.unique(top)) > 40 and len(np.unique(left)) > 40


def test_windows_cover_enough_of_a_box():
    box = np.float32([[0.1, 0.6, 0.4, 0.9]])
    parameters = (1.0, (0.5, 2.0), (0.1, 0.7))
    top, left, height, width = draw_windows(parameters, 100, box).T
    assert (top <= 0.1 * 200 + 1).all() and (left <= 0.6 * 300 + 1).all()
    assert (top + height >= 0.4 * 200 - 1).all()
    assert (left + width >= 0.9 * 300 - 1).all()


def test_the_whole_image_when_no_window_will_do():
    parameters = (1.0, (10.0, 10.0), (0.9, 1.0))
    windows = draw_windows(parameters, 3)
    np.testing.assert_array_equal(windows, [[0, 0, 200, 300]] * 3)


def test_random_coef_is_the_share_left_alone():
    step = crop.make_random_crop_image(
        crop.RandomCrop(0.0, (1.9, 2.1), (0.4, 0.6), 0.0, random_coef=0.7)
    )
    heights = draw_many(
        step,
        example(),
        200,
        lambda result: tf.cast(tf.shape(result[Fields.image])[0], tf.float32),
    )
    assert 0.6 < np.mean(heights == 20) < 0.8


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"aspect_ratio_range": (2.0, 1.0)}, "aspect ratios"),
        ({"aspect_ratio_range": (0.0, 1.0)}, "aspect ratios"),
        ({"area_range": (0.5, 1.1)}, "areas"),
        ({"min_object_covered": 1.5}, "min_object_covered"),
        ({"overlap_thresh": -0.1}, "overlap_thresh"),
        ({"random_coef": 2.0}, "random_coef"),
    ],
)
def test_values_out_of_range_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        crop.RandomCrop(**values)
