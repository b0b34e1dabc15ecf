import dataclasses

import numpy as np
import pytest
from keras import tree

from object_detection.box_coders import (
    faster_rcnn_box_coder,
    keypoint_box_coder,
)
from object_detection.core import (
    containers,
    region_similarity,
    target_assigner,
)
from object_detection.matchers import argmax_matcher
from object_detection.matchers.matcher import IGNORED, UNMATCHED

ANCHORS = np.float32(
    [[0.0, 0.0, 0.2, 0.4], [0.5, 0.5, 0.9, 0.7], [0.0, 0.6, 0.2, 1.0]]
)
CODER = faster_rcnn_box_coder.FasterRcnnBoxCoder((2.0, 3.0, 4.0, 5.0))


def make_assigner(label=(0.5, 0.0, 0.0), unmatched=0.25, **changes):
    return target_assigner.TargetAssigner(
        similarity=region_similarity.iou,
        matcher=argmax_matcher.ArgMaxMatcher(
            0.5, unmatched, force_match_for_each_row=True
        ),
        box_coder=CODER,
        unmatched_class_label=label,
        **changes,
    )


def make_groundtruth(boxes, classes, weights, num_boxes):
    return containers.Groundtruth(
        boxes=np.float32(boxes),
        classes=np.float32(classes),
        weights=np.float32(weights),
        num_boxes=np.int32(num_boxes),
    )


# The first box covers 3/4 of the first anchor; the second has an overlap of
# 0.04 / (0.08 + 0.08 - 0.04) = 1/3 with the third, and is forced on it.
GROUNDTRUTH = make_groundtruth(
    boxes=[[[0.0, 0.0, 0.15, 0.4], [0.0, 0.8, 0.2, 1.2], [0, 0, 0, 0]]],
    classes=[[[0, 1], [1, 0], [0, 0]]],
    weights=[[0.5, 2.0, 0.0]],
    num_boxes=[2],
)


def test_targets_by_hand():
    targets = make_assigner(negative_class_weight=0.3).assign_targets(
        ANCHORS, GROUNDTRUTH
    )
    np.testing.assert_array_equal(targets.match.gt_index, [[0, UNMATCHED, 1]])
    np.testing.assert_array_equal(
        targets.class_targets, [[[0, 0, 1], [0.5, 0, 0], [0, 1, 0]]]
    )
    np.testing.assert_allclose(targets.class_weights, [[[0.5], [0.3], [2.0]]])
    np.testing.assert_array_equal(targets.box_weights, [[0.5, 0.0, 2.0]])
    # Centre 0.075 against 0.1, height 0.15 against 0.2; 0.2 to the right.
    np.testing.assert_allclose(
        targets.box_codes,
        [
            [
                [2 * -0.125, 0, 4 * np.log(0.75), 0],
                [0, 0, 0, 0],
                [0, 3 * 0.5, 0, 0],
            ]
        ],
        atol=1e-5,
    )


def test_an_ignored_anchor_has_no_weight():
    groundtruth = make_groundtruth(
        [[[0.0, 0.0, 0.2, 0.4], [0.0, 0.0, 0.15, 0.4]]],
        [[[0, 1], [0, 1]]],
        [[1, 1]],
        [2],
    )
    anchors = np.float32([[0.0, 0.0, 0.2, 0.4], [0.0, 0.0, 0.15, 0.4],
                          [0.0, 0.2, 0.2, 0.6]])  # fmt: skip
    targets = make_assigner().assign_targets(anchors, groundtruth)
    # The third overlaps the first box by 1/3: neither matched nor negative.
    np.testing.assert_array_equal(targets.match.gt_index, [[0, 1, IGNORED]])
    np.testing.assert_array_equal(targets.class_weights[0, 2], [0.0])
    np.testing.assert_array_equal(targets.box_weights[0, 2], 0.0)
    np.testing.assert_array_equal(targets.class_targets[0, 2], [0.5, 0, 0])


def assert_all_background(targets):
    np.testing.assert_array_equal(targets.match.gt_index, [[UNMATCHED] * 3])
    np.testing.assert_array_equal(targets.class_targets, [[[0.5, 0, 0]] * 3])
    np.testing.assert_array_equal(targets.class_weights, np.ones((1, 3, 1)))
    np.testing.assert_array_equal(targets.box_weights, np.zeros((1, 3)))
    np.testing.assert_array_equal(targets.box_codes, np.zeros((1, 3, 4)))


def test_an_image_without_boxes_is_background():
    groundtruth = make_groundtruth(
        np.zeros((1, 0, 4)), np.zeros((1, 0, 2)), np.zeros((1, 0)), [0]
    )
    assert_all_background(make_assigner().assign_targets(ANCHORS, groundtruth))


@pytest.mark.parametrize("boxes", [np.zeros((1, 2, 4)), ANCHORS[None, :2]])
def test_an_image_of_padding_is_background(boxes):
    groundtruth = make_groundtruth(
        boxes, np.zeros((1, 2, 2)), np.zeros((1, 2)), [0]
    )
    assert_all_background(make_assigner().assign_targets(ANCHORS, groundtruth))


def test_class_rows_may_have_the_background_column():
    wide = GROUNDTRUTH._replace(
        classes=np.pad(GROUNDTRUTH.classes, [(0, 0), (0, 0), (1, 0)])
    )
    for found, expected in zip(
        make_assigner().assign_targets(ANCHORS, wide),
        make_assigner().assign_targets(ANCHORS, GROUNDTRUTH),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_other_class_rows_are_refused():
    with pytest.raises(ValueError, match="3 or 2 columns, got 1"):
        make_assigner().assign_targets(
            ANCHORS,
            GROUNDTRUTH._replace(classes=GROUNDTRUTH.classes[..., :1]),
        )


@pytest.mark.parametrize("implicit_example_weight", [None, 0.25])
def test_a_batch_is_assigned_as_its_images(implicit_example_weight):
    rng = np.random.default_rng(5)
    corners, sizes = rng.random((4, 6, 2)) * 0.6, rng.random((4, 6, 2)) * 0.4
    num_boxes = np.array([6, 0, 3, 1])
    groundtruth = make_groundtruth(
        np.concatenate([corners, corners + sizes], -1),
        np.eye(2)[rng.integers(0, 2, (4, 6))],
        (np.arange(6) < num_boxes[:, None]) * rng.random((4, 6)),
        num_boxes,
    )
    groundtruth = groundtruth._replace(
        confidences=np.float32(rng.integers(-1, 2, (4, 6, 2)))
    )
    anchors = np.concatenate([ANCHORS, groundtruth.boxes[0, :3] * 0.9])
    assigner = make_assigner(implicit_example_weight=implicit_example_weight)
    batched = assigner.assign_targets(anchors, groundtruth, training=True)
    for i in range(4):
        image = containers.Groundtruth(
            *(x if x is None else x[i : i + 1] for x in groundtruth)
        )
        single = assigner.assign_targets(anchors, image, training=True)
        for found, expected in zip(
            tree.flatten(batched), tree.flatten(single), strict=True
        ):
            np.testing.assert_allclose(found[i : i + 1], expected, rtol=1e-5)


def test_matched_boxes_are_encoded_with_their_keypoints():
    coder = keypoint_box_coder.KeypointBoxCoder(1, (2.0, 3.0, 4.0, 5.0))
    assigner = dataclasses.replace(make_assigner(), box_coder=coder)
    # Relative to the matched anchors' centres (0.1, 0.2) and (0.1, 0.8).
    keypoints = np.float32([[[[0.15, 0.1]], [[0.1, 0.9]], [[0, 0]]]])
    targets = assigner.assign_targets(
        ANCHORS, GROUNDTRUTH._replace(keypoints=keypoints)
    )
    np.testing.assert_array_equal(targets.match.gt_index, [[0, UNMATCHED, 1]])
    np.testing.assert_allclose(
        targets.box_codes[0, :, 4:],
        [[2 * 0.05 / 0.2, 3 * -0.1 / 0.4], [0, 0], [0, 3 * 0.1 / 0.4]],
        atol=1e-6,
    )
    plain = make_assigner().assign_targets(ANCHORS, GROUNDTRUTH)
    np.testing.assert_array_equal(targets.box_codes[:, :, :4], plain.box_codes)
    empty = GROUNDTRUTH._replace(
        boxes=np.zeros((1, 0, 4), np.float32),
        classes=np.zeros((1, 0, 2), np.float32),
        weights=np.zeros((1, 0), np.float32),
        num_boxes=np.int32([0]),
        keypoints=np.zeros((1, 0, 1, 2), np.float32),
    )
    codes = assigner.assign_targets(ANCHORS, empty).box_codes
    np.testing.assert_array_equal(codes, np.zeros((1, 3, 6)))


def test_a_coder_of_keypoints_needs_them():
    coder = keypoint_box_coder.KeypointBoxCoder(1)
    assigner = dataclasses.replace(make_assigner(), box_coder=coder)
    with pytest.raises(ValueError, match="1 keypoints a box, got none"):
        assigner.assign_targets(ANCHORS, GROUNDTRUTH)


CONFIDENCES = np.float32([[[0, 1, -1], [-1, 0, 0], [0, 0, 0]]])
WIDE_LABEL = (1.0, 0.0, 0.0, 0.0)


def assign_confidences(
    confidences=CONFIDENCES, training=True, label=WIDE_LABEL, **changes
):
    """Assigns on `confidences` of three classes; unmatched weigh 0.25."""
    groundtruth = GROUNDTRUTH._replace(
        classes=np.maximum(confidences, 0.0), confidences=confidences
    )
    assigner = make_assigner(
        label, **{"implicit_example_weight": 0.25, **changes}
    )
    return assigner.assign_targets(ANCHORS, groundtruth, training)


def test_targets_by_confidence_by_hand():
    targets = assign_confidences(negative_class_weight=0.3)
    np.testing.assert_array_equal(targets.match.gt_index, [[0, UNMATCHED, 1]])
    # The third is matched by a box that holds nothing but an explicit no.
    np.testing.assert_array_equal(
        targets.class_targets, [[[0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]]]
    )
    np.testing.assert_array_equal(
        targets.class_weights,
        [[[1, 0.25, 1, 1], [0.25] * 4, [0.25, 1, 0.25, 0.25]]],
    )
    np.testing.assert_array_equal(targets.box_weights, [[1.0, 0.0, 0.0]])
    by_class = assign_confidences(training=False)
    np.testing.assert_array_equal(
        targets.box_codes[:, 0], by_class.box_codes[:, 0]
    )
    assert np.any(targets.box_codes[:, 0])
    np.testing.assert_array_equal(targets.box_codes[:, 1:], np.zeros((1, 2, 4)))


def test_targets_by_confidence_without_a_background_column():
    targets = assign_confidences(
        label=(0.0, 0.0, 0.0), has_background_column=False
    )
    np.testing.assert_array_equal(
        targets.class_targets, [[[0, 1, 0], [0, 0, 0], [0, 0, 0]]]
    )
    np.testing.assert_array_equal(
        targets.class_weights, [[[0.25, 1, 1], [0.25] * 3, [1, 0.25, 0.25]]]
    )
    np.testing.assert_array_equal(targets.box_weights, [[1.0, 0.0, 0.0]])


def test_an_explicit_background_is_the_first_class():
    targets = assign_confidences(label=(1.0, 0.0, 0.0))
    np.testing.assert_array_equal(
        targets.class_targets, [[[0, 1, 0], [1, 0, 0], [1, 0, 0]]]
    )
    np.testing.assert_array_equal(
        targets.class_weights, [[[1, 1, 1], [0.25] * 3, [0.25] * 3]]
    )


@pytest.mark.parametrize(
    "changes", [{"training": False}, {"implicit_example_weight": None}]
)
def test_confidences_count_in_training_and_when_asked_for(changes):
    found = assign_confidences(**changes)
    np.testing.assert_array_equal(found.class_weights, [[[0.5], [1.0], [2.0]]])
    np.testing.assert_array_equal(found.box_weights, [[0.5, 0.0, 2.0]])


def test_no_boxes_and_no_confidences():
    assigner = make_assigner(WIDE_LABEL, implicit_example_weight=0.25)
    nothing = make_groundtruth(
        np.zeros((1, 0, 4)), np.zeros((1, 0, 3)), np.zeros((1, 0)), [0]
    )
    with pytest.raises(ValueError, match="confidences, got none"):
        assigner.assign_targets(ANCHORS, nothing, training=True)
    targets = assigner.assign_targets(
        ANCHORS, nothing._replace(confidences=nothing.classes), training=True
    )
    np.testing.assert_array_equal(targets.class_targets, [[[1, 0, 0, 0]] * 3])
    np.testing.assert_array_equal(targets.class_weights, [[[0.25] * 4] * 3])
    np.testing.assert_array_equal(targets.box_weights, [[0.0] * 3])
