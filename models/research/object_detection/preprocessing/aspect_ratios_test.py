import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import aspect_ratios, pad
from object_detection.preprocessing.sample_examples import draw_many, seed_of

BOXES = np.float32([[0.25, 0.25, 0.75, 0.5], [0.1, 0.0, 0.9, 0.2]])


def example(size_px=(20, 30)):
    """An image whose first two channels are the rows and the columns."""
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    return {
        Fields.image: tf.constant(image),
        Fields.groundtruth_boxes: tf.constant(BOXES),
        Fields.groundtruth_classes: tf.constant([3, 1], tf.int64),
        Fields.groundtruth_group_of: tf.constant([False, True]),
    }


def size_of(result):
    return tf.cast(tf.shape(result[Fields.image])[:2], tf.float32)


def first_column(result):
    return tf.cast(result[Fields.image][0, 0, 1], tf.float32)


@pytest.mark.parametrize(
    ("size_px", "aspect_ratio", "expected"),
    [
        ((20, 30), 1.0, (20, 20)),
        ((30, 20), 1.0, (20, 20)),
        ((20, 30), 1.5, (20, 30)),
        ((20, 30), 0.33, (20, 7)),
        ((20, 30), 4.0, (8, 30)),  # 7.5 rows
        ((20, 30), 100.0, (1, 30)),
    ],
)
def test_the_largest_window_of_the_shape(size_px, aspect_ratio, expected):
    step = aspect_ratios.make_random_crop_to_aspect_ratio(aspect_ratio)
    cropped = step(example(size_px), seed_of(0))[Fields.image]
    assert cropped.shape[:2] == expected


def test_every_place_is_as_likely():
    step = aspect_ratios.make_random_crop_to_aspect_ratio(1.0)

    lefts = draw_many(step, example((8, 11)), 400, first_column)
    counts = np.bincount(lefts.astype(int))
    assert len(counts) == 4
    np.testing.assert_allclose(counts / 100, 1, atol=0.3)


def test_boxes_by_hand():
    step = aspect_ratios.make_random_crop_to_aspect_ratio(1.0, 0.3)
    seen = set()
    for position in range(40):
        cropped = step(example(), seed_of(position))
        left = int(first_column(cropped))
        # Columns 7.5 to 15 and 0 to 6 of 30: how much of them is inside.
        inside = [(15 - max(left, 7.5)) / 7.5, max(0, 6 - left) / 6]
        kept = [number for number in (0, 1) if inside[number] >= 0.3]
        seen.add(tuple(kept))
        expected = BOXES.copy()
        expected[:, 1::2] = (BOXES[:, 1::2] * 30 - left) / 20
        np.testing.assert_allclose(
            cropped[Fields.groundtruth_boxes],
            expected.clip(0, 1)[kept],
            atol=1e-5,
        )
        np.testing.assert_array_equal(
            cropped[Fields.groundtruth_group_of], np.array([False, True])[kept]
        )
    assert seen == {(0, 1), (0,)}


def test_overlap_and_clipping_are_the_given_ones():
    def boxes(overlap_thresh, clip_boxes, left):
        step = aspect_ratios.make_random_crop_to_aspect_ratio(
            1.0, overlap_thresh, clip_boxes
        )
        for position in range(100):
            cropped = step(example(), seed_of(position))
            if first_column(cropped) == left:
                return cropped[Fields.groundtruth_boxes].numpy()
        raise AssertionError(f"no window began at {left}")

    # From column 4 on a third of the second box is left.
    assert len(boxes(0.3, True, 4)) == 2
    assert len(boxes(0.4, True, 4)) == 1
    assert len(boxes(0.0, True, 6)) == 1
    assert boxes(0.3, True, 4)[1, 1] == 0
    np.testing.assert_allclose(boxes(0.3, False, 4)[1, 1], -0.2, atol=1e-6)


@pytest.mark.parametrize("values", [(0.0,), (-1.0,), (float("inf"),), (1, 2.0)])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match="aspect_ratio|overlap_thresh"):
        aspect_ratios.make_random_crop_to_aspect_ratio(*values)


def padded_sizes(aspect_ratio, ratios, size_px=(20, 30), count=100):
    def step(given, seed):
        return aspect_ratios.pad_to_aspect_ratio(
            given, aspect_ratio, ratios, seed
        )

    return draw_many(step, example(size_px), count, size_of)


def test_padding_goes_to_the_bottom_and_the_right_and_is_black():
    ratios = pad.PaddedSizeRatios((1.0, 1.0), (1.0, 1.0))
    padded = aspect_ratios.pad_to_aspect_ratio(
        example(), 1.0, ratios, seed_of(1)
    )
    image = padded[Fields.image].numpy()
    assert image.shape == (30, 30, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image[:20], example()[Fields.image])
    assert not image[20:].any()
    np.testing.assert_allclose(
        padded[Fields.groundtruth_boxes],
        BOXES * np.float32([2 / 3, 1, 2 / 3, 1]),
        rtol=1e-6,
    )


def test_the_scale_is_uniform_inside_the_ratios():
    heights, widths = padded_sizes(1.0, pad.PaddedSizeRatios(), count=300).T
    np.testing.assert_array_equal(heights, widths)
    # At least 30 rows to be square, at most 2 * 20 by the height.
    assert heights.min() == 30 and heights.max() == 40
    np.testing.assert_allclose(heights.mean(), 35, atol=0.6)


@pytest.mark.parametrize(
    ("aspect_ratio", "minimum", "maximum", "lowest", "highest"),
    [
        # 30 x 30 needs 1.5 times the height: scaled by 1.4 to 1.6.
        (1.0, (1.0, 1.4), (2.4, 3.0), 42, 48),
        (1.0, (2.2, 1.0), (4.0, 1.5), 44, 45),
        # 20 x 40: the width is already 4 / 3.
        (2.0, (1.0, 1.0), (1.5, 1.5), 20, 22),
    ],
)
def test_both_ratios_bound_the_scale(
    aspect_ratio, minimum, maximum, lowest, highest
):
    heights, widths = padded_sizes(
        aspect_ratio, pad.PaddedSizeRatios(minimum, maximum)
    ).T
    assert abs(heights.min() - lowest) <= 1
    assert abs(heights.max() - highest) <= 1
    assert np.abs(widths - aspect_ratio * heights).max() <= 1


def test_the_shape_counts_where_the_ratios_do_not_admit_it():
    ratios = pad.PaddedSizeRatios((1.0, 1.0), (1.1, 1.1))
    sizes = padded_sizes(4.0, ratios, size_px=(25, 20))
    np.testing.assert_array_equal(sizes, [[25, 100]] * 100)
