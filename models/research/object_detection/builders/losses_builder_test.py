import functools

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import losses_builder
from object_detection.core import errors, losses
from object_detection.protos import losses_pb2

CONFIG = """
classification_loss { weighted_sigmoid {} }
localization_loss { weighted_smooth_l1 {} }
"""


def build(overrides="", base=CONFIG, normalize_by_num_matches=True):
    config = text_format.Parse(base, losses_pb2.Loss())
    text_format.Merge(overrides, config)
    return losses_builder.build(
        config,
        normalize_by_num_matches=normalize_by_num_matches,
        normalize_by_code_size=False,
    )


def classification(text):
    return build(f"classification_loss {{ {text} }}").classification


def localization(text):
    return build(f"localization_loss {{ {text} }}").localization


RNG = np.random.default_rng(0)
LOGITS, TARGETS = np.float32(RNG.normal(size=(2, 1, 5, 3)))
TARGETS = np.abs(TARGETS) / 4
WEIGHTS = np.float32(RNG.random((1, 5, 3)))
CODES, CODE_TARGETS = np.float32(RNG.normal(size=(2, 1, 5, 4)))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("weighted_sigmoid {}", losses.sigmoid_cross_entropy_loss),
        ("weighted_sigmoid_focal {}", losses.sigmoid_focal_loss),
        (
            "weighted_sigmoid_focal { alpha: 0.25 gamma: 1.5 }",
            functools.partial(losses.sigmoid_focal_loss, alpha=0.25, gamma=1.5),
        ),
        ("weighted_softmax {}", losses.softmax_cross_entropy_loss),
        (
            "weighted_softmax { logit_scale: 2 }",
            functools.partial(
                losses.softmax_cross_entropy_loss, logit_scale=2.0
            ),
        ),
        (
            "weighted_logits_softmax {}",
            losses.softmax_cross_entropy_against_logits_loss,
        ),
        (
            "weighted_logits_softmax { logit_scale: 3 }",
            functools.partial(
                losses.softmax_cross_entropy_against_logits_loss,
                logit_scale=3.0,
            ),
        ),
        # An alpha that is not set is 0: the labels are not believed at all.
        (
            "bootstrapped_sigmoid {}",
            functools.partial(
                losses.bootstrapped_sigmoid_cross_entropy_loss, alpha=0.0
            ),
        ),
        (
            "bootstrapped_sigmoid { alpha: 0.75 hard_bootstrap: true }",
            functools.partial(
                losses.bootstrapped_sigmoid_cross_entropy_loss,
                alpha=0.75,
                is_hard=True,
            ),
        ),
    ],
)
def test_each_classification_loss(text, expected):
    np.testing.assert_array_equal(
        classification(text)(LOGITS, TARGETS, WEIGHTS),
        expected(LOGITS, TARGETS, WEIGHTS),
    )


@pytest.mark.parametrize(
    "text, expected",
    [
        ("weighted_l2 {}", losses.l2_loss),
        ("weighted_smooth_l1 {}", losses.smooth_l1_loss),
        (
            "weighted_smooth_l1 { delta: 0.25 }",
            functools.partial(losses.smooth_l1_loss, delta=0.25),
        ),
        ("weighted_iou {}", losses.iou_loss),
    ],
)
def test_each_localization_loss(text, expected):
    weights = WEIGHTS[:, :, 0]
    np.testing.assert_array_equal(
        localization(text)(CODES, CODE_TARGETS, weights),
        expected(CODES, CODE_TARGETS, weights),
    )
    loss = build(f"localization_loss {{ {text} }}")
    assert loss.compares_boxes == (expected is losses.iou_loss)


def test_the_miner_has_the_numbers_of_the_config():
    assert build().miner is None
    weights = "localization_weight: 2 classification_weight: 3"
    miner = build(f"hard_example_miner {{}} {weights}").miner
    assert (miner.num_hard_examples, miner.iou_threshold) == (
        64,
        np.float32(0.7),
    )
    assert (miner.max_negatives_per_positive, miner.min_negatives) == (0, 0)
    assert (miner.localization_weight, miner.classification_weight) == (2, 3)
    miner = build(
        "hard_example_miner { num_hard_examples: 0 iou_threshold: 0.5 "
        "loss_type: CLASSIFICATION max_negatives_per_positive: 4 "
        f"min_negatives_per_image: 5 }} {weights}"
    ).miner
    assert (miner.num_hard_examples, miner.iou_threshold) == (0, 0.5)
    assert (miner.max_negatives_per_positive, miner.min_negatives) == (4, 5)
    assert (miner.localization_weight, miner.classification_weight) == (0, 1)
    miner = build("hard_example_miner { loss_type: LOCALIZATION }").miner
    assert (miner.localization_weight, miner.classification_weight) == (1, 0)


def test_the_sampler_has_the_fraction_of_the_config():
    assert build().sampler is None
    sampler = build("random_example_sampler {}").sampler
    assert sampler.positive_fraction == np.float32(0.01)
    sampler = build(
        "random_example_sampler { positive_sample_fraction: 0.5 }"
    ).sampler
    assert sampler.positive_fraction == 0.5


def test_the_negative_miner_has_the_number_of_the_config():
    assert build().negative_miner is None
    miner = build("hard_negative_miner {}").negative_miner
    assert miner.max_negatives_per_positive == 3
    miner = build(
        "hard_negative_miner { max_negatives_per_positive: 2.5 }"
    ).negative_miner
    assert miner.max_negatives_per_positive == 2.5


def test_the_normalization_is_by_image_when_asked():
    assert not build().normalize_by_image
    assert build("normalization: BY_IMAGE").normalize_by_image
    # What only weighs anchors goes with it.
    for other in ("hard_example_miner {}", "random_example_sampler {}"):
        assert build(f"normalization: BY_IMAGE {other}").normalize_by_image
    with pytest.raises(
        errors.ConfigError,
        match=r"^model\.ssd\.loss\.normalization: .*normalize_loss_by_num",
    ):
        build("normalization: BY_IMAGE", normalize_by_num_matches=False)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            "hard_negative_miner {} hard_example_miner {}",
            "hard_negative_miner: does not go with hard_example_miner",
        ),
        (
            "hard_negative_miner {} random_example_sampler {}",
            "hard_negative_miner: does not go with random_example_sampler",
        ),
        (
            "classification_loss { weighted_sigmoid_focal {} } "
            "hard_negative_miner {}",
            "hard_negative_miner: .*weighted_sigmoid_focal",
        ),
        (
            "hard_negative_miner { max_negatives_per_positive: -1 }",
            "hard_negative_miner.max_negatives_per_positive: .* got -1",
        ),
        (
            "classification_loss { weighted_sigmoid_focal {} } "
            "hard_example_miner {}",
            "hard_example_miner: .*classification_loss.weighted_sigmoid_focal",
        ),
        (
            "hard_example_miner { iou_threshold: 1.5 }",
            "hard_example_miner.iou_threshold: must be from 0 to 1, got 1.5",
        ),
        (
            "hard_example_miner { num_hard_examples: -1 }",
            "hard_example_miner.num_hard_examples: must be at least 0, got -1",
        ),
        (
            "hard_example_miner { max_negatives_per_positive: -1 }",
            "hard_example_miner.max_negatives_per_positive: must be at least 0",
        ),
        (
            "hard_example_miner { min_negatives_per_image: -1 }",
            "hard_example_miner.min_negatives_per_image: must be at least 0",
        ),
        (
            "random_example_sampler { positive_sample_fraction: 0 }",
            "random_example_sampler.positive_sample_fraction: .*above 0",
        ),
        (
            "random_example_sampler { positive_sample_fraction: 1.5 }",
            "random_example_sampler.positive_sample_fraction: .*got 1.5",
        ),
        (
            "expected_loss_weights: EXPECTED_SAMPLING",
            "expected_loss_weights: .*use NONE",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_path(overrides, message):
    with pytest.raises(
        errors.ConfigError, match=rf"^model\.ssd\.loss\.{message}"
    ):
        build(overrides)


@pytest.mark.parametrize(
    "base, message",
    [
        (
            "classification_loss { weighted_sigmoid {} }",
            "localization_loss: expected .*weighted_iou, got nothing",
        ),
        (
            "localization_loss { weighted_l2 {} } classification_loss {}",
            "classification_loss: expected .*bootstrapped_sigmoid, got nothing",
        ),
    ],
)
def test_an_empty_loss_is_refused_by_its_path(base, message):
    with pytest.raises(
        errors.ConfigError, match=rf"^model\.ssd\.loss\.{message}"
    ):
        build(base=base)
