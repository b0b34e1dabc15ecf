import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing import crop, pad, ssd_crop
from object_detection.preprocessing.sample_examples import draw_many

SIZE_PX = (120, 200)
BOXES = np.float32([[0.1, 0.6, 0.4, 0.9], [0.3, 0.1, 0.9, 0.35]])
NO_CASE = crop.RandomCrop(0.0, (1.0, 1.0), (0.2, 0.3), 0.0)


def example(boxes=BOXES):
    """An image that tells the row and the column of each pixel."""
    rows, columns = np.mgrid[: SIZE_PX[0], : SIZE_PX[1]]
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    return {
        Fields.image: tf.constant(image),
        Fields.groundtruth_boxes: tf.constant(boxes),
        Fields.groundtruth_classes: tf.range(len(boxes), dtype=tf.int64),
    }


def run(step, count, *reads, given=None):
    """Returns what each of `reads` makes of the results of `count` seeds."""
    given = given or example()

    def read(result):
        parts = [tf.cast(read(result), tf.float32) for read in reads]
        return tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0)

    return draw_many(step, given, count, read)


def window(result):
    """[4] of a crop of the image of `example`."""
    image = result[Fields.image]
    return tf.concat(
        [tf.cast(image[0, 0, :2], tf.int32), tf.shape(image)[:2]], axis=0
    )


def image_size(result):
    return tf.shape(result[Fields.image])[:2]


def first_pixel(result):
    return result[Fields.image][0, 0]


def num_boxes(result):
    return tf.shape(result[Fields.groundtruth_boxes])[0]


def first_box(result):
    """[4], nine where there is none."""
    boxes_N4 = result[Fields.groundtruth_boxes]
    return tf.concat([boxes_N4, [[9.0] * 4]], axis=0)[0]


def is_whole(windows):
    return (windows[:, 2:] == SIZE_PX).all(axis=1)


def test_the_seven_cases_of_ssd():
    shares = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    assert ssd_crop.SSD_CROPS == tuple(
        crop.RandomCrop(share, (0.5, 2.0), (0.1, 1.0), share, True, 0.15)
        for share in shares
    )
    assert ssd_crop.SSD_CROP_PADS == tuple(
        ssd_crop.RandomCropPad(case, pad.PaddedSizeRatios((1, 1), (2, 2)), None)
        for case in ssd_crop.SSD_CROPS[1:]
    )


def test_each_case_is_as_likely_and_has_its_own_ranges():
    cases = [
        crop.RandomCrop(0.0, (ratio, ratio), (area, area + 0.01), 0.0)
        for ratio, area in ((0.5, 0.2), (1.0, 0.3), (1.0, 0.5), (2.0, 0.4))
    ]
    windows = run(ssd_crop.make_ssd_random_crop(cases), 600, window).T
    ratios = windows[3] / windows[2]
    areas = windows[2] * windows[3] / np.prod(SIZE_PX)
    counts = [
        np.sum(
            np.isclose(ratios, case.aspect_ratio_range[0], rtol=0.05)
            & np.isclose(areas, case.area_range[0], atol=0.03)
        )
        for case in cases
    ]
    assert sum(counts) == 600
    np.testing.assert_allclose(np.array(counts) / 150, 1, atol=0.25)


def test_a_case_has_its_own_share_overlap_and_clipping():
    cases = [
        crop.RandomCrop(0.0, (1.0, 1.0), (0.2, 0.3), 0.6, False),
        crop.RandomCrop(0.4, (1.5, 1.5), (0.2, 0.3), 0.0, True),
    ]
    box = np.float32([[0.2, 0.3, 0.5, 0.6]])
    step = ssd_crop.make_ssd_random_crop(cases)
    drawn = run(step, 300, window, num_boxes, first_box, given=example(box))
    windows, is_kept, boxes = drawn[:, :4], drawn[:, 4] > 0, drawn[:, 5:]
    box_px = box[0] * np.tile(SIZE_PX, 2)
    upper = windows[:, :2] + windows[:, 2:]
    sides = np.minimum(upper, box_px[2:]) - np.maximum(
        windows[:, :2], box_px[:2]
    )
    inside = sides.clip(0).prod(axis=1) / np.prod(box_px[2:] - box_px[:2])
    is_outside = ((boxes < -1e-5) | (boxes > 1 + 1e-5)).any(axis=1)

    is_first = windows[:, 3] < 1.2 * windows[:, 2]
    assert 120 < is_first.sum() < 180
    assert (is_kept == (inside >= 0.6))[is_first].all()
    assert 20 < is_kept[is_first].sum() < 120
    assert is_outside[is_first & is_kept & (inside < 0.95)].all()
    # Up to a part of a pixel at each side.
    assert inside[~is_first].min() > 0.35 and (inside[~is_first] < 0.55).any()
    assert is_kept[~is_first].all() and not is_outside[~is_first].any()


def test_every_case_has_its_own_chance_to_be_left_alone():
    def share_left_alone(*coefs):
        cases = [
            crop.RandomCrop(0.0, (1.0, 1.0), (0.2, 0.3), 0.0, random_coef=coef)
            for coef in coefs
        ]
        step = ssd_crop.make_ssd_random_crop(cases)
        return np.mean(is_whole(run(step, 400, window)))

    assert share_left_alone(0.0, 0.0) == 0
    assert abs(share_left_alone(0.0, 0.8) - 0.4) < 0.08
    assert abs(share_left_alone(0.15) - 0.15) < 0.06
    assert share_left_alone(1.0, 1.0) == 1


def test_what_is_left_alone_keeps_every_box():
    boxes = np.float32([[0.2, 0.3, 0.2, 0.9], [-0.1, 0.5, 1.1, 1.1]])
    given = {
        **example(boxes),
        "groundtruth_keypoints": tf.constant([[[1.05, 0.5]], [[0.5, 0.5]]]),
    }
    case = crop.RandomCrop(1.0, overlap_thresh=1.0, random_coef=1.0)
    result = ssd_crop.make_ssd_random_crop([case])(
        given, tf.constant([1, 2], tf.int64)
    )
    for key in given:
        np.testing.assert_array_equal(result[key], given[key])


@pytest.mark.parametrize("case", ssd_crop.SSD_CROPS[1:])
def test_windows_of_ssd_cover_enough_of_a_box(case):
    windows = run(ssd_crop.make_ssd_random_crop([case]), 60, window)
    lower, size = windows[:, np.newaxis, :2], windows[:, np.newaxis, 2:]
    boxes_px = BOXES * np.tile(SIZE_PX, 2)
    sides = np.minimum(lower + size, boxes_px[:, 2:]) - np.maximum(
        lower, boxes_px[:, :2]
    )
    covered = sides.clip(0).prod(axis=2) / (
        boxes_px[:, 2:] - boxes_px[:, :2]
    ).prod(axis=1)
    # Up to the rounding of a side to whole pixels.
    assert (covered.max(axis=1) > case.min_object_covered - 0.03).all()
    ratios = windows[:, 3] / windows[:, 2]
    areas = windows[:, 2:].prod(axis=1) / np.prod(SIZE_PX)
    assert ratios.min() > 0.49 and ratios.max() < 2.03
    assert areas.min() > 0.09 and len(np.unique(areas)) > 10


def test_a_fixed_aspect_ratio_is_that_of_every_window():
    cases = [
        crop.RandomCrop(0.0, (9.0, 9.0), area, 0.0, random_coef=coef)
        for area, coef in (((0.2, 0.4), 0.0), ((0.1, 0.2), 1.0))
    ]
    step = ssd_crop.make_ssd_random_crop_fixed_aspect_ratio(cases, 0.75)
    windows = run(step, 80, window)
    ratios = windows[:, 3] / windows[:, 2]
    np.testing.assert_allclose(ratios, 0.75, atol=0.02)
    # What the first crop leaves alone, the second cuts: 120 rows, 90 columns.
    is_left_alone = windows[:, 2] == 120
    assert set(windows[is_left_alone, 3]) == {90}
    assert 25 < is_left_alone.sum() < 55
    assert len(np.unique(windows[is_left_alone, 1])) > 15


def test_the_second_crop_of_a_fixed_aspect_ratio_wants_a_third_of_a_box():
    box = np.float32([[0.0, 0.0, 1.0, 0.5]])
    case = crop.RandomCrop(0.0, random_coef=1.0, clip_boxes=False)
    step = ssd_crop.make_ssd_random_crop_fixed_aspect_ratio([case], 1.0)

    drawn = run(step, 150, window, first_box, given=example(box))
    lefts, boxes = drawn[:, 1], drawn[:, 4:]
    # Columns 0 to 100 of 200 in a window of 120: 0.3 is 30 columns.
    is_kept = boxes[:, 0] < 9
    assert (is_kept == (lefts <= 70)).all() and not is_kept.all()
    assert (boxes[is_kept, 1] == 0).all()


def test_a_padded_fixed_aspect_ratio():
    ratios = pad.PaddedSizeRatios((1.0, 1.0), (1.5, 3.0))
    step = ssd_crop.make_ssd_random_crop_pad_fixed_aspect_ratio(
        [NO_CASE], 2.0, ratios
    )

    def inner(result):
        image = result[Fields.image]
        is_image = tf.reduce_any(image > 0, axis=2)
        rows = tf.reduce_sum(tf.cast(tf.reduce_any(is_image, 1), tf.int32))
        columns = tf.reduce_sum(tf.cast(tf.reduce_any(is_image, 0), tf.int32))
        return tf.stack([rows, columns, tf.cast(is_image[0, 0], tf.int32)])

    height, width, rows, columns, is_origin = run(step, 80, image_size, inner).T
    assert np.abs(width - 2 * height).max() <= 1
    np.testing.assert_allclose(rows, columns, atol=1)
    scales = height / rows
    assert 0.99 < scales.min() < 1.1 and 1.4 < scales.max() < 1.51
    assert is_origin.all()


def padded(crop_pads, count):
    """Returns sizes before and after padding, offsets and first pixels."""
    step = ssd_crop.make_ssd_random_crop_pad(crop_pads)
    whole = example(np.float32([[0.0, 0.0, 1.0, 1.0]]))

    drawn = run(step, count, image_size, first_box, first_pixel, given=whole)
    size, box, color = drawn[:, :2], drawn[:, 2:6], drawn[:, 6:]
    corners = box * np.tile(size, 2)
    return size, corners[:, 2:] - corners[:, :2], corners[:, :2], color


def test_padded_sizes_are_ratios_of_the_size_before_the_crop():
    ratios = pad.PaddedSizeRatios((1.1, 1.25), (1.5, 1.75))
    case = ssd_crop.RandomCropPad(NO_CASE, ratios, (1.0, 2.0, 3.0))
    size, inner, offset, _ = padded([case], 200)
    # int(120 * 1.1) to int(120 * 1.5) - 1, 250 to 349.
    assert size[:, 0].min() >= 132 and size[:, 0].max() <= 179
    assert size[:, 1].min() >= 250 and size[:, 1].max() <= 349
    assert np.ptp(size[:, 0]) > 40 and np.ptp(size[:, 1]) > 85
    assert (offset >= -0.01).all() and (offset + inner <= size + 0.01).all()
    assert np.ptp(offset[:, 0]) > 80 and np.ptp(offset[:, 1]) > 180


def test_a_case_has_its_own_padding():
    cases = [
        ssd_crop.RandomCropPad(
            NO_CASE, pad.PaddedSizeRatios((ratio,) * 2, (ratio,) * 2), color
        )
        for ratio, color in ((1.5, (1.0, 2.0, 3.0)), (2.0, (4.5, 5.0, 6.0)))
    ]
    size, _, offset, color = padded(cases, 200)
    is_second = size[:, 0] == 240
    assert (size[~is_second] == [180, 300]).all()
    assert (size[is_second] == [240, 400]).all()
    assert 70 < is_second.sum() < 130
    is_padding = (np.round(offset) > 0).any(axis=1)
    assert (color[is_padding & is_second] == [4.5, 5, 6]).all()
    assert (color[is_padding & ~is_second] == [1, 2, 3]).all()


def test_the_mean_is_that_of_the_cropped_image():
    ratios = pad.PaddedSizeRatios((2.0, 2.0), (2.0, 2.0))
    step = ssd_crop.make_random_crop_pad_image(
        ssd_crop.RandomCropPad(NO_CASE, ratios)
    )
    given = example(np.float32([[0.0, 0.0, 1.0, 1.0]]))
    for position in range(5):
        result = step(given, tf.constant([3, position], tf.int64))
        image = result[Fields.image].numpy()
        assert image.shape == (240, 400, 3)
        top, left, bottom, right = np.round(
            result[Fields.groundtruth_boxes][0].numpy() * [240, 400, 240, 400]
        ).astype(int)
        inner = image[top:bottom, left:right]
        np.testing.assert_allclose(image[-1, -1], inner.mean((0, 1)), rtol=1e-4)
        assert np.ptp(inner[:, :, 0]) == bottom - top - 1


def test_colors_of_all_cases_or_of_none():
    cases = [
        ssd_crop.RandomCropPad(NO_CASE, color=color)
        for color in (None, pad.BLACK)
    ]
    with pytest.raises(ValueError, match="all cases"):
        ssd_crop.make_ssd_random_crop_pad(cases)


def test_one_sampler_a_distinct_pair_of_ranges():
    def num_samplers(crops):
        @tf.function
        def graph():
            return ssd_crop.make_ssd_random_crop(crops)(
                example(), tf.constant([1, 2], tf.int64)
            )[Fields.groundtruth_boxes]

        definition = graph.get_concrete_function().graph.as_graph_def()
        nodes = [*definition.node]
        for function in definition.library.function:
            nodes += function.node_def
        return sum("SampleDistorted" in node.op for node in nodes)

    assert num_samplers(ssd_crop.SSD_CROPS) == 1
    other = crop.RandomCrop(0.5, (0.5, 2.0), (0.2, 1.0), 0.5)
    assert num_samplers([*ssd_crop.SSD_CROPS, other, other]) == 2
