"""What holds of every crop by IoU."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.preprocessing.iou_crop import (
    IouCrop,
    Rule,
    make_ssd_iou_crop,
)
from object_detection.preprocessing.sample_examples import seed_of
from object_detection.preprocessing.sample_iou_crops import (
    SIZE_PX,
    draw,
    make_example,
)

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
every_rule = pytest.mark.parametrize("rule", Rule)


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
        (SMALL_BOXES, SMALL_SIZE_PX, 0.2, False),
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
@pytest.mark.parametrize("size_px", [(1, 9)])
def test_images_of_few_pixels(rule, size_px):
    windows, _ = draw(
        40, np.float32([[0, 0, 1, 1]]), size_px, rule=rule, min_ious=(0.0,)
    )
    assert (windows[:, 2:] > windows[:, :2]).all()
    assert windows.min() >= 0 and (windows[:, 2:] <= size_px).all()


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
