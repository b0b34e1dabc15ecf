"""Whole detectors of every predictor, anchor generator, coder and matcher."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import model_builder
from object_detection.core import containers, errors
from object_detection.core.standard_fields import (
    DetectionResultFields,
    LossFields,
    PredictionFields,
)
from object_detection.protos import model_pb2

HYPERPARAMS = """conv_hyperparams {
  initializer { random_normal_initializer { stddev: 0.1 } } batch_norm {}
}"""
COMMON = """
ssd {
  num_classes: 3
  image_resizer { fixed_shape_resizer { height: 64 width: 96 } }
  encode_background_as_zeros: true
  loss {
    classification_loss { weighted_sigmoid {} }
    localization_loss { weighted_smooth_l1 {} }
  }
  post_processing {
    batch_non_max_suppression {
      score_threshold: 0.5 max_detections_per_class: 5 max_total_detections: 9
    }
    score_converter: SIGMOID
  }
}
"""
EXTRACTOR = f"""feature_extractor {{
  type: 'ssd_mobilenet_v1_fpn' depth_multiplier: 0.25 min_depth: 8
  fpn {{ min_level: 3 max_level: 7 additional_layer_depth: 8 }}
  {HYPERPARAMS}
}}"""
# The only anchors of one map, with strides of the map's 8 px.
ONE_MAP = """
  anchor_generator { grid_anchor_generator {
    scales: [1, 2] aspect_ratios: 1 height: 16 width: 16 height_stride: 8
    width_stride: 8 height_offset: 4 width_offset: 4
  } }
""" + EXTRACTOR.replace("max_level: 7", "max_level: 3")
SSD_ANCHORS = (
    EXTRACTOR
    + """anchor_generator { ssd_anchor_generator {
  num_layers: 5 min_scale: 0.2 aspect_ratios: [1, 2, 0.5]
} }"""
)
EQUAL_SSD_ANCHORS = SSD_ANCHORS.replace(
    "num_layers", "reduce_boxes_in_lowest_layer: false num_layers"
)


def convolutional(fields="", hyperparams=HYPERPARAMS):
    fields += hyperparams
    return f"box_predictor {{ convolutional_box_predictor {{ {fields} }} }}"


def shared(fields=""):
    fields += f"depth: 8 num_layers_before_predictor: 1 {HYPERPARAMS}"
    return (
        "box_predictor { weight_shared_convolutional_box_predictor { "
        f"{fields} }} }}"
    )


ARGMAX = "matcher { argmax_matcher { force_match_for_each_row: true } }"
BIPARTITE = "matcher { bipartite_matcher {} }"
IOU = "similarity_calculator { iou_similarity {} }"
FASTER_RCNN = "box_coder { faster_rcnn_box_coder {} }"
VARIANTS = {
    "ssd": [SSD_ANCHORS, convolutional(), ARGMAX, IOU, FASTER_RCNN],
    "keypoints": [
        SSD_ANCHORS,
        convolutional("box_code_size: 8 kernel_size: 3 use_depthwise: true "),
        BIPARTITE,
        "similarity_calculator { thresholded_iou_similarity "
        "{ iou_threshold: 0.1 } }",
        "box_coder { keypoint_box_coder { num_keypoints: 2 } }",
    ],
    "squares": [
        SSD_ANCHORS,
        convolutional("box_code_size: 3 num_layers_before_predictor: 1 "
                      "max_depth: 4 "),
        ARGMAX,
        "similarity_calculator { neg_sq_dist_similarity {} }",
        "box_coder { square_box_coder {} }",
    ],
    "shared": [
        EQUAL_SSD_ANCHORS,
        shared("use_dropout: true share_prediction_tower: true "),
        BIPARTITE,
        "similarity_calculator { ioa_similarity {} }",
        "box_coder { mean_stddev_box_coder {} }",
    ],
    "grid": [
        ONE_MAP,
        convolutional("use_dropout: false "),
        "matcher { argmax_matcher { matched_threshold: 0.2 "
        "unmatched_threshold: 0.1 } }",
        IOU,
        FASTER_RCNN,
    ],
}  # fmt: skip
# 8 x 12, 4 x 6, 2 x 3, 1 x 2 and 1 x 1 places.
NUM_ANCHORS = {
    "ssd": 3 * 96 + 4 * (24 + 6 + 2 + 1),
    "keypoints": 3 * 96 + 4 * (24 + 6 + 2 + 1),
    "squares": 3 * 96 + 4 * (24 + 6 + 2 + 1),
    "shared": 4 * (96 + 24 + 6 + 2 + 1),
    "grid": 2 * 96,
}
GROUNDTRUTH = containers.Groundtruth(
    boxes=np.float32(
        [
            [[0.1, 0.2, 0.6, 0.5], [0.5, 0.6, 0.95, 0.9], [0, 0, 0, 0]],
            [[0.2, 0.1, 0.8, 0.7], [0, 0, 0, 0], [0, 0, 0, 0]],
        ]
    ),
    classes=np.eye(4, 3, dtype=np.float32)[[[1, 2, 3], [0, 3, 3]]],
    weights=np.float32([[1, 1, 0], [1, 0, 0]]),
    num_boxes=np.int32([2, 1]),
    keypoints=np.float32(
        [
            [[[0.2, 0.3], [0.7, 0.4]], [[0.9, 0.7], [0.6, 1.1]], [[0, 0]] * 2],
            [[[0.5, 0.4], [0.3, 0.6]], [[0, 0]] * 2, [[0, 0]] * 2],
        ]
    ),
)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 50, 80, 3), np.uint8)


def build(texts, is_training=True):
    config = text_format.Parse(COMMON, model_pb2.DetectionModel())
    for text in texts:
        text_format.Merge(f"ssd {{ {text} }}", config)
    return model_builder.build(config, is_training)


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param, build(VARIANTS[request.param])


def test_images_become_losses_and_detections(variant):
    name, model = variant
    images, true_shapes = model.preprocess(IMAGES)
    predictions = model.predict(images, true_shapes)
    codes = predictions[PredictionFields.box_encodings]
    code_size = {"keypoints": 8, "squares": 3}.get(name, 4)
    assert codes.shape == (2, NUM_ANCHORS[name], code_size)
    losses = model.loss(predictions, true_shapes, GROUNDTRUTH)
    for key in (LossFields.localization_loss, LossFields.classification_loss):
        assert 0 < float(losses[key]) < 1e4
    detections = model.postprocess(predictions, true_shapes)
    found = {key: tuple(value.shape) for key, value in detections.items()}
    expected = {
        DetectionResultFields.detection_boxes: (2, 9, 4),
        DetectionResultFields.detection_scores: (2, 9),
        DetectionResultFields.detection_classes: (2, 9),
        DetectionResultFields.num_detections: (2,),
    }
    if name == "keypoints":
        expected[DetectionResultFields.detection_keypoints] = (2, 9, 2, 2)
    assert found == expected


def test_predictions_that_are_the_targets_are_detected_as_they_were(variant):
    name, model = variant
    images, true_shapes = model.preprocess(IMAGES)
    predictions = model.predict(images, true_shapes, training=False)
    targets = model._target_assigner.assign_targets(
        predictions[PredictionFields.anchors], GROUNDTRUTH
    )
    matched = np.asarray(targets.match.gt_index) >= 0
    if "bipartite" in "".join(VARIANTS[name]):
        assert matched.sum(axis=1).tolist() == [2, 1]
    predictions[PredictionFields.box_encodings] = targets.box_codes
    predictions[PredictionFields.class_predictions_with_background] = (
        20 * np.asarray(targets.class_targets) - 10
    )
    assert float(
        model.loss(predictions, true_shapes, GROUNDTRUTH)[
            LossFields.localization_loss
        ]
    ) == pytest.approx(0.0, abs=1e-6)
    detections = model.postprocess(predictions, true_shapes)
    for image, num_boxes in enumerate(GROUNDTRUTH.num_boxes):
        num_detections = detections[DetectionResultFields.num_detections][image]
        assert int(num_detections) == num_boxes
        classes = detections[DetectionResultFields.detection_classes][image]
        order = np.argsort(np.asarray(classes)[:num_boxes])
        wanted = GROUNDTRUTH.classes[image, :num_boxes].argmax(-1)
        rows = np.argsort(wanted)
        np.testing.assert_array_equal(np.asarray(classes)[order], wanted[rows])
        boxes = detections[DetectionResultFields.detection_boxes][image]
        found, expected = np.asarray(boxes)[order], GROUNDTRUTH.boxes[image]
        expected = expected[rows]
        if name == "squares":
            # Their centres are all that squares keep.
            found, expected = (x[:, :2] + x[:, 2:] for x in (found, expected))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        if name == "keypoints":
            keypoints = detections[DetectionResultFields.detection_keypoints]
            np.testing.assert_allclose(
                np.asarray(keypoints)[image, order],
                GROUNDTRUTH.keypoints[image, rows],
                atol=1e-5,
            )
            assert not np.any(np.asarray(keypoints)[image, num_boxes:])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            [SSD_ANCHORS, shared()],
            r"weight_shared.*: expected the same number of .* \[3, 4, 4",
        ),
        (
            [SSD_ANCHORS.replace("num_layers: 5", "num_layers: 4")]
            + [convolutional()],
            "makes anchors for 4 feature maps, .* has 5; .* num_layers",
        ),
        (
            [ONE_MAP.replace("max_level: 3", "max_level: 4"), convolutional()],
            "makes anchors for 1 feature maps, .* has 2",
        ),
        (
            [SSD_ANCHORS, convolutional("box_code_size: 5 ")],
            "box_code_size: .*faster_rcnn_box_coder .* size 4, got 5; set",
        ),
        (
            [EQUAL_SSD_ANCHORS, shared(), "box_coder { square_box_coder {} }"],
            "box_code_size: .*square_box_coder .* size 3, got 4",
        ),
        (
            [SSD_ANCHORS, convolutional()]
            + ["box_coder { keypoint_box_coder { num_keypoints: 2 } }"],
            "box_code_size: .*keypoint_box_coder .* size 8, got 4",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(texts, message):
    with pytest.raises(errors.ConfigError, match=message):
        build([ARGMAX, IOU, FASTER_RCNN, *texts])
