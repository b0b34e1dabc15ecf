"""The losses of SSD300's relatives against their formulas, in numpy.

VGG, Ascend           softmax, background last in the original; negatives
                      3:1 by rank; an image by its own matches; no match
                      is forced.
MobileNetV2, MindSpore  sigmoid focal loss of a background that is a class;
                      mean of the four coordinates; the batch's matches.
ResNet-50, NVIDIA     as the first, with matches that are forced.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from object_detection.builders import small_detector
from object_detection.core import containers
from object_detection.core.standard_fields import LossFields, PredictionFields

NUM_CLASSES = 3
# The second image has no box; the third has one that no anchor overlaps by
# half.
BOXES = [
    [[0.1, 0.2, 0.5, 0.9], [0.55, 0.1, 0.95, 0.4], [0.2, 0.3, 0.4, 0.7]],
    [],
    [[0.3, 0.55, 0.8, 0.95], [0.0, 0.0, 0.04, 0.9]],
]
LABELS = [[2, 1, 3], [], [3, 1]]

COMMON = """
  encode_background_as_zeros: false
  box_coder { faster_rcnn_box_coder {
    y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5
  } }
"""
SOFTMAX = """
  loss {
    classification_loss { weighted_softmax {} }
    localization_loss { weighted_smooth_l1 {} }
    hard_negative_miner { max_negatives_per_positive: 3 }
    normalization: BY_IMAGE
  }
"""
VGG = (
    COMMON
    + SOFTMAX
    + """
  background_class_last: true
  matcher { argmax_matcher {
    force_match_for_each_row: false strict_threshold: true
  } }
"""
)
MOBILENET = (
    COMMON
    + """
  normalize_loc_loss_by_codesize: true
  loss {
    classification_loss { weighted_sigmoid_focal { alpha: 0.75 gamma: 2 } }
    localization_loss { weighted_smooth_l1 {} }
  }
"""
)
RESNET = COMMON + SOFTMAX


def make_anchors():
    """Returns float32 [A, 4]: some near the boxes, others anywhere."""
    rng = np.random.default_rng(5)
    boxes = np.array([box for image in BOXES for box in image])
    near = np.repeat(boxes, 7, axis=0)
    near = near + rng.uniform(-0.06, 0.06, near.shape)
    # None near the last box.
    near = near[:-7]
    corner = rng.uniform(0.0, 0.6, (40, 2))
    side = rng.uniform(0.1, 0.4, (40, 2))
    anywhere = np.concatenate([corner, corner + side], axis=1)
    return np.float32(np.concatenate([near, anywhere]))


ANCHORS = make_anchors()
NUM_ANCHORS = len(ANCHORS)
RNG = np.random.default_rng(6)
CODES = np.float32(RNG.normal(size=(3, NUM_ANCHORS, 4)))
LOGITS = np.float32(2 * RNG.normal(size=(3, NUM_ANCHORS, NUM_CLASSES + 1)))


def make_groundtruth(rows=slice(None)):
    num_rows = max(map(len, BOXES))
    boxes = np.zeros((3, num_rows, 4), np.float32)
    classes = np.zeros((3, num_rows, NUM_CLASSES), np.float32)
    for i, (of_image, labels) in enumerate(zip(BOXES, LABELS, strict=True)):
        for j, (box, label) in enumerate(zip(of_image, labels, strict=True)):
            boxes[i, j], classes[i, j, label - 1] = box, 1.0
    num_boxes = np.int32([len(of_image) for of_image in BOXES])
    weights = np.float32(np.arange(num_rows) < num_boxes[:, None])
    return containers.Groundtruth(
        boxes[rows], classes[rows], weights[rows], num_boxes[rows]
    )


@functools.cache
def detector(text):
    return small_detector.build(f"ssd {{ {text} }}")


def losses_of(text, rows=slice(None), codes=CODES, logits=LOGITS):
    found = detector(text).loss(
        {
            PredictionFields.box_encodings: codes[rows],
            PredictionFields.class_predictions_with_background: logits[rows],
            PredictionFields.anchors: ANCHORS,
        },
        None,
        make_groundtruth(rows),
        training=True,
    )
    return (
        found[LossFields.localization_loss],
        found[LossFields.classification_loss],
    )


def iou(a, b):
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return height * width / (area - height * width)


def encode(box, anchor):
    (y, x, h, w), (ya, xa, ha, wa) = (
        ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0], b[3] - b[1])
        for b in (box, anchor)
    )
    return [
        10 * (y - ya) / ha,
        10 * (x - xa) / wa,
        5 * np.log(h / ha),
        5 * np.log(w / wa),
    ]


def targets_of(image, is_forced):
    """Returns the label, 0 for the background, and the code of each anchor."""
    overlap = np.array(
        [[iou(box, anchor) for anchor in ANCHORS] for box in BOXES[image]]
    ).reshape(-1, NUM_ANCHORS)
    if is_forced:
        for row in overlap:
            row[np.argmax(row)] = 2.0
    labels = np.zeros(NUM_ANCHORS, int)
    codes = np.zeros((NUM_ANCHORS, 4))
    for a in range(NUM_ANCHORS):
        if len(overlap) and overlap[:, a].max() > 0.5:
            best = np.argmax(overlap[:, a])
            labels[a] = LABELS[image][best]
            codes[a] = encode(BOXES[image][best], ANCHORS[a])
    return labels, codes


def smooth_l1(difference):
    size = np.abs(difference)
    return np.where(size < 1, 0.5 * size**2, size - 0.5)


def softmax_reference(is_forced, is_last):
    of_boxes, of_classes, num_positives = [], [], []
    for image in range(3):
        labels, wanted = targets_of(image, is_forced)
        is_positive = labels > 0
        logits = np.float64(LOGITS[image])
        if is_last:
            logits = np.roll(logits, 1, axis=1)
        entropy = (
            np.log(np.exp(logits).sum(1))
            - logits[np.arange(NUM_ANCHORS), labels]
        )
        count = is_positive.sum()
        hardest = np.sort(entropy[~is_positive])[::-1][: 3 * count]
        distance = smooth_l1(CODES[image] - wanted)[is_positive]
        per_match = 1 / count if count else 0.0
        of_boxes.append(distance.sum() * per_match)
        of_classes.append(
            (entropy[is_positive].sum() + hardest.sum()) * per_match
        )
        num_positives.append(int(count))
    return np.mean(of_boxes), np.mean(of_classes), num_positives


def focal_reference():
    of_boxes = of_classes = num_positives = 0.0
    for image in range(3):
        labels, wanted = targets_of(image, is_forced=True)
        one_hot = np.eye(NUM_CLASSES + 1)[labels]
        p = 1 / (1 + np.exp(-np.float64(LOGITS[image])))
        p_right = np.where(one_hot, p, 1 - p)
        weight = np.where(one_hot, 0.75, 0.25)
        of_classes += np.sum(-weight * (1 - p_right) ** 2 * np.log(p_right))
        distance = smooth_l1(CODES[image] - wanted).mean(axis=1)
        of_boxes += distance[labels > 0].sum()
        num_positives += (labels > 0).sum()
    return of_boxes / num_positives, of_classes / num_positives


@pytest.mark.parametrize(
    ("config", "is_forced", "is_last", "num_positives_of_last"),
    [(VGG, False, True, 9), (RESNET, True, False, 10)],
)
def test_softmax_with_hard_negatives_equals_its_formula(
    config, is_forced, is_last, num_positives_of_last
):
    *expected, num_positives = softmax_reference(is_forced, is_last)
    # Unequal, none without boxes, and one more where it is forced.
    assert num_positives[0] > 12 and num_positives[1] == 0
    assert num_positives[2] == num_positives_of_last
    np.testing.assert_allclose(losses_of(config), expected, rtol=1e-5)


def test_an_image_without_boxes_costs_nothing():
    np.testing.assert_array_equal(losses_of(RESNET, [1]), [0.0, 0.0])


def test_the_focal_loss_with_a_background_class_equals_its_formula():
    np.testing.assert_allclose(
        losses_of(MOBILENET), focal_reference(), rtol=1e-5
    )


def test_processes_with_an_image_each_make_the_loss_of_the_batch():
    shift = tf.Variable(0.5)

    def loss_and_gradient(rows):
        with tf.GradientTape() as tape:
            loss = sum(losses_of(RESNET, rows, CODES * shift, LOGITS * shift))
        return float(loss), float(tape.gradient(loss, shift))

    each = [loss_and_gradient(slice(i, i + 1)) for i in range(3)]
    np.testing.assert_allclose(
        loss_and_gradient(slice(None)), np.mean(each, axis=0), rtol=1e-5
    )
    assert each[0][1] != each[2][1] != 0.0
