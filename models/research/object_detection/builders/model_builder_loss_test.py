import functools

import numpy as np
import pytest

from object_detection.builders.small_detector import (
    IMAGES,
    NUM_ANCHORS,
    build,
    make_groundtruth,
)
from object_detection.core.standard_fields import LossFields, PredictionFields


@functools.cache
def anchors():
    model = build()
    return model.predict(*model.preprocess(IMAGES))[PredictionFields.anchors]


def losses_of(model, groundtruth, training=None, num_class_slots=4):
    """Returns the losses of predictions that are drawn, always the same."""
    rng = np.random.default_rng(1)
    predictions = {
        name: np.float32(rng.normal(size=(2, NUM_ANCHORS, num_columns)))
        for name, num_columns in (
            (PredictionFields.box_encodings, 4),
            (
                PredictionFields.class_predictions_with_background,
                num_class_slots,
            ),
        )
    }
    predictions[PredictionFields.anchors] = anchors()
    losses = model.loss(predictions, None, groundtruth, training)
    return np.array(
        [
            losses[LossFields.localization_loss],
            losses[LossFields.classification_loss],
        ]
    )


def losses_with(overrides):
    return losses_of(build(overrides), make_groundtruth())


def test_each_field_of_the_loss_reaches_it(networks_built_once):
    base = losses_with("")

    def factors(overrides):
        return losses_with(f"ssd {{ {overrides} }}") / base

    close = np.testing.assert_allclose
    close(factors("loss { localization_weight: 3 }"), [3, 1], rtol=1e-5)
    close(factors("loss { classification_weight: 3 }"), [1, 3], rtol=1e-5)
    close(factors("normalize_loc_loss_by_codesize: true"), [0.25, 1], rtol=1e-5)
    num_matches = factors("normalize_loss_by_num_matches: false")
    assert num_matches[0] == pytest.approx(num_matches[1], rel=1e-5)
    assert round(num_matches[0], 3) == int(round(num_matches[0]))
    for changes, is_changed in (
        ("loss { localization_loss { weighted_l2 {} } }", [1, 0]),
        (
            "loss { localization_loss { weighted_smooth_l1 { delta: 0.3 } } }",
            [1, 0],
        ),
        (
            "loss { classification_loss { "
            "weighted_sigmoid_focal { gamma: 1 } } }",
            [0, 1],
        ),
        (
            "loss { classification_loss { "
            "weighted_sigmoid_focal { alpha: 0.3 } } }",
            [0, 1],
        ),
        ("loss { classification_loss { weighted_sigmoid {} } }", [0, 1]),
        ("loss { classification_loss { weighted_softmax {} } }", [0, 1]),
        ("loss { localization_loss { weighted_iou {} } }", [1, 0]),
        (
            "loss { classification_loss { weighted_sigmoid {} } "
            "hard_example_miner { num_hard_examples: 1 } }",
            [1, 1],
        ),
        (
            "loss { random_example_sampler { positive_sample_fraction: 1 } }",
            [0, 1],
        ),
        (
            "loss { classification_loss { weighted_sigmoid {} } "
            "hard_negative_miner {} }",
            [0, 1],
        ),
        ("loss { normalization: BY_IMAGE }", [1, 1]),
        ("encode_background_as_zeros: false", [0, 1]),
        ("negative_class_weight: 0.5", [0, 1]),
        ("box_coder { faster_rcnn_box_coder { x_scale: 3 } }", [1, 0]),
        ("matcher { argmax_matcher { unmatched_threshold: 0.1 } }", [0, 1]),
        (
            "matcher { argmax_matcher { matched_threshold: 0.9 "
            "unmatched_threshold: 0.9 } }",
            [1, 1],
        ),
        ("similarity_calculator { ioa_similarity {} }", [1, 1]),
    ):
        found = np.abs(factors(changes) - 1.0) > 1e-4
        assert found.tolist() == [bool(x) for x in is_changed], changes


def test_without_a_background_column_there_is_one_slot_less():
    overrides = "ssd { add_background_class: false }"
    model = build(overrides)
    predictions = model.predict(*model.preprocess(IMAGES))
    key = PredictionFields.class_predictions_with_background
    assert predictions[key].shape[-1] == 3
    losses = losses_of(model, make_groundtruth(), num_class_slots=3)
    assert np.all(np.isfinite(losses))


@pytest.mark.parametrize(
    "background, num_class_slots",
    [
        ("add_background_class: true", 4),
        ("add_background_class: false", 3),
        ("add_background_class: false explicit_background_class: true", 3),
    ],
)
def test_confidences_are_targets_in_training_only(
    networks_built_once, background, num_class_slots
):
    # A box that surely is of one class, and not of another.
    groundtruth = make_groundtruth()
    groundtruth = groundtruth._replace(
        weights=0.5 * groundtruth.weights,
        confidences=groundtruth.classes - np.roll(groundtruth.classes, 1, -1),
    )

    def losses(weight):
        model = build(
            f"ssd {{ {background} use_confidences_as_targets: true "
            f"implicit_example_weight: {weight} "
            "normalize_loss_by_num_matches: false }"
        )
        return [
            losses_of(model, groundtruth, training, num_class_slots)
            for training in (False, True)
        ]

    evaluation, whole = losses(1.0)
    evaluation_of_half, half = losses(0.5)
    np.testing.assert_array_equal(evaluation, evaluation_of_half)
    # In training the box weighs 1, whatever the groundtruth says.
    assert whole[0] == half[0] == pytest.approx(2 * evaluation[0])
    assert 0.5 * whole[1] < half[1] < whole[1]


def test_a_mined_loss_says_how_many_anchors_it_is_of():
    model = build(
        "ssd { loss { classification_loss { weighted_sigmoid {} } "
        "hard_example_miner { num_hard_examples: 7 } } }"
    )
    images, true_shapes = model.preprocess(IMAGES)
    _, summaries = model.loss_and_summaries(
        model.predict(images, true_shapes), true_shapes, make_groundtruth()
    )
    num_positives, num_negatives = (
        float(summaries[f"HardExampleMiner/Num{kind}"])
        for kind in ("Positives", "Negatives")
    )
    assert num_positives >= 0.5 and num_positives + num_negatives == 7
