import numpy as np
import pytest
import tensorflow as tf

from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.preprocessing.iou_crop import (
    IouCrop,
    Rule,
    make_ssd_iou_crop,
)
from object_detection.preprocessing.sample_examples import (
    assert_uniform,
    draw_many,
    seed_of,
)

SIZE_PX = (120, 200)
BOXES = np.float32(
    [
        [0.1, 0.15, 0.7, 0.8],
        [0.3, 0.1, 0.9, 0.35],
        [0.5, 0.55, 0.95, 0.9],
        [0.05, 0.7, 0.15, 0.75],
    ]
)
# Centres on whole pixels of an image so small that windows often end there.
SMALL_SIZE_PX = (8, 10)
SMALL_BOXES = np.float32([[0.125, 0.1, 0.875, 0.9], [0.5, 0.2, 0.75, 0.6]])
# One of them is in every window, none has an IoU to speak of.
GRID = np.reshape(
    np.stack(np.meshgrid(np.arange(12), np.arange(12)), axis=-1), [-1, 2]
)
GRID = np.float32(np.concatenate([GRID + 0.4, GRID + 0.6], axis=1) / 12)
every_rule = pytest.mark.parametrize("rule", Rule)


def make_example(boxes, size_px=SIZE_PX):
    """An image that tells the row and the column of each pixel."""
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    return {
        Fields.image: tf.constant(image),
        Fields.groundtruth_boxes: tf.constant(np.reshape(boxes, [-1, 4])),
        Fields.groundtruth_classes: tf.range(len(boxes), dtype=tf.int64),
    }


def draw(count, boxes=BOXES, size_px=SIZE_PX, **parameters):
    """Returns windows [count, 4] yxyx and boxes [count, n, 4], NaN dropped."""
    step = make_ssd_iou_crop(IouCrop(**parameters))

    def read(result):
        image = result[Fields.image]
        first = tf.cast(image[0, 0, :2], tf.int32)
        window = tf.concat([first, first + tf.shape(image)[:2]], axis=0)
        found = tf.tensor_scatter_nd_update(
            tf.fill([len(boxes), 4], float("nan")),
            result[Fields.groundtruth_classes][:, tf.newaxis],
            result[Fields.groundtruth_boxes],
        )
        return tf.concat(
            [tf.cast(window, tf.float32), tf.reshape(found, [-1])], axis=0
        )

    drawn = draw_many(step, make_example(boxes, size_px), count, read)
    return drawn[:, :4], drawn[:, 4:].reshape(count, -1, 4)


def is_whole(windows, size_px=SIZE_PX):
    return (windows == [0, 0, *size_px]).all(axis=1)


def iou_of(window, boxes_px):
    """IoU of one window and each box, by counting areas."""
    lower = np.maximum(window[:2], boxes_px[:, :2])
    upper = np.minimum(window[2:], boxes_px[:, 2:])
    shared = np.prod(np.clip(upper - lower, 0, None), axis=1)
    areas = np.prod(boxes_px[:, 2:] - boxes_px[:, :2], axis=1)
    return shared / (np.prod(window[2:] - window[:2]) + areas - shared)


def obeys(rule, iou_N, min_iou):
    slack = 1e-5
    if rule == Rule.BEST_BOX:
        return iou_N.max() >= min_iou - slack
    if rule == Rule.ALL_BOXES:
        return iou_N.min() >= min_iou - slack
    is_mixed = (
        iou_N[iou_N > 0].min() < min_iou - slack
        and iou_N.max() > min_iou + 0.2 + slack
    )
    return not is_mixed


@every_rule
@pytest.mark.parametrize(
    ("boxes", "size_px", "min_iou", "clip_boxes"),
    [
        (BOXES, SIZE_PX, 0.0, True),
        (BOXES[:2], SIZE_PX, 0.3, False),
        (BOXES[:3], SIZE_PX, 0.1, True),
        (SMALL_BOXES, SMALL_SIZE_PX, 0.1, False),
        (SMALL_BOXES, SMALL_SIZE_PX, 0.3, True),
    ],
)
def test_every_crop_obeys_its_rule(rule, boxes, size_px, min_iou, clip_boxes):
    windows, found = draw(
        200, boxes, size_px, rule=rule, min_ious=(min_iou,),
        clip_boxes=clip_boxes,
    )  # fmt: skip
    # Centres on the border are so in this precision.
    boxes_px = boxes * np.tile(np.float32(size_px), 2)
    centers = (boxes_px[:, :2] + boxes_px[:, 2:]) / 2
    num_cut = 0
    for window, result in zip(windows, found, strict=True):
        if (window == [0, 0, *size_px]).all():
            np.testing.assert_allclose(result, boxes, atol=1e-6)
            continue
        num_cut += 1
        assert obeys(rule, iou_of(window, boxes_px), min_iou)
        inside = (centers > window[:2]) & (centers < window[2:])
        is_kept = inside.all(axis=1)
        assert is_kept.any()
        np.testing.assert_array_equal(~np.isnan(result[:, 0]), is_kept)
        side_px = np.tile(window[2:] - window[:2], 2)
        expected = (boxes_px - np.tile(window[:2], 2)) / side_px
        if clip_boxes:
            expected = np.clip(expected, 0, 1)
        np.testing.assert_allclose(
            result[is_kept], expected[is_kept], atol=1e-5
        )
    assert 5 < num_cut < 190


def test_best_box_draws_scale_and_aspect_ratio_and_place():
    windows, _ = draw(
        1200, GRID, rule=Rule.BEST_BOX, min_ious=(0.0,), scales=(0.4, 1.0),
        aspect_ratios=(0.5, 3.0), max_trials=2,
    )  # fmt: skip
    windows = windows[~is_whole(windows)]
    # The border is cut to whole pixels.
    sides = (windows[:, 2:] - windows[:, :2]) / SIZE_PX
    scales = np.sqrt(sides.prod(axis=1))
    ratios = sides[:, 1] / sides[:, 0]
    rounding = 1 / min(SIZE_PX)
    assert scales.min() > 0.4 - 2 * rounding and scales.max() <= 1
    assert abs(scales.mean() - 0.7) < 0.02 and scales.max() > 0.98
    np.testing.assert_allclose(
        np.histogram(scales, 4, (0.4, 1.0))[0] / len(scales), 0.25, atol=0.06
    )
    low = np.maximum(0.5, scales**2)
    high = np.minimum(3.0, scales**-2)
    is_wide = high - low > 0.5
    shares = ((ratios - low) / (high - low))[is_wide]
    assert shares.min() > -0.1 and shares.max() < 1.1
    np.testing.assert_allclose(
        np.histogram(shares, 4, (0, 1))[0] / len(shares), 0.25, atol=0.06
    )
    assert ratios.min() < 0.6 and ratios.max() > 2.8
    for axis in range(2):
        is_free = sides[:, axis] < 0.7
        room = 1 - sides[is_free, axis]
        places = windows[is_free, axis] / SIZE_PX[axis] / room
        assert places.min() >= 0 and places.max() <= 1
        assert abs(places.mean() - 0.5) < 0.05
        assert places.min() < 0.05 and places.max() > 0.94


@pytest.mark.parametrize("rule", [Rule.ALL_BOXES, Rule.NOT_MIXED])
@pytest.mark.parametrize("in_pixels", [False, True])
def test_the_others_draw_sides_until_their_ratio_fits(rule, in_pixels):
    low, high = 0.8, 2.5
    windows, _ = draw(
        700, GRID, rule=rule, min_ious=(0.0,) * 9, scales=(0.3, 0.9),
        aspect_ratios=(low, high), aspect_ratio_in_pixels=in_pixels,
        max_trials=12,
    )  # fmt: skip
    windows = windows[~is_whole(windows)]
    sides = (windows[:, 2:] - windows[:, :2]) / SIZE_PX
    pixel_ratio = SIZE_PX[1] / SIZE_PX[0] if in_pixels else 1.0
    rounding = 1 / min(SIZE_PX)
    assert sides.min() > 0.3 - 2 * rounding and sides.max() <= 0.9 + rounding
    ratios = sides[:, 1] / sides[:, 0] * pixel_ratio
    assert ratios.min() > low * 0.94 and ratios.max() < high * 1.06
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.3, 0.9, (100000, 2))
    expected_ratios = expected[:, 1] / expected[:, 0] * pixel_ratio
    expected = expected[(expected_ratios >= low) & (expected_ratios <= high)]
    # Cutting to whole pixels takes half a pixel off, on average none.
    np.testing.assert_allclose(
        np.quantile(sides, [0.1, 0.5, 0.9], axis=0),
        np.quantile(expected, [0.1, 0.5, 0.9], axis=0),
        atol=0.04,
    )
    places = windows[:, :2] / SIZE_PX / (1 - sides)
    assert np.abs(places.mean(axis=0) - 0.5).max() < 0.05
    assert places.min() < 0.01 and places.max() > 0.98


# With large crops the IoU of the first is above 0.8 and that of the second
# below 0.1.
MIXED = np.float32([[0, 0, 1, 1], [0.4, 0.4, 0.6, 0.6]])


@pytest.mark.parametrize(
    ("rule", "min_ious", "expected"),
    [
        # One more option is the image as it is.
        (Rule.BEST_BOX, (0.0,), 1 / 2),
        (Rule.BEST_BOX, (0.0, 0.0, 0.0), 1 / 4),
        # What is not found is not among those to choose from.
        (Rule.BEST_BOX, (0.0, 1.0, 0.0), 1 / 3),
        (Rule.BEST_BOX, (1.0,), 1),
        (Rule.ALL_BOXES, (0.0, 0.0, 0.0), 1 / 4),
        # Drawn anew.
        (Rule.ALL_BOXES, (0.5, 0.0), 1 / 2),
        (Rule.ALL_BOXES, (0.5, 0.5, 0.5), 1),
        (Rule.NOT_MIXED, (0.0, 0.0, 0.0), 1 / 4),
        # Drawn once.
        (Rule.NOT_MIXED, (0.5, 0.0), 2 / 3),
        (Rule.NOT_MIXED, (0.5, 0.5, 0.0), 3 / 4),
        # 0.94 ** 2 does not exceed this by 0.2.
        (Rule.NOT_MIXED, (0.7, 0.0), 1 / 3),
    ],
)
def test_share_of_images_that_stay_as_they_are(rule, min_ious, expected):
    windows, _ = draw(
        600, MIXED, rule=rule, min_ious=min_ious, scales=(0.9, 0.94)
    )
    share = is_whole(windows).mean()
    sigma = (expected * (1 - expected) / 600) ** 0.5
    assert abs(share - expected) <= 4.5 * sigma


def test_every_least_iou_is_as_likely():
    # The only box fills the image, so an IoU is the share of the area.
    whole = np.float32([[0, 0, 1, 1]])
    min_ious = (0.2, 0.8)
    for rule, max_trials in ((Rule.BEST_BOX, 300), (Rule.ALL_BOXES, 100)):
        parameters = {"rule": rule, "scales": (0.5, 1.0)}
        windows, _ = draw(
            600, whole, min_ious=min_ious, max_trials=max_trials, **parameters
        )
        windows = windows[~is_whole(windows)]
        sides = (windows[:, 2:] - windows[:, :2]) / SIZE_PX
        share_large = np.mean(sides.prod(axis=1) >= 0.8)
        # The rest is of the first.
        alone, _ = draw(1000, whole, min_ious=min_ious[:1], **parameters)
        alone = alone[~is_whole(alone)]
        sides = (alone[:, 2:] - alone[:, :2]) / SIZE_PX
        large_of_first = np.mean(sides.prod(axis=1) >= 0.8)
        expected = (large_of_first + 1) / 2
        if rule == Rule.ALL_BOXES:
            # A trial with the second is taken as often as it happens to be
            # large.
            expected = 2 * large_of_first / (1 + large_of_first)
        assert abs(share_large - expected) < 0.08


def test_trials_end():
    box = np.float32([[0.4, 0.4, 0.6, 0.6]])

    def share_cut(num_trials):
        windows, _ = draw(
            500, box, rule=Rule.BEST_BOX, min_ious=(0.25,),
            max_trials=num_trials,
        )  # fmt: skip
        return 2 * (1 - is_whole(windows).mean())

    once = share_cut(1)
    assert 0.02 < once < 0.3
    expected = 1 - (1 - once) ** 12
    assert abs(share_cut(12) - expected) < 0.2
    assert share_cut(200) > 0.85


@every_rule
@pytest.mark.parametrize(
    "boxes",
    [
        np.zeros([0, 4], np.float32),
        # Without an area, or without one in the image.
        np.float32([[0.5, 0.4, 0.5, 0.7], [0.3, 0.6, 0.8, 0.6]]),
        np.float32([[1.1, 1.2, 1.5, 1.4]]),
    ],
)
def test_where_no_crop_keeps_a_box_the_image_stays(rule, boxes):
    given = make_example(boxes)
    step = make_ssd_iou_crop(IouCrop(rule, min_ious=(0.0,)))
    for position in range(4):
        result = step(given, seed_of(position))
        tf.nest.map_structure(np.testing.assert_array_equal, result, given)


@every_rule
@pytest.mark.parametrize("size_px", [(1, 1), (1, 9)])
def test_images_of_few_pixels(rule, size_px):
    windows, _ = draw(
        40, np.float32([[0, 0, 1, 1]]), size_px, rule=rule, min_ious=(0.0,)
    )
    assert (windows[:, 2:] > windows[:, :2]).all()
    assert windows.min() >= 0 and (windows[:, 2:] <= size_px).all()


def test_a_narrow_range_of_scales_is_uniform():
    windows, _ = draw(
        1000, GRID, rule=Rule.ALL_BOXES, min_ious=(0.0,) * 30,
        scales=(0.5, 0.75), max_trials=4,
    )  # fmt: skip
    windows = windows[~is_whole(windows)]
    for axis, size_px in enumerate(SIZE_PX):
        sides = (windows[:, 2 + axis] - windows[:, axis]) / size_px
        rng = np.random.default_rng(axis)
        # Between the pixels.
        sides += rng.uniform(-0.5, 0.5, len(sides)) / size_px
        inner = np.clip(sides, 0.5, 0.75)
        assert np.abs(sides - inner).max() < 1.6 / size_px
        assert_uniform(inner, 0.5, 0.75)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"min_ious": ()}, "min_iou must have at least one"),
        ({"min_ious": (0.1, 1.5)}, r"min_iou must be in \[0, 1\], got 1.5"),
        ({"max_trials": 0}, "max_trials must be at least 1, got 0"),
        ({"scales": (0.0, 1.0)}, "scales must"),
        ({"scales": (0.5, 1.5)}, "scales must"),
        ({"aspect_ratios": (2.0, 0.5)}, "aspect ratios must"),
    ],
)
def test_values_out_of_range_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        IouCrop(**parameters)
