import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import model_builder
from object_detection.builders.small_detector import (
    CONFIG,
    IMAGES,
    NUM_ANCHORS,
    build,
    make_groundtruth,
)
from object_detection.core import errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    PredictionFields,
)
from object_detection.protos import model_pb2


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
            "faster_rcnn_box_coder.y_scale: .* got 0",
        ),
        (
            "ssd { matcher { argmax_matcher { unmatched_threshold: 0.9 } } }",
            "unmatched_threshold: .* got 0.9",
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
