import keras
import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import containers, sampling
from object_detection.matchers.matcher import IGNORED, UNMATCHED

POSITIVES = "HardExampleMiner/NumPositives"
NEGATIVES = "HardExampleMiner/NumNegatives"


def make_anchors(num_images=4, num_anchors=150, seed=0):
    """Returns losses, boxes of which many overlap, and matches of all kinds.

    The last image has no positive; the one before has nothing but ignored
    anchors.
    """
    rng = np.random.default_rng(seed)
    losses = rng.gamma(1.0, 1.0, (2, num_images, num_anchors))
    center = rng.random((num_images, num_anchors, 2))
    size = 0.1 + 0.3 * rng.random((num_images, num_anchors, 2))
    boxes = np.concatenate([center - size / 2, center + size / 2], axis=-1)
    gt_index = rng.choice(
        [IGNORED, UNMATCHED, 0, 3],
        p=[0.2, 0.7, 0.05, 0.05],
        size=(num_images, num_anchors),
    )
    gt_index[-1] = np.minimum(gt_index[-1], UNMATCHED)
    gt_index[-2] = IGNORED
    return np.float32(losses), np.float32(boxes), np.int32(gt_index)


def mine(miner, localization, classification, boxes, gt_index):
    mined = miner.mine(
        localization, classification, boxes, containers.Match(gt_index)
    )
    is_kept = np.asarray(mined.is_kept)
    assert set(np.unique(is_kept)) <= {0.0, 1.0}
    return is_kept == 1.0, {n: float(v) for n, v in mined.summaries.items()}


def mine_one_image(miner, loss, boxes, gt_index):
    """Returns the numbers of the anchors that an image keeps."""
    selected = tf.image.non_max_suppression(
        boxes,
        loss,
        miner.num_hard_examples or len(loss),
        miner.iou_threshold,
    ).numpy()
    if not miner.max_negatives_per_positive:
        return set(selected)
    num_positives = sum(gt_index[i] >= 0 for i in selected)
    limit = max(
        miner.min_negatives,
        int(miner.max_negatives_per_positive * num_positives),
    )
    kept, num_negatives = set(), 0
    for i in selected:
        num_negatives += gt_index[i] == UNMATCHED
        if gt_index[i] >= 0 or num_negatives <= limit:
            kept.add(i)
    return kept


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_hard_examples": 0},
        {"num_hard_examples": 0, "iou_threshold": 0.99},
        {"num_hard_examples": 1000, "max_negatives_per_positive": 3},
        {"max_negatives_per_positive": 2, "min_negatives": 9},
        {"max_negatives_per_positive": 1, "localization_weight": 0.0},
        {"max_negatives_per_positive": 1, "classification_weight": 0.0},
        {"localization_weight": 3.0, "classification_weight": 0.5},
    ],
)
def test_mines_what_the_loop_over_images_mines(changes):
    miner = sampling.HardExampleMiner(
        **{"num_hard_examples": 60, "iou_threshold": 0.3, **changes}
    )
    losses, boxes, gt_index = make_anchors()
    is_kept, summaries = mine(miner, *losses, boxes, gt_index)
    total = (
        np.float32(miner.localization_weight) * losses[0]
        + np.float32(miner.classification_weight) * losses[1]
    )
    for i in range(len(boxes)):
        expected = mine_one_image(miner, total[i], boxes[i], gt_index[i])
        assert set(np.flatnonzero(is_kept[i])) == expected
    is_positive = is_kept & (gt_index >= 0)
    assert summaries == {
        POSITIVES: pytest.approx(is_positive.sum() / 4),
        NEGATIVES: pytest.approx((is_kept & ~is_positive).sum() / 4),
    }
    assert summaries[POSITIVES] > 0


def mine_in_order(kinds, **changes):
    """Mines anchors apart of falling loss; returns the numbers of the kept.

    Args:
        kinds: a letter for each: p positive, n negative, i ignored.
    """
    num_anchors = len(kinds)
    loss = np.arange(num_anchors, 0, -1, dtype=np.float32)[None]
    corner = np.arange(num_anchors)[None, :, None] * [1.0, 2.0]
    boxes = np.float32(np.concatenate([corner, corner + [0.5, 1.0]], axis=-1))
    gt_indices = {"p": 5, "n": UNMATCHED, "i": IGNORED}
    gt_index = np.int32([[gt_indices[kind] for kind in kinds]])
    miner = sampling.HardExampleMiner(
        **{"num_hard_examples": 0, "iou_threshold": 0.5, **changes}
    )
    is_kept, summaries = mine(miner, loss, 0.0 * loss, boxes, gt_index)
    return np.flatnonzero(is_kept[0]).tolist(), summaries


@pytest.mark.parametrize(
    "kinds, changes, expected",
    [
        # Two negatives for one positive; what is ignored passes as long as
        # there is no third, and the positive always does.
        (
            "ninninpi",
            {"max_negatives_per_positive": 2},
            [0, 1, 2, 6],
        ),
        ("nninni", {"max_negatives_per_positive": 3}, []),
        ("iinnni", {"max_negatives_per_positive": 3}, [0, 1]),
        (
            "nninni",
            {"max_negatives_per_positive": 3, "min_negatives": 2},
            [0, 1, 2],
        ),
        # Without a limit the least number is none either.
        ("nninni", {"min_negatives": 2}, [0, 1, 2, 3, 4, 5]),
        # Only selected positives count for the limit.
        (
            "npnnnp",
            {"num_hard_examples": 4, "max_negatives_per_positive": 2},
            [0, 1, 2],
        ),
        ("p", {"max_negatives_per_positive": 2}, [0]),
        ("pppp", {"num_hard_examples": 3}, [0, 1, 2]),
    ],
)
def test_the_walk_by_hand(kinds, changes, expected):
    kept, summaries = mine_in_order(kinds, **changes)
    assert kept == expected
    num_positives = sum(kinds[i] == "p" for i in kept)
    assert summaries[POSITIVES] == num_positives
    assert summaries[NEGATIVES] == len(kept) - num_positives


def test_of_equal_losses_the_first_anchors_are_hard():
    miner = sampling.HardExampleMiner(3, 1.0)
    loss = np.ones((1, 6), np.float32)
    boxes = np.tile(np.float32([0.1, 0.2, 0.4, 0.3]), (1, 6, 1))
    is_kept, _ = mine(miner, loss, loss, boxes, np.zeros((1, 6), np.int32))
    assert np.flatnonzero(is_kept[0]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_hard_examples": -1}, "num_hard_examples: must be at least 0"),
        ({"iou_threshold": 1.5}, "iou_threshold: must be from 0 to 1, got 1.5"),
        ({"max_negatives_per_positive": -3}, "max_negatives_per_pos.*got -3"),
        ({"min_negatives": -2}, "min_negatives_per_image: .*got -2"),
    ],
)
def test_a_miner_out_of_range_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sampling.HardExampleMiner(
            **{"num_hard_examples": 64, "iou_threshold": 0.7, **changes}
        )


def make_targets(class_weights=None, seed=1):
    """Returns targets of four images; see `make_anchors`."""
    rng = np.random.default_rng(seed)
    _, _, gt_index = make_anchors()
    if class_weights is None:
        class_weights = (gt_index != IGNORED)[:, :, None] * 0.5
        class_weights = class_weights * np.array([1.0, 0.0, 3.0])
    return containers.Targets(
        class_targets=np.float32(rng.random((*gt_index.shape, 3))),
        class_weights=np.float32(class_weights),
        box_codes=np.float32(rng.random((*gt_index.shape, 4))),
        box_weights=np.float32(gt_index >= 0) * 0.5,
        match=containers.Match(gt_index),
    )


def make_sampler(fraction=0.3, seed=7):
    return sampling.RandomExampleSampler(
        fraction, keras.random.SeedGenerator(seed)
    )


def kept_by(sampler, targets, training=True):
    """Returns bool [B, A], and checks that weights are kept or 0."""
    sampled = sampler.sample(targets, training)
    is_kept = np.any(np.asarray(sampled.class_weights) != 0, axis=-1)
    for found, before in (
        (sampled.class_weights, targets.class_weights * is_kept[:, :, None]),
        (sampled.box_weights, targets.box_weights * is_kept),
    ):
        np.testing.assert_array_equal(found, before)
    for name in ("class_targets", "box_codes", "match"):
        assert getattr(sampled, name) is getattr(targets, name)
    return is_kept


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.5, 0.75, 1.0])
def test_keeps_all_positives_and_some_negatives(fraction):
    targets = make_targets()
    gt_index = targets.match.gt_index
    is_kept = kept_by(make_sampler(fraction), targets)
    is_positive, is_negative = gt_index >= 0, gt_index == UNMATCHED
    num_positives = is_positive.sum(axis=1)
    assert min(num_positives[:2]) > 2 and not num_positives[2:].any()
    np.testing.assert_array_equal(
        is_kept.sum(axis=1, where=is_positive), num_positives
    )
    np.testing.assert_array_equal(
        is_kept.sum(axis=1, where=is_negative),
        np.minimum(
            (np.float32(num_positives) * ((1 - fraction) / fraction)).astype(
                int
            ),
            is_negative.sum(axis=1),
        ),
    )
    assert not is_kept[gt_index == IGNORED].any()
    # No positives, no negatives.
    assert not is_kept[2:].any()


def test_anchors_without_class_weight_are_no_positives():
    targets = make_targets()
    is_matched = targets.match.gt_index >= 0
    first = np.cumsum(is_matched, axis=1) * is_matched == 1
    weights = targets.class_weights * ~first[:, :, None]
    is_kept = kept_by(make_sampler(0.5), make_targets(weights))
    num_positives = is_matched.sum(axis=1) - 1
    np.testing.assert_array_equal(
        is_kept.sum(axis=1)[:2], 2 * num_positives[:2]
    )


def test_draws_differ_in_training_and_repeat_by_the_seed():
    targets = make_targets()

    def draw_twice(seed=7, training=True):
        sampler = make_sampler(seed=seed)
        return [kept_by(sampler, targets, training) for _ in range(2)]

    first, second = draw_twice()
    assert (first != second).any()
    np.testing.assert_array_equal(draw_twice(), [first, second])
    assert (draw_twice(seed=8)[0] != first).any()
    fixed, again = draw_twice(training=False)
    np.testing.assert_array_equal(fixed, again)
    np.testing.assert_array_equal(fixed, draw_twice(8, training=False)[0])


def test_a_compiled_step_draws_anew_each_time():
    sampler, targets = make_sampler(), make_targets()
    draw = tf.function(lambda: sampler.sample(targets, True).class_weights)
    assert np.any(draw() != draw())


def test_negatives_are_drawn_evenly():
    is_negative = np.ones((200, 12), bool)
    is_negative[:, 5] = False
    targets = containers.Targets(
        class_targets=np.zeros((200, 12, 2), np.float32),
        class_weights=np.ones((200, 12, 1), np.float32),
        box_codes=np.zeros((200, 12, 4), np.float32),
        box_weights=np.float32(~is_negative),
        match=containers.Match(np.where(is_negative, -1, 0).astype(np.int32)),
    )
    share = kept_by(make_sampler(0.2), targets).mean(axis=0)
    assert share[5] == 1.0
    # Four of eleven each, with a deviation of 0.034.
    np.testing.assert_allclose(np.delete(share, 5), 4 / 11, atol=0.13)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match="positive_sample_fraction: .*above 0"):
        make_sampler(fraction)


def mine_negatives(loss, box_weights, class_weights=None, ratio=3.0):
    """Returns where an anchor is kept, and the summaries."""
    loss, box_weights = np.float32(loss), np.float32(box_weights)
    if class_weights is None:
        class_weights = np.ones_like(loss)
    mined = sampling.HardNegativeMiner(ratio).mine(
        loss,
        containers.Targets(
            class_targets=np.zeros((*loss.shape, 2), np.float32),
            class_weights=np.float32(class_weights)[:, :, None],
            box_codes=np.zeros((*loss.shape, 4), np.float32),
            box_weights=box_weights,
            match=containers.Match(np.int32(box_weights > 0) - 1),
        ),
    )
    return np.asarray(mined.is_kept), mined.summaries


@pytest.mark.parametrize("ratio", [0.0, 1.0, 3.0, 100.0])
def test_hard_negatives_are_those_of_a_loop_over_images(ratio):
    rng = np.random.default_rng(3)
    # Few values, so that many losses are equal.
    loss = rng.integers(0, 9, (4, 80)) / 4
    box_weights = rng.choice([0.0, 0.5, 1.0], p=[0.9, 0.05, 0.05], size=(4, 80))
    box_weights[2] = 0.0
    class_weights = np.where(box_weights > 0, 1, rng.integers(0, 2, (4, 80)))
    is_kept, summaries = mine_negatives(loss, box_weights, class_weights, ratio)
    expected = np.zeros((4, 80))
    num_negatives = 0
    for i in range(4):
        positives = np.flatnonzero(box_weights[i] > 0)
        negatives = [
            a
            for a in np.argsort(-loss[i], kind="stable")
            if box_weights[i, a] == 0 and class_weights[i, a] > 0
        ][: int(ratio * len(positives))]
        expected[i, [*positives, *negatives]] = 1
        num_negatives += len(negatives)
    np.testing.assert_array_equal(is_kept, expected)
    assert not is_kept[2].any()
    assert {name: float(value) for name, value in summaries.items()} == {
        "HardNegativeMiner/NumPositives": (box_weights > 0).sum() / 4,
        "HardNegativeMiner/NumNegatives": num_negatives / 4,
    }


def test_the_number_of_hard_negatives_is_rounded_down():
    loss, weights = [[9, 5, 8, 7, 6, 4]], [[0, 1, 0, 0, 0, 1]]
    is_kept, _ = mine_negatives(loss, weights, ratio=1.4)
    np.testing.assert_array_equal(is_kept, [[1, 1, 1, 0, 0, 1]])


def test_a_ratio_below_zero_is_refused():
    for ratio in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="max_negatives_per_positive: "):
            sampling.HardNegativeMiner(ratio)
