import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import examples, pad
from object_detection.preprocessing.sample_examples import draw_many

IMAGE = np.uint8(
    [
        [[10, 50, 90], [20, 60, 100], [30, 70, 110]],
        [[11, 51, 91], [21, 61, 101], [32, 71, 113]],
    ]
)
BOXES = np.float32([[0, 0, 1, 1], [0.5, 1 / 3, 1, 2 / 3]])


def example(image=IMAGE, **extra):
    return {
        Fields.image: tf.constant(image),
        Fields.groundtruth_boxes: tf.constant(BOXES),
        Fields.groundtruth_area: tf.constant([6.0, 1.0]),
        **extra,
    }


def pad_example(color, given=None, size_px=(5, 7), offset_px=(1, 3)):
    return pad.pad_example(
        given or example(),
        tf.constant(size_px),
        tf.constant(offset_px),
        None if color is None else pad.color_tensor(color),
    )


@pytest.mark.parametrize(
    ("color", "filled", "dtype"),
    [
        ((4, 5, 255), (4, 5, 255), tf.uint8),
        ((4, 5.5, 6), (4, 5.5, 6), tf.float32),
        ((4, 5, 256), (4, 5, 256), tf.float32),
        ((-1, 5, 6), (-1, 5, 6), tf.float32),
        (None, (124 / 6, 363 / 6, 605 / 6), tf.float32),
    ],
)
def test_pixels_and_their_surroundings(color, filled, dtype):
    padded = pad_example(color)[Fields.image]
    assert padded.dtype == dtype
    expected = np.empty((5, 7, 3))
    expected[:] = filled
    expected[1:3, 3:6] = IMAGE
    np.testing.assert_allclose(padded, expected, rtol=1e-6)


def test_images_of_floats_stay_so():
    padded = pad_example((4, 5, 6), example(np.float32(IMAGE) + 0.25))
    assert padded[Fields.image].dtype == tf.float32
    np.testing.assert_array_equal(
        padded[Fields.image][1, 3], IMAGE[0, 0] + 0.25
    )
    np.testing.assert_array_equal(padded[Fields.image][4, 6], [4, 5, 6])


def test_additional_channels_are_padded_with_0_or_their_mean():
    image = np.concatenate([IMAGE, IMAGE[..., :2] + 100], axis=2)
    given = pad_example((4, 5, 6), example(image))[Fields.image]
    np.testing.assert_array_equal(given[0, 0], [4, 5, 6, 0, 0])
    np.testing.assert_array_equal(given[1:3, 3:6], image)
    mean = pad_example(None, example(image))[Fields.image]
    np.testing.assert_allclose(mean[4, 1], image.mean((0, 1)), rtol=1e-6)


def test_a_gray_image_has_a_mean_but_takes_no_color():
    gray = example(IMAGE[..., :1])
    padded = pad_example(None, gray)[Fields.image]
    np.testing.assert_allclose(padded[0, 0], [124 / 6], rtol=1e-6)
    with pytest.raises(examples.StepError, match="got 1 channel"):
        pad_example((1, 2, 3), gray)


def test_boxes_masks_and_keypoints_move_along():
    masks = np.float32(np.random.default_rng(0).random((2, 2, 3)) > 0.5)
    keypoints = np.float32([[[0, 1], [0.5, 0.5]], [[1, 0], [np.nan] * 2]])
    padded = pad_example(
        (0, 0, 0),
        example(
            groundtruth_instance_masks=tf.constant(masks),
            groundtruth_keypoints=tf.constant(keypoints),
        ),
    )
    np.testing.assert_allclose(
        padded[Fields.groundtruth_boxes],
        [[1 / 5, 3 / 7, 3 / 5, 6 / 7], [2 / 5, 4 / 7, 3 / 5, 5 / 7]],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(
        padded[Fields.groundtruth_instance_masks],
        np.pad(masks, [(0, 0), (1, 2), (3, 1)]),
    )
    np.testing.assert_allclose(
        padded[Fields.groundtruth_keypoints],
        [
            [[1 / 5, 6 / 7], [2 / 5, 4.5 / 7]],
            [[3 / 5, 3 / 7], [np.nan, np.nan]],
        ],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(padded[Fields.groundtruth_area], [6, 1])


def test_boxes_beyond_the_image_are_not_cut():
    wide = {**example(), Fields.groundtruth_boxes: [[-0.5, -2.0, 1.5, 2.0]]}
    wide[Fields.groundtruth_boxes] = tf.constant(wide[Fields.groundtruth_boxes])
    np.testing.assert_allclose(
        pad_example((0, 0, 0), wide)[Fields.groundtruth_boxes],
        [[0, -3 / 7, 4 / 5, 9 / 7]],
        atol=1e-6,
    )


def test_no_boxes():
    none = examples.keep_boxes(example(), tf.zeros([2], tf.bool))
    padded = pad_example(None, none)
    assert padded[Fields.groundtruth_boxes].shape == (0, 4)
    assert padded[Fields.image].shape == (5, 7, 3)


def draw(count, image_size_px, **options):
    """Returns int [count, 4]: padded size and offset of the image."""
    step = pad.make_random_pad_image(color=(0, 0, 0), **options)
    given = example(np.full((*image_size_px, 3), 9, np.uint8))

    def size_and_offset(padded):
        size = tf.cast(tf.shape(padded[Fields.image])[:2], tf.float32)
        offset = padded[Fields.groundtruth_boxes][0, :2] * size
        return tf.concat([size, tf.round(offset)], axis=0)

    return draw_many(step, given, count, size_and_offset).astype(int)


def test_by_default_up_to_twice_the_image():
    height, width, top, left = draw(600, (4, 7)).T
    assert set(height) == {4, 5, 6, 7} and set(width) == set(range(7, 14))
    np.testing.assert_allclose(np.bincount(height)[4:] / 150, 1, atol=0.3)
    # An offset is below the number of added rows, 0 where there are none.
    assert set(top[height == 4]) == {0} == set(top[height == 5])
    assert set(top[height == 7]) == {0, 1, 2}
    assert set(left[width == 13]) == set(range(6))
    # The sides are drawn independently.
    assert len({*zip(height, width, strict=True)}) == 28


def test_given_sizes_bound_the_drawn_ones():
    height, width, _, _ = draw(
        200, (4, 7), min_size_px=(6, 9), max_size_px=(9, 11)
    ).T
    assert set(height) == {6, 7, 8} and set(width) == {9, 10}


def test_sizes_are_raised_to_those_of_the_image():
    height, width, top, left = draw(
        60, (4, 7), min_size_px=(2, 3), max_size_px=(3, 9)
    ).T
    assert set(height) == {4} and set(width) == {7, 8}
    assert not top.any() and not left.any()


def test_without_a_range_the_greatest_size_counts():
    height, width, top, _ = draw(
        60, (4, 7), min_size_px=(10, 8), max_size_px=(10, 8)
    ).T
    assert set(height) == {10} and set(width) == {8}
    assert set(top) == set(range(6))
