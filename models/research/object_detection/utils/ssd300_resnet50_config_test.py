"""Holds the config of SSD300 with ResNet-50 to NVIDIA's values."""

import numpy as np
import pytest

from object_detection.builders import (
    anchor_generator_builder,
    model_builder,
    optimizer_builder,
    preprocessor_builder,
)
from object_detection.utils import epoch_steps
from object_detection.utils.shipped_configs_test import assert_values, read

NAME = "ssd300_resnet50_coco"
SIDES_PX = (21, 45, 99, 153, 207, 261, 315)
STEPS_PX = (8, 16, 32, 64, 100, 300)
NUM_CELLS = (38, 19, 10, 5, 3, 1)
RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
HYPERPARAMS = {
    "activation": 1,  # RELU
    "initializer.variance_scaling_initializer": {
        "factor": 1.0,
        "uniform": True,
        "mode": 2,  # FAN_AVG
    },
}
MODEL = {
    "num_classes": 80,
    "image_resizer.fixed_shape_resizer.height": 300,
    "image_resizer.fixed_shape_resizer.width": 300,
    "feature_extractor.type": "ssd300_resnet50",
    "feature_extractor.override_base_feature_extractor_hyperparams": True,
    "feature_extractor.conv_hyperparams": HYPERPARAMS
    | {
        "batch_norm.decay": 0.9,
        "batch_norm.epsilon": 1e-5,
        "batch_norm.scale": True,
        "batch_norm.train": True,
    },
    "box_predictor.convolutional_box_predictor": {
        "kernel_size": 3,
        "use_dropout": False,
        "num_layers_before_predictor": 0,
        "conv_hyperparams": HYPERPARAMS,
    },
    "box_coder.faster_rcnn_box_coder": {
        "y_scale": 10.0,
        "x_scale": 10.0,
        "height_scale": 5.0,
        "width_scale": 5.0,
    },
    "matcher.argmax_matcher": {
        "matched_threshold": 0.5,
        "unmatched_threshold": 0.5,
        "strict_threshold": True,
        "force_match_for_each_row": True,
        "ignore_thresholds": False,
    },
    "background_class_last": False,
    "encode_background_as_zeros": False,
    "add_background_class": True,
    "freeze_batchnorm": False,
    "normalize_loss_by_num_matches": True,
    "normalize_loc_loss_by_codesize": False,
    "loss": {
        "classification_loss.weighted_softmax.logit_scale": 1.0,
        "localization_loss.weighted_smooth_l1.delta": 1.0,
        "hard_negative_miner.max_negatives_per_positive": 3.0,
        "normalization": 1,  # BY_IMAGE
        "classification_weight": 1.0,
        "localization_weight": 1.0,
    },
    "post_processing": {
        "score_converter": 2,  # SOFTMAX
        "batch_non_max_suppression": {
            "score_threshold": 0.05,
            "iou_threshold": 0.5,
            "max_candidates_per_class": 200,
            "max_detections_per_class": 200,
            "max_total_detections": 200,
        },
    },
}
TRAIN = {
    "batch_size": 64,
    "num_epochs": 65,
    "optimizer.momentum_optimizer.momentum_optimizer_value": 0.9,
    "optimizer.use_moving_average": False,
    "weight_decay.weight": 5e-4,
    "weight_decay.exclude_variables": [".*/BatchNorm/.*", ".*/biases"],
    "loss_scale.initial_scale": 65536.0,
    "loss_scale.is_static": False,
    "loss_scale.growth_steps": 2000,
    "loss_scale.overflows_before_shrink": 1,
    "fine_tune_checkpoint": "/checkpoints/resnet50.safetensors",
    "fine_tune_checkpoint_type": "classification",
    "gradient_clipping_by_norm": 0.0,
}
CROP = {
    "rule": 1,  # ALL_BOXES
    "max_trials": 50,
    "min_scale": 0.3,
    "max_scale": 1.0,
    "min_aspect_ratio": 0.5,
    "max_aspect_ratio": 2.0,
    "aspect_ratio_in_pixels": False,
    "clip_boxes": True,
}
COLOURS = {
    "probability": 1.0,
    "order": 1,  # BRIGHTNESS_LAST
    "color_model": 1,  # YIQ
    "max_hue_delta_degrees": 0.5,
    "min_saturation_factor": 0.5,
    "max_saturation_factor": 1.5,
    "contrast_center": 1,  # MIDDLE_GRAY
    "min_contrast_factor": 0.5,
    "max_contrast_factor": 1.5,
    "min_brightness_factor": 0.875,
    "max_brightness_factor": 1.125,
    "max_brightness_delta": 0,
}


def expected_anchors_cxcywh():
    """Returns float64 [8732, 4] by the formulas: map, shape, row, column."""
    anchors = []
    for level, num_cells in enumerate(NUM_CELLS):
        side, next_side = SIDES_PX[level] / 300, SIDES_PX[level + 1] / 300
        shapes = [(side, side), (np.sqrt(side * next_side),) * 2]
        for ratio in RATIOS[level]:
            long, short = side * np.sqrt(ratio), side / np.sqrt(ratio)
            shapes += [(long, short), (short, long)]
        centres = (np.arange(num_cells) + 0.5) * STEPS_PX[level] / 300
        anchors += [
            (x, y, *shape) for shape in shapes for y in centres for x in centres
        ]
    return np.clip(anchors, 0, 1)


def test_model():
    ssd = read(NAME).model.ssd
    assert_values(ssd, MODEL)
    extractor = ssd.feature_extractor
    assert not extractor.conv_hyperparams.HasField("regularizer")
    predictor = ssd.box_predictor.convolutional_box_predictor
    assert not predictor.conv_hyperparams.HasField("batch_norm")
    normalization = extractor.image_normalization
    for found, expected in (
        (normalization.mean, [0.485, 0.456, 0.406]),
        (normalization.stddev, [0.229, 0.224, 0.225]),
    ):
        np.testing.assert_allclose(np.array(found) / 255, expected, rtol=1e-6)


def test_anchors():
    generator = anchor_generator_builder.build(
        read(NAME).model.ssd.anchor_generator
    )
    anchors = np.asarray(
        generator.generate([(n, n) for n in NUM_CELLS], (300, 300))
    )
    ymin, xmin, ymax, xmax = np.moveaxis(anchors, -1, 0)
    found = np.stack(
        [(xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin], -1
    )
    expected = expected_anchors_cxcywh()
    assert expected.shape == (8732, 4)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_parameters():
    model = model_builder.build(read(NAME).model, is_training=True)
    variables = model.checkpoint_variables()
    trained = {n: v for n, v in variables.items() if v.trainable}
    assert sum(np.prod(v.shape) for v in trained.values()) == 22_894_902


def test_training():
    train_config = read(NAME).train_config
    assert_values(train_config, TRAIN)
    crop, flip, colours = train_config.data_augmentation_options
    assert_values(crop.ssd_iou_crop, CROP)
    np.testing.assert_allclose(
        crop.ssd_iou_crop.min_iou, [0, 0.1, 0.3, 0.5, 0.7, 0.9], rtol=1e-6
    )
    assert flip.WhichOneof("preprocessing_step") == "random_horizontal_flip"
    assert_values(colours.photometric_distortion, COLOURS)
    steps = preprocessor_builder.build(train_config.data_augmentation_options)
    assert len(list(steps)) == 3


def test_schedule_on_8_gpus():
    train_config = read(NAME).train_config
    num_steps = 118_287 // (8 * 64) + 1
    assert epoch_steps.steps_per_epoch(train_config, 8) == num_steps == 232
    epoch_steps.resolve(train_config, 8, lambda: 0)
    assert train_config.num_steps == 65 * num_steps
    rate = optimizer_builder.build(train_config.optimizer).learning_rate
    base = 2.6e-3 * 8 * 64 / 32
    for step, expected in (
        (0, 0.0),
        (150, base / 2),
        (300, base * 299 / 300),
        (43 * num_steps - 1, base * 299 / 300),
        (43 * num_steps, base * 0.1 * 299 / 300),
        (54 * num_steps, base * 0.01 * 299 / 300),
    ):
        assert float(rate(step)) == pytest.approx(expected, rel=1e-6)


def test_readers():
    pipeline = read(NAME)
    (evaluation,) = pipeline.eval_input_reader
    for reader, part in (
        (pipeline.train_input_reader, "train2017"),
        (evaluation, "val2017"),
    ):
        assert_values(
            reader,
            {
                "coco_input_reader.image_dir": f"/coco/{part}",
                "coco_input_reader.annotations_path": (
                    f"/coco/annotations/instances_{part}.json"
                ),
                "label_map_path": (
                    "object_detection/data/mscoco_80_label_map.pbtxt"
                ),
                "shuffle": part == "train2017",
                "skip_images_without_boxes": part == "train2017",
            },
        )
    assert pipeline.eval_config.metrics_set == ["coco_detection_metrics"]
    assert pipeline.eval_config.batch_size == 32
