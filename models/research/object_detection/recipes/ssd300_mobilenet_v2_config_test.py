"""Holds the config of SSD300 with MobileNet v2 to MindSpore's values."""

import numpy as np
import pytest

from object_detection.builders import (
    anchor_generator_builder,
    model_builder,
    optimizer_builder,
    preprocessor_builder,
)
from object_detection.recipes import ssd300_mobilenet_v2_flags as flags
from object_detection.recipes import ssd300_mobilenet_v2_overrides as overrides
from object_detection.training import gradients
from object_detection.utils import epoch_steps
from object_detection.utils.shipped_configs_test import assert_values, read

NAME = "ssd300_mobilenet_v2_coco"
SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
STEPS_PX = (16, 32, 64, 100, 150, 300)
NUM_CELLS = (19, 10, 5, 3, 2, 1)
NUM_BOXES = (1083, 600, 150, 54, 24, 6)
HYPERPARAMS = {
    "activation": 2,  # RELU_6
    "initializer.truncated_normal_initializer.stddev": 0.01,
    "batch_norm": {
        "decay": 0.97,
        "epsilon": 1e-3,
        "scale": True,
        "center": True,
        "train": True,
    },
}
MODEL = {
    "num_classes": 80,
    "image_resizer.fixed_shape_resizer.height": 300,
    "image_resizer.fixed_shape_resizer.width": 300,
    "image_resizer.fixed_shape_resizer.resize_method": 0,  # BILINEAR
    "feature_extractor": {
        "type": "ssd300_mobilenet_v2",
        "override_base_feature_extractor_hyperparams": True,
        "use_depthwise": True,
        "depth_multiplier": 1.0,
        "conv_hyperparams": HYPERPARAMS,
    },
    "box_predictor.convolutional_box_predictor": {
        "kernel_size": 3,
        "use_dropout": False,
        "use_depthwise": True,
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
    "normalize_loc_loss_by_codesize": True,
    "negative_class_weight": 1.0,
    "loss": {
        "classification_loss.weighted_sigmoid_focal.alpha": 0.75,
        "classification_loss.weighted_sigmoid_focal.gamma": 2.0,
        "localization_loss.weighted_smooth_l1.delta": 1.0,
        "normalization": 0,  # BY_BATCH
        "classification_weight": 1.0,
        "localization_weight": 1.0,
    },
    "post_processing": {
        "score_converter": 1,  # SIGMOID
        "batch_non_max_suppression": {
            "score_threshold": 0.1,
            "iou_threshold": 0.6,
            "max_detections_per_class": 100,
            "max_total_detections": 80 * 100,
            "max_candidates": 0,
            "max_candidates_per_class": 0,
        },
    },
}
TRAIN = {
    "batch_size": 32,
    "num_epochs": 500.0,
    "examples_per_epoch": 0,
    "optimizer.momentum_optimizer.momentum_optimizer_value": 0.9,
    "optimizer.use_moving_average": False,
    "weight_decay.weight": 1.5e-4,
    "weight_decay.exclude_variables": [".*/BatchNorm/.*"],
    "loss_scale.initial_scale": 1024.0,
    "loss_scale.is_static": True,
    "fine_tune_checkpoint": "",
    "gradient_clipping_by_norm": 0.0,
}
CROP = {
    "rule": 2,  # NOT_MIXED
    "max_trials": 50,
    "min_scale": 0.3,
    "max_scale": 1.0,
    "min_aspect_ratio": 0.5,
    "max_aspect_ratio": 2.0,
    "aspect_ratio_in_pixels": True,
    "clip_boxes": True,
}
COLOURS = {
    "probability": 1.0,
    "color_model": 1,  # YIQ
    "contrast_center": 2,  # MEAN_LUMA
    "max_hue_delta_degrees": 0.0,
    "max_brightness_delta": 0,
    **{
        f"{limit}_{kind}_factor": value
        for kind in ("brightness", "contrast", "saturation")
        for limit, value in (("min", 0.6), ("max", 1.4))
    },
}


def expected_anchors_cxcywh():
    """Returns float64 [1917, 4] by the formulas: map, row, column, shape."""
    anchors = []
    for level, num_cells in enumerate(NUM_CELLS):
        side, next_side = SCALES[level], SCALES[level + 1]
        root_2, root_3 = np.sqrt(2), np.sqrt(3)
        wide = (side * root_2, side / root_2)
        wider = (side * root_3, side / root_3)
        if level == 0:
            shapes = [(0.1, 0.1), wide, wide[::-1]]
        else:
            shapes = [(side, side), wide, wide[::-1], wider, wider[::-1]]
            shapes += [(np.sqrt(side * next_side),) * 2]
        centres = (np.arange(num_cells) + 0.5) * STEPS_PX[level] / 300
        anchors += [
            (x, y, *shape) for y in centres for x in centres for shape in shapes
        ]
    return np.array(anchors)


@pytest.fixture(scope="module")
def trained_variables():
    model = model_builder.build(read(NAME).model, is_training=True)
    variables = model.checkpoint_variables()
    return {n: v for n, v in variables.items() if v.trainable}


def test_model():
    ssd = read(NAME).model.ssd
    assert_values(ssd, MODEL)
    assert not ssd.loss.HasField("hard_negative_miner")
    extractor = ssd.feature_extractor
    assert not extractor.conv_hyperparams.HasField("regularizer")
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
    assert expected.shape == (sum(NUM_BOXES), 4) == (1917, 4)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # Nothing is clipped: the last centre of the second map lies outside.
    assert found[1082 + 600, 0] == pytest.approx(9.5 * 32 / 300, abs=1e-6)


def test_parameters(trained_variables):
    shapes = [v.shape for v in trained_variables.values()]
    assert sum(np.prod(shape) for shape in shapes) == 4_393_461


def test_all_but_batch_norms_decay(trained_variables):
    decayed = gradients.select_decayed(
        trained_variables,
        read(NAME).train_config.weight_decay.exclude_variables,
    )
    others = {name for name in trained_variables if name not in decayed}
    assert {n.rpartition("/")[2] for n in others} == {"gamma", "beta"}
    assert {n.rpartition("/")[2] for n in decayed} == {
        *("weights", "depthwise_weights", "biases")
    }


def test_the_backbone_can_be_frozen(trained_variables):
    """`--freeze_layer backbone` of the recipe."""
    arguments = flags.training_parser("").parse_args(
        ["--freeze_layer=backbone"]
    )
    patterns = overrides.for_training(arguments)[
        "train_config.freeze_variables"
    ]
    left = gradients.select_variables(trained_variables, (), patterns)
    frozen = trained_variables.keys() - left
    scopes = {name.split("/")[2].rstrip("_0123456789") for name in frozen}
    assert scopes == {"Conv", "expanded_conv", "expand_layer_conv"}
    # 17 bottlenecks of three convolutions, but one of two; and three more.
    kernels = [n for n in frozen if n.endswith("weights")]
    assert len(kernels) == 17 * 3 - 1 + 3
    assert {
        name.split("/")[2].split("_")[0]
        for name in left
        if name.startswith("FeatureExtractor/")
    } == {"layer"}


def test_training():
    train_config = read(NAME).train_config
    assert_values(train_config, TRAIN)
    crop, flip, colours = train_config.data_augmentation_options
    assert_values(crop.ssd_iou_crop, CROP)
    np.testing.assert_allclose(
        crop.ssd_iou_crop.min_iou, [0.1, 0.3, 0.5, 0.7, 0.9], rtol=1e-6
    )
    assert flip.WhichOneof("preprocessing_step") == "random_horizontal_flip"
    assert_values(colours.photometric_distortion, COLOURS)
    steps = preprocessor_builder.build(train_config.data_augmentation_options)
    assert len(list(steps)) == 3


# What one device has by its flag's default, and eight by the examples.
@pytest.mark.parametrize(
    ("num_devices", "base", "num_steps"), [(1, 0.05, 3664), (8, 0.2, 458)]
)
def test_schedule(num_devices, base, num_steps):
    train_config = read(NAME).train_config
    rate = train_config.optimizer.momentum_optimizer.learning_rate
    if num_devices > 1:
        rate.cosine_decay_learning_rate.learning_rate_base = base
    epoch_steps.resolve(train_config, num_devices, lambda: 117_266)
    assert train_config.num_steps == 500 * num_steps
    rate = optimizer_builder.build(train_config.optimizer).learning_rate
    warmup, total = 2 * num_steps, 500 * num_steps
    for step, expected in (
        (0, 0.001),
        (num_steps, (0.001 + base) / 2),
        (warmup, base),
        ((warmup + total) // 2, base * (1 + 0.001) / 2),
        (total, 0.001 * base),
    ):
        assert float(rate(step)) == pytest.approx(expected, rel=1e-4)


def test_readers():
    pipeline = read(NAME)
    (evaluation,) = pipeline.eval_input_reader
    for reader, part, records in (
        (pipeline.train_input_reader, "train2017", "train"),
        (evaluation, "val2017", "eval"),
    ):
        assert_values(
            reader,
            {
                "coco_input_reader.image_dir": f"/data/coco2017/{part}",
                "coco_input_reader.annotations_path": (
                    f"/data/coco2017/annotations/instances_{part}.json"
                ),
                "record_dir": f"/data/MindRecord_COCO/{records}",
                "label_map_path": (
                    "object_detection/data/mscoco_80_label_map.pbtxt"
                ),
                "shuffle": part == "train2017",
                "skip_images_without_boxes": part == "train2017",
            },
        )
    assert_values(
        pipeline.eval_config,
        {
            "metrics_set": ["coco_detection_metrics"],
            "batch_size": 1,
            "skip_images_with_crowds": False,
        },
    )
