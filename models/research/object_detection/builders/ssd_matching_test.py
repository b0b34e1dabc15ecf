"""Two ways to match the boxes of SSD, against references in plain numpy.

SSD-VGG matches what overlaps by more than a half and nothing else; SSD300 of
ResNet-50 and of MobileNetV2 also give each box its best anchor.
"""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    matcher_builder,
    region_similarity_calculator_builder,
)
from object_detection.matchers.matcher import UNMATCHED
from object_detection.protos import (
    matcher_pb2,
    region_similarity_calculator_pb2,
)

ABOVE_A_HALF = "matched_threshold: 0.5 strict_threshold: true"
FORCED = f"{ABOVE_A_HALF} force_match_for_each_row: true"


def match(fields, boxes, anchors, num_boxes):
    similarity = region_similarity_calculator_builder.build(
        text_format.Parse(
            "iou_similarity {}",
            region_similarity_calculator_pb2.RegionSimilarityCalculator(),
        )
    )
    matcher = matcher_builder.build(
        text_format.Parse(
            f"argmax_matcher {{ {fields} }}", matcher_pb2.Matcher()
        )
    )
    is_real = np.arange(boxes.shape[1]) < np.array(num_boxes)[:, None]
    found = matcher.match(similarity(boxes, anchors), is_real, is_real)
    return np.asarray(found.gt_index)


def iou(box, anchors):
    low = np.maximum(box[:2], anchors[:, :2])
    high = np.minimum(box[2:], anchors[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    area = np.prod(anchors[:, 2:] - anchors[:, :2], axis=1)
    return common / (np.prod(box[2:] - box[:2]) + area - common)


def reference(boxes, anchors, is_forced):
    """Goes through the boxes; an anchor changes to one that it overlaps more.

    A forced anchor counts as an overlap of 2, which no later box exceeds.
    """
    best = np.zeros(len(anchors))
    rows = np.full(len(anchors), UNMATCHED)
    for row, box in enumerate(boxes):
        overlap = iou(box, anchors)
        if is_forced:
            overlap[np.argmax(overlap)] = 2.0
        takes = (overlap > 0.5) & (overlap > best)
        rows[takes], best[takes] = row, overlap[takes]
    return rows


def draw(rng, *shape):
    low = rng.uniform(0, 0.6, (*shape, 2))
    return np.concatenate(
        [low, low + rng.uniform(0.1, 0.4, (*shape, 2))], axis=-1
    ).astype(np.float32)


@pytest.mark.parametrize(
    ("fields", "is_forced"), [(ABOVE_A_HALF, False), (FORCED, True)]
)
def test_matches_are_those_of_the_reference(fields, is_forced):
    rng = np.random.default_rng(4)
    anchors = draw(rng, 40)
    num_boxes = [0, 1, 7, 12]
    boxes = draw(rng, len(num_boxes), 12)
    # Two boxes with one best anchor, and one that takes another's from it.
    boxes[3, 5] = boxes[3, 2] + np.float32(0.004)
    boxes[2, 4] = anchors[8]
    boxes[2, 1] = anchors[8] + np.float32([0, 0.01, 0, 0.03])
    found = match(fields, boxes, anchors, num_boxes)
    for image, num in enumerate(num_boxes):
        expected = reference(boxes[image, :num], anchors, is_forced)
        np.testing.assert_array_equal(found[image], expected)
    # Both ways differ here, and some boxes want one anchor.
    num_with_anchor = [len(set(row[row >= 0])) for row in found]
    assert num_with_anchor == ([0, 1, 5, 10] if is_forced else [0, 1, 5, 5])


def box_of_share(share):
    """Returns a box with this IoU with the anchor that is the whole image."""
    return np.float32([[[0.0, 0.0, 1.0, share]]])


# The second one overlaps the boxes below less, by a third at most.
TWO_ANCHORS = np.float32([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.25, 0.3]])


@pytest.mark.parametrize(
    ("share", "expected", "expected_if_forced"),
    [
        (0.45, UNMATCHED, 0),
        # Exactly a half is not above it.
        (0.5, UNMATCHED, 0),
        (0.55, 0, 0),
    ],
)
def test_a_box_of_little_overlap_has_a_positive_only_if_forced(
    share, expected, expected_if_forced
):
    for fields, first in (
        (ABOVE_A_HALF, expected),
        (FORCED, expected_if_forced),
    ):
        found = match(fields, box_of_share(share), TWO_ANCHORS, [1])
        assert found.tolist() == [[first, UNMATCHED]]


def test_of_two_boxes_with_one_best_anchor_the_first_keeps_it():
    boxes = np.concatenate([box_of_share(0.3), box_of_share(0.45)], axis=1)
    found = match(FORCED, boxes, TWO_ANCHORS, [2])
    assert found.tolist() == [[0, UNMATCHED]]
    # Without force, the greater of two that are above a half has it.
    boxes = np.concatenate([box_of_share(0.6), box_of_share(0.8)], axis=1)
    found = match(ABOVE_A_HALF, boxes, TWO_ANCHORS, [2])
    assert found.tolist() == [[1, UNMATCHED]]
    found = match(FORCED, boxes, TWO_ANCHORS, [2])
    assert found.tolist() == [[0, UNMATCHED]]
