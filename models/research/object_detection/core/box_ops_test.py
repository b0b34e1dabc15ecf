import numpy as np
import pytest

from object_detection.core import box_ops, region_similarity

BOX_YXYX = np.float32([[1.0, 2.0, 4.0, 10.0]])
BOX_CYXHW = np.float32([[2.5, 6.0, 3.0, 8.0]])


def test_area_is_height_times_width():
    np.testing.assert_array_equal(box_ops.area_yxyx(BOX_YXYX), [24.0])


def test_corners_to_centre_and_size():
    np.testing.assert_array_equal(box_ops.yxyx_to_cyxhw(BOX_YXYX), BOX_CYXHW)


def test_centre_and_size_to_corners():
    np.testing.assert_array_equal(box_ops.cyxhw_to_yxyx(BOX_CYXHW), BOX_YXYX)


def test_corners_are_put_in_order():
    inverted = np.float32([[4.0, 2.0, 1.0, 10.0], [1.0, 10.0, 4.0, 2.0]])
    np.testing.assert_array_equal(
        box_ops.order_corners_yxyx(inverted), np.tile(BOX_YXYX, (2, 1))
    )


def test_clip_moves_corners_into_the_window():
    boxes = np.float32([[-1.0, -2.0, 0.5, 9.0], [5.0, 6.0, 7.0, 8.0]])
    window = np.float32([0.0, 0.0, 2.0, 3.0])
    np.testing.assert_array_equal(
        box_ops.clip_yxyx(boxes, window),
        [[0.0, 0.0, 0.5, 3.0], [2.0, 3.0, 2.0, 3.0]],
    )


def test_clip_takes_a_window_for_each_image():
    boxes = np.float32([[[0, 0, 9, 9]], [[0, 0, 9, 9]]])
    windows = np.float32([[0, 0, 1, 2], [0, 0, 3, 4]])[:, None]
    np.testing.assert_array_equal(
        box_ops.clip_yxyx(boxes, windows),
        [[[0, 0, 1, 2]], [[0, 0, 3, 4]]],
    )


def test_pairwise_iou_by_hand():
    boxes = np.float32([[0, 0, 2, 3], [5, 5, 6, 6]])
    anchors = np.float32([[1, 1, 4, 5], [0, 0, 2, 3], [2, 0, 4, 3]])
    # First pair: 1 x 2 in common, 6 + 12 - 2 together. Third: an edge.
    np.testing.assert_allclose(
        box_ops.pairwise_iou(boxes, anchors), [[2 / 16, 1, 0], [0, 0, 0]]
    )


def test_iou_of_empty_boxes_is_zero():
    empty = np.zeros((1, 4), np.float32)
    np.testing.assert_array_equal(box_ops.pairwise_iou(empty, empty), [[0.0]])


def test_pairwise_iou_of_a_batch_is_that_of_its_images():
    rng = np.random.default_rng(3)
    boxes, anchors = rng.random((2, 3, 4)), rng.random((5, 4))
    batched = box_ops.pairwise_iou(boxes, anchors)
    looped = [box_ops.pairwise_iou(image, anchors) for image in boxes]
    np.testing.assert_array_equal(batched, np.stack(looped))


@pytest.mark.parametrize(
    "similarity, expected",
    [
        (region_similarity.iou, 2 / 16),
        (region_similarity.ioa, 2 / 12),
        (region_similarity.negative_squared_distance, -(1 + 1 + 4 + 4)),
    ],
)
def test_similarities_by_hand(similarity, expected):
    boxes, anchors = np.float32([[0, 0, 2, 3]]), np.float32([[1, 1, 4, 5]])
    np.testing.assert_allclose(similarity(boxes, anchors), [[expected]])


def test_ioa_of_an_anchor_without_area_is_zero():
    boxes, anchors = np.float32([[0, 0, 2, 3]]), np.float32([[1, 1, 1, 5]])
    np.testing.assert_array_equal(region_similarity.ioa(boxes, anchors), [[0]])


def test_thresholded_iou_keeps_what_reaches_the_threshold():
    boxes = np.float32([[0.0, 0.0, 2.0, 4.0]])
    anchors = np.float32(
        [[0, 0, 2, 4], [0, 0, 2, 2], [0, 0, 1, 2], [5, 5, 6, 6]]
    )
    found = region_similarity.thresholded_iou(boxes, anchors, 0.5)
    np.testing.assert_allclose(found, [[1.0, 0.5, 0.0, 0.0]])
