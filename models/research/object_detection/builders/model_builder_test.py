import functools

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    box_predictor_builder,
    feature_extractor_builder,
    model_builder,
)
from object_detection.core import containers, errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    LossFields,
    PredictionFields,
)
from object_detection.protos import model_pb2

CONFIG = """
ssd {
  num_classes: 3
  box_coder { faster_rcnn_box_coder {} }
  matcher { argmax_matcher { force_match_for_each_row: true } }
  similarity_calculator { iou_similarity {} }
  encode_background_as_zeros: true
  anchor_generator { multiscale_anchor_generator {
    min_level: 4 max_level: 6 aspect_ratios: [1.0, 2.0] scales_per_octave: 1
  } }
  image_resizer { keep_aspect_ratio_resizer {
    min_dimension: 64 max_dimension: 128 pad_to_max_dimension: true
  } }
  box_predictor { weight_shared_convolutional_box_predictor {
    depth: 8 num_layers_before_predictor: 1 class_prediction_bias_init: -2
    conv_hyperparams {
      regularizer { l2_regularizer { weight: 0.1 } }
      initializer { random_normal_initializer { stddev: 0.3 } }
      batch_norm {}
    }
  } }
  feature_extractor {
    type: 'ssd_mobilenet_v1_fpn' depth_multiplier: 0.25 min_depth: 8
    fpn { min_level: 4 max_level: 6 additional_layer_depth: 8 }
    conv_hyperparams {
      regularizer { l2_regularizer { weight: 0.1 } }
      initializer { random_normal_initializer { stddev: 0.3 } }
      batch_norm {}
    }
  }
  loss {
    classification_loss { weighted_sigmoid_focal {} }
    localization_loss { weighted_smooth_l1 {} }
  }
  post_processing {
    batch_non_max_suppression {
      max_detections_per_class: 20 max_total_detections: 30
    }
    score_converter: SIGMOID
  }
}
"""
# 8 x 8, 4 x 4 and 2 x 2 places of a 128 px image, two anchors each.
NUM_ANCHORS = 2 * (64 + 16 + 4)


def build(overrides="", is_training=False, **arguments):
    config = text_format.Parse(CONFIG, model_pb2.DetectionModel())
    text_format.Merge(overrides, config)
    return model_builder.build(config, is_training, **arguments)


def make_groundtruth(num_classes=3):
    return containers.Groundtruth(
        boxes=np.float32([[[0.1, 0.2, 0.4, 0.7]], [[0.0, 0.0, 0.0, 0.0]]]),
        classes=np.eye(num_classes, dtype=np.float32)[[[1], [0]]]
        * np.float32([[[1]], [[0]]]),
        weights=np.float32([[1.0], [0.0]]),
        num_boxes=np.int32([1, 0]),
    )


IMAGES = np.random.default_rng(0).integers(0, 256, (2, 60, 120, 3), np.uint8)


def test_images_become_detections_inside_the_image():
    model = build()
    images, true_shapes = model.preprocess(IMAGES)
    assert images.shape == (2, 128, 128, 3)
    np.testing.assert_array_equal(true_shapes, [[64, 128, 3]] * 2)
    predictions = model.predict(images, true_shapes)
    shapes = {name: tuple(x.shape) for name, x in predictions.items()}
    assert shapes == {
        PredictionFields.box_encodings: (2, NUM_ANCHORS, 4),
        PredictionFields.class_predictions_with_background: (
            2, NUM_ANCHORS, 4,
        ),
        PredictionFields.anchors: (NUM_ANCHORS, 4),
        PredictionFields.image_size: (2,),
    }  # fmt: skip
    detections = model.postprocess(predictions, true_shapes)
    boxes = np.asarray(detections[DetectionResultFields.detection_boxes])
    assert boxes.shape == (2, 30, 4)
    # The lower half is padding.
    assert boxes[..., 2].max() <= 0.5 < boxes[..., 3].max() <= 1.0
    classes = np.asarray(detections[DetectionResultFields.detection_classes])
    assert set(classes.ravel()) <= {0.0, 1.0, 2.0}
    scores = np.asarray(detections[DetectionResultFields.detection_scores])
    assert np.all(np.diff(scores) <= 0.0)


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


@pytest.fixture
def networks_built_once(monkeypatch):
    """Keeps networks, which take the time, for builds that differ elsewhere."""

    def build_once(build):
        built = {}

        def build_or_get(config, *arguments, **settings):
            key = f"{config} {arguments} {settings}"
            if key not in built:
                built[key] = build(config, *arguments, **settings)
            return built[key]

        return build_or_get

    for builder in (feature_extractor_builder, box_predictor_builder):
        monkeypatch.setattr(builder, "build", build_once(builder.build))


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


def test_regularisation_is_half_the_sum_of_squares():
    model = build()
    weights = [
        np.asarray(variable.value)
        for name, variable in model.checkpoint_variables().items()
        if name.endswith("weights")
        and not name.endswith("depthwise_weights")
        and "MobilenetV1/Conv2d" not in name
    ]
    expected = 0.05 * sum(np.sum(np.square(weight)) for weight in weights)
    found = float(model.regularization_loss())
    assert found >= expected > 0.0


def test_training_moves_the_statistics_and_inference_does_not():
    model = build(is_training=True)

    def moving():
        return {
            name: np.asarray(variable.value)
            for name, variable in model.checkpoint_variables().items()
            if not variable.trainable
        }

    images, true_shapes = model.preprocess(IMAGES)
    before = moving()
    model.predict(images, true_shapes, training=False)
    assert all(np.array_equal(before[n], v) for n, v in moving().items())
    model.predict(images, true_shapes)
    assert not any(np.array_equal(before[n], v) for n, v in moving().items())


def test_enforced_freezing_keeps_the_statistics():
    model = build("ssd { enforce_freeze_batchnorm: true }", is_training=True)
    images, true_shapes = model.preprocess(IMAGES)
    frozen = model.predict(images, true_shapes, training=True)
    inferred = model.predict(images, true_shapes, training=False)
    for name, value in frozen.items():
        np.testing.assert_allclose(value, inferred[name], atol=1e-5)


def test_variables_are_float32_under_a_mixed_policy():
    model = build(dtype_policy="mixed_bfloat16")
    assert {v.dtype for v in model.variables} == {"float32"}
    predictions = model.predict(*model.preprocess(IMAGES))
    assert predictions[PredictionFields.box_encodings].dtype == "float32"
    assert len(model.trainable_variables) < len(model.variables)


@pytest.mark.parametrize("is_gray", ["false", "true"])
def test_assignment_summaries_count_boxes_and_anchors(is_gray):
    model = build(
        "ssd { image_resizer { keep_aspect_ratio_resizer { "
        f"convert_to_grayscale: {is_gray} }} }} }}"
    )
    summaries = {
        name: float(value)
        for name, value in model.assignment_summaries(
            make_groundtruth()
        ).items()
    }
    assert summaries["AvgNumGroundtruthBoxesPerImage"] == 0.5
    kinds = [
        summaries[f"AvgNum{kind}AnchorsPerImage"]
        for kind in ("Positive", "Negative", "Ignored")
    ]
    assert kinds[0] > 0 and sum(kinds) == NUM_ANCHORS


@pytest.mark.parametrize(
    "overrides, message",
    [
        ("faster_rcnn {}", "model.faster_rcnn"),
        ("ssd { num_classes: 0 }", "num_classes"),
        ("ssd { explicit_background_class: true }", "explicit_background"),
        (
            "ssd { box_coder { faster_rcnn_box_coder { y_scale: 0 } } }",
            "faster_rcnn_box_coder: .*positive",
        ),
        (
            "ssd { matcher { argmax_matcher { unmatched_threshold: 0.9 } } }",
            "unmatched_threshold 0.9",
        ),
        (
            "ssd { anchor_generator { multiscale_anchor_generator "
            "{ scales_per_octave: 0 } } }",
            "scales_per_octave",
        ),
        (
            "ssd { anchor_generator { multiscale_anchor_generator "
            "{ max_level: 7 } } }",
            "4 feature maps",
        ),
        ("ssd { loss { hard_example_miner {} } }", "weighted_sigmoid_focal"),
        (
            "ssd { loss { expected_loss_weights: EXPECTED_SAMPLING } }",
            "expected_loss_weights",
        ),
        ("ssd { post_processing { logit_scale: 0 } }", "logit_scale"),
        (
            "ssd { post_processing { batch_non_max_suppression "
            "{ iou_threshold: 2 } } }",
            "iou_threshold",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(overrides, message):
    with pytest.raises(errors.ConfigError, match=message):
        build(overrides)


@pytest.mark.parametrize(
    "part", ["box_coder", "matcher", "similarity_calculator", "loss"]
)
def test_a_missing_part_is_refused_by_name(part):
    config = text_format.Parse(CONFIG, model_pb2.DetectionModel())
    config.ssd.ClearField(part)
    with pytest.raises(errors.ConfigError, match=f"model.ssd.{part}.*nothing"):
        model_builder.build(config, is_training=False)
