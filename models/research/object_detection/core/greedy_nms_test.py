import functools

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import greedy_nms


def make_boxes(num_images, num_boxes, seed=0):
    """Returns boxes of which many overlap, and scores with ties."""
    rng = np.random.default_rng(seed)
    center = rng.random((num_images, num_boxes, 2)) * [1.0, 0.5]
    size = 0.05 + 0.4 * rng.random((num_images, num_boxes, 2))
    boxes = np.concatenate([center - size / 2, center + size / 2], axis=-1)
    scores = np.round(rng.random((num_images, num_boxes)) * 50)
    return np.float32(boxes), np.float32(scores)


def iou(a, b):
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    common = max(height, 0) * max(width, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return common / (sum(areas) - common) if common else 0.0


def box_by_box(boxes, scores, iou_threshold, max_kept):
    """Returns what is kept of one image, best first."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if len(kept) == max_kept:
            break
        if all(iou(boxes[i], boxes[j]) <= iou_threshold for j in kept):
            kept.append(i)
    return kept


def run(boxes, scores, iou_threshold, max_kept):
    """Returns what is kept of each image, best first."""
    order, is_kept = greedy_nms.greedy_nms(
        boxes, scores, iou_threshold=iou_threshold, max_kept=max_kept
    )
    return [
        np.asarray(row)[np.asarray(mask)].tolist()
        for row, mask in zip(order, is_kept, strict=True)
    ]


@pytest.mark.parametrize(
    "num_boxes, iou_threshold, max_kept",
    [
        (1, 0.5, 1),
        (100, 0.3, 100),
        (128, 0.6, 20),
        (300, 0.7, 300),
        # One more block than is full, then exactly full blocks.
        (300, 0.95, 129),
        (300, 0.95, 256),
        (260, 0.0, 50),
        (260, 1.0, 260),
    ],
)
def test_keeps_what_the_loop_over_boxes_keeps(
    num_boxes, iou_threshold, max_kept
):
    boxes, scores = make_boxes(3, num_boxes, seed=num_boxes)
    expected = [
        box_by_box(*image, iou_threshold, max_kept)
        for image in zip(np.float64(boxes), scores, strict=True)
    ]
    assert run(boxes, scores, iou_threshold, max_kept) == expected


@pytest.mark.parametrize("iou_threshold", [0.5, 0.99])
def test_keeps_what_tensorflow_keeps(iou_threshold):
    boxes, scores = make_boxes(2, 700)
    boxes[:, 350:] = boxes[:, :350]
    expected = [
        tf.image.non_max_suppression(*image, 700, iou_threshold).numpy()
        for image in zip(boxes, scores, strict=True)
    ]
    found = run(boxes, scores, iou_threshold, 700)
    assert found == [image.tolist() for image in expected]
    assert len(found[0]) < 700


def test_equal_boxes_are_dropped_above_the_threshold_not_at_it():
    boxes = np.float32([[[0.1, 0.2, 0.5, 0.9]] * 3])
    scores = np.float32([[1.0, 2.0, 2.0]])
    assert run(boxes, scores, 0.999, 3) == [[1]]
    assert run(boxes, scores, 1.0, 3) == [[1, 2, 0]]
    assert run(boxes, scores, 1.0, 2) == [[1, 2]]


def test_a_dropped_box_drops_none_of_a_later_block():
    # Boxes apart, and three in a row of which only neighbours overlap: the
    # best, the last of the first block and the first of the second.
    corner = 10.0 * np.arange(130)
    corner[[0, 127, 128]] = [0.0, 0.4, 0.8]
    zeros, ones = np.zeros(130), np.ones(130)
    boxes = np.stack([zeros, corner, ones, corner + 1.0], axis=-1)
    scores = np.arange(130, 0, -1)
    assert greedy_nms.BLOCK_SIZE == 128
    (kept,) = run(np.float32([boxes]), np.float32([scores]), 0.3, 130)
    assert kept == [i for i in range(130) if i != 127]


def test_corners_may_be_swapped_and_empty_boxes_overlap_nothing():
    boxes = np.float32(
        [[[0, 0, 4, 2], [4, 2, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]]
    )
    assert run(boxes, np.float32([[4, 3, 2, 1]]), 0.5, 4) == [[0, 2, 3]]


def test_a_number_of_boxes_that_is_not_known_before():
    @functools.partial(
        tf.function,
        input_signature=[
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None]),
        ],
    )
    def keep(boxes, scores):
        return greedy_nms.greedy_nms(
            boxes, scores, iou_threshold=0.6, max_kept=tf.shape(scores)[1]
        )

    for num_boxes in (5, 200):
        boxes, scores = make_boxes(2, num_boxes)
        for found, expected in zip(
            keep(boxes, scores),
            greedy_nms.greedy_nms(
                boxes, scores, iou_threshold=0.6, max_kept=num_boxes
            ),
            strict=True,
        ):
            np.testing.assert_array_equal(found, expected)


def test_xla_keeps_the_same():
    keep = functools.partial(
        greedy_nms.greedy_nms, iou_threshold=0.6, max_kept=150
    )
    arguments = make_boxes(2, 200)
    for found, expected in zip(
        tf.function(keep, jit_compile=True)(*arguments),
        keep(*arguments),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
