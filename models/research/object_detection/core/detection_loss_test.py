import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.box_coders import faster_rcnn_box_coder
from object_detection.core import (
    containers,
    detection_loss,
    losses,
    sampling,
)

LOGITS = np.float32([[[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]]])
TARGETS = np.float32([[[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
WEIGHTS = np.float32([[[1.0], [0.5]]])
CODES = np.float32([[[0.5, -3.0, 1.0, 0.0], [2.0, 0.0, 0.0, 0.0]]])
CODE_TARGETS = np.float32([[[0.0, 0.0, 1.0, 0.0], [0.0, np.nan, 0.0, 0.0]]])
CODE_WEIGHTS = np.float32([[1.0, 0.5]])
# Half of 0.25 and 3 - 0.5; half of 2 - 0.5.
BOX_LOSSES = np.array([0.125 + 2.5, 0.75])
ANCHORS = np.float32([[0.1, 0.2, 0.5, 0.9], [0.3, 0.1, 0.7, 0.4]])
CODER = faster_rcnn_box_coder.FasterRcnnBoxCoder((10.0, 9.0, 5.0, 4.0))
DECODE = functools.partial(CODER.decode_boxes, anchors=ANCHORS)


def class_losses():
    p = 1.0 / (1.0 + np.exp(-np.float64(LOGITS)))
    entropy = -(TARGETS * np.log(p) + (1 - TARGETS) * np.log(1 - p))
    return (entropy * WEIGHTS).sum(-1)[0]


def make_targets(box_weights=CODE_WEIGHTS, gt_index=((0, 1),)):
    return containers.Targets(
        class_targets=TARGETS,
        class_weights=WEIGHTS,
        box_codes=CODE_TARGETS,
        box_weights=np.float32(box_weights),
        match=containers.Match(np.int32(gt_index)),
    )


def make_loss(**changes):
    return detection_loss.DetectionLoss(
        **{
            "localization": losses.smooth_l1_loss,
            "classification": losses.sigmoid_cross_entropy_loss,
            **changes,
        }
    )


def reduce(loss, targets=None, training=False):
    if targets is None:
        targets = make_targets()
    reduced = loss.reduce(CODES, LOGITS, targets, DECODE, training)
    return [reduced.localization, reduced.classification]


@pytest.mark.parametrize(
    "changes, factors",
    [
        ({}, (1 / 1.5, 1 / 1.5)),
        ({"normalize_by_num_matches": False}, (1.0, 1.0)),
        ({"normalize_by_code_size": True}, (1 / 6.0, 1 / 1.5)),
        ({"localization_weight": 3.0}, (2.0, 1 / 1.5)),
        ({"classification_weight": 3.0}, (1 / 1.5, 2.0)),
    ],
)
def test_sums_are_weighted_and_normalised(changes, factors):
    # The second box weight is 0.5: the sum of weights is 1.5.
    np.testing.assert_allclose(
        reduce(make_loss(**changes)),
        [BOX_LOSSES.sum() * factors[0], class_losses().sum() * factors[1]],
        rtol=1e-5,
    )


def test_without_matches_nothing_is_divided_by_zero():
    found = reduce(make_loss(), make_targets([[0.0, 0.0]]))
    np.testing.assert_allclose(found, [0.0, class_losses().sum()], rtol=1e-5)


def test_a_loss_of_one_value_per_anchor_is_summed_too():
    loss = make_loss(classification=losses.softmax_cross_entropy_loss)
    expected = losses.softmax_cross_entropy_loss(LOGITS, TARGETS, WEIGHTS)
    found = reduce(loss)[1]
    np.testing.assert_allclose(found, np.sum(expected) / 1.5, rtol=1e-6)


def test_iou_loss_is_of_decoded_boxes():
    box_loss = make_loss(
        localization=losses.iou_loss,
        compares_boxes=True,
        normalize_by_num_matches=False,
    )
    codes = CODES + np.float32([0.0, 0.0, 0.0, 1.0])
    # A NaN in a target code is what was predicted, whatever the others are.
    wanted = np.where(np.isnan(CODE_TARGETS), codes, CODE_TARGETS)
    expected = losses.iou_loss(DECODE(codes), DECODE(wanted), CODE_WEIGHTS)
    assert 0.1 < np.min(expected) < 0.95
    found = box_loss.reduce(codes, LOGITS, make_targets(), DECODE)
    np.testing.assert_allclose(found.localization, np.sum(expected), rtol=1e-6)


def test_mined_are_decoded_boxes():
    # Apart or equal as boxes, by the anchors; neither as codes.
    anchors = np.float32([[0.1, 0.2, 0.5, 0.6], [0.1, 0.6, 0.5, 1.0]])
    codes = np.float32([[[0, 0, 0, 0], [0, -9.0, 0, 0]]])
    loss = make_loss(miner=sampling.HardExampleMiner(0, 0.5))

    def num_mined(anchors, codes):
        decode = functools.partial(CODER.decode_boxes, anchors=anchors)
        reduced = loss.reduce(codes, LOGITS, make_targets(), decode)
        return sum(float(x) for x in reduced.summaries.values())

    assert num_mined(anchors, 0.0 * codes) == 2
    assert num_mined(anchors, codes) == 1


# The first anchor has the higher loss of boxes, the second of classes.
@pytest.mark.parametrize(
    "changes, hardest",
    [
        ({"localization_weight": 0.0}, 1),
        ({"classification_weight": 0.0}, 0),
        ({}, 0),
        ({"classification_weight": 990.0}, 1),
    ],
)
@pytest.mark.parametrize(
    "classification",
    [losses.sigmoid_cross_entropy_loss, losses.softmax_cross_entropy_loss],
)
def test_only_mined_anchors_are_summed(changes, hardest, classification):
    targets = make_targets()._replace(
        class_weights=np.float32([[[0.01], [1.0]]])
    )
    loss = make_loss(
        classification=classification,
        miner=sampling.HardExampleMiner(1, 0.5, **changes),
    )
    each = classification(LOGITS, TARGETS, targets.class_weights)
    each = np.reshape(each, (2, -1)).sum(-1)
    assert BOX_LOSSES[0] > BOX_LOSSES[1] and each[0] < each[1]
    # What was not mined counts for the number of matches all the same.
    np.testing.assert_allclose(
        reduce(loss, targets),
        [BOX_LOSSES[hardest] / 1.5, each[hardest] / 1.5],
        rtol=1e-5,
    )


def test_gradients_flow_through_mined_anchors_only():
    loss = make_loss(
        miner=sampling.HardExampleMiner(1, 0.5, localization_weight=0.0)
    )
    codes, logits = tf.constant(CODES), tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch([codes, logits])
        reduced = loss.reduce(codes, logits, make_targets(), DECODE)
        total = reduced.localization + reduced.classification
    assert class_losses()[0] > class_losses()[1]
    of_codes, of_logits = tape.gradient(total, [codes, logits])
    # The slope of Huber's loss, and probability - target.
    np.testing.assert_allclose(
        of_codes[0] * 1.5, [[0.5, -1.0, 0.0, 0.0], [0.0] * 4], atol=1e-6
    )
    np.testing.assert_allclose(
        of_logits[0] * 1.5, [[0.8808, -0.7311, 0.6225], [0.0] * 3], atol=1e-4
    )


def test_a_nan_that_was_not_mined_still_shows():
    loss = make_loss(miner=sampling.HardExampleMiner(1, 0.5))
    logits = LOGITS.copy()
    logits[0, 0, 2] = np.nan
    reduced = loss.reduce(CODES, logits, make_targets(), DECODE)
    assert np.isnan(reduced.classification)


def test_sampled_anchors_alone_count_for_the_number_of_matches():
    sampler = sampling.RandomExampleSampler(0.5, keras.random.SeedGenerator(3))
    # Of the first image one matched anchor is no candidate.
    targets = make_targets()._replace(
        class_weights=np.float32([[[0.0], [0.5]]])
    )
    found = reduce(make_loss(sampler=sampler), targets)
    np.testing.assert_allclose(
        found, [BOX_LOSSES[1], class_losses()[1]], rtol=1e-5
    )


def test_sampling_comes_before_mining():
    sampler = sampling.RandomExampleSampler(1.0, keras.random.SeedGenerator(3))
    miner = sampling.HardExampleMiner(1, 1.0)
    targets = make_targets([[0.0, 0.5]], [[-1, 0]])
    assert class_losses()[0] > class_losses()[1]
    unsampled = reduce(make_loss(miner=miner), targets)
    np.testing.assert_allclose(unsampled, [0.0, class_losses()[0]], rtol=1e-5)
    found = reduce(make_loss(miner=miner, sampler=sampler), targets)
    np.testing.assert_allclose(
        found, [BOX_LOSSES[1], class_losses()[1]], rtol=1e-5
    )


def test_each_image_is_normalised_by_its_own_matches():
    targets = containers.Targets(
        class_targets=np.tile(TARGETS, (3, 1, 1)),
        class_weights=np.tile(WEIGHTS, (3, 1, 1)),
        box_codes=np.tile(CODE_TARGETS, (3, 1, 1)),
        box_weights=np.float32([[1.0, 0.5], [0.0, 0.25], [0.0, 0.0]]),
        match=containers.Match(np.int32([[0, 1], [-1, 0], [-1, -1]])),
    )
    reduced = make_loss(
        normalize_by_image=True,
        normalize_by_code_size=True,
        localization_weight=3.0,
        classification_weight=5.0,
    ).reduce(
        np.tile(CODES, (3, 1, 1)),
        np.tile(LOGITS, (3, 1, 1)),
        targets,
        lambda codes: codes,
    )
    # A weight of 0.5 is in BOX_LOSSES; the third image costs nothing.
    of_boxes = [BOX_LOSSES.sum() / 1.5, BOX_LOSSES[1] / 0.5, 0.0]
    of_classes = class_losses().sum() * np.array([1 / 1.5, 1 / 0.25, 0.0])
    assert float(reduced.localization) == pytest.approx(
        3.0 * np.mean(of_boxes) / 4
    )
    assert float(reduced.classification) == pytest.approx(
        5.0 * np.mean(of_classes)
    )


def test_a_nan_in_an_image_without_matches_still_shows():
    logits = LOGITS.copy()
    logits[0, 0, 2] = np.nan
    loss = make_loss(
        normalize_by_image=True, negative_miner=sampling.HardNegativeMiner(3.0)
    )
    targets = make_targets([[0.0, 0.0]], [[-1, -1]])
    reduced = loss.reduce(CODES, logits, targets, DECODE)
    assert np.isnan(reduced.classification)


@pytest.mark.parametrize(
    "classification",
    [losses.sigmoid_cross_entropy_loss, losses.softmax_cross_entropy_loss],
)
def test_hard_negatives_are_chosen_for_the_classes_alone(classification):
    codes, logits, targets = (
        np.concatenate(pair, axis=1)
        for pair in ((CODES, CODES), (LOGITS, LOGITS[:, ::-1]), (TARGETS,) * 2)
    )
    wanted = containers.Targets(
        class_targets=targets,
        class_weights=np.ones((1, 4, 1), np.float32),
        box_codes=np.concatenate([CODE_TARGETS, CODE_TARGETS], axis=1),
        box_weights=np.float32([[0.0, 1.0, 0.0, 0.0]]),
        match=containers.Match(np.int32([[-1, 0, -1, -1]])),
    )
    loss = make_loss(
        classification=classification,
        negative_miner=sampling.HardNegativeMiner(1.0),
    )
    reduced = loss.reduce(codes, logits, wanted, lambda codes: codes)
    each = classification(logits, targets, wanted.class_weights)
    each = np.reshape(each, (4, -1)).sum(-1)
    assert np.argmax(each[[0, 2, 3]]) != 1
    expected = each[1] + max(each[0], each[2], each[3])
    assert float(reduced.classification) == pytest.approx(expected)
    assert float(reduced.localization) == pytest.approx(2 * BOX_LOSSES[1])
