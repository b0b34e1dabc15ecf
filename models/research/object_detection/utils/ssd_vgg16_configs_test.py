"""Holds the configs of SSD on VGG-16 to the recipe that they are of."""

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import (
    optimizer_builder,
    train_options_builder,
)
from object_detection.protos import train_pb2
from object_detection.training import options
from object_detection.utils import config_util, configured_detector
from object_detection.utils.shipped_configs_test import (
    CONFIGS,
    ROOT,
    assert_values,
)

PAIR, QUADRUPLE = (2.0, 0.5), (2.0, 3.0, 0.5, 1 / 3)
SIDES_PX = {"ssd300_vgg16_voc": 300, "ssd512_vgg16_voc": 512}
# Scales, the one after the last, side of each map.
BOXES = {
    300: (
        (0.1, 0.2, 0.375, 0.55, 0.725, 0.9),
        1.075,
        (38, 19, 10, 5, 3, 1),
    ),
    512: (
        (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9),
        1.05,
        (64, 32, 16, 8, 4, 2, 1),
    ),
}
HYPERPARAMS = {
    "activation": 1,  # RELU
    "regularizer.l2_regularizer.weight": 0.0005,
    "initializer.variance_scaling_initializer": {
        "factor": 1.0,
        "uniform": True,
        "mode": 2,  # FAN_AVG
    },
}
MODEL = {
    "num_classes": 20,
    "feature_extractor.conv_hyperparams": HYPERPARAMS,
    "feature_extractor.override_base_feature_extractor_hyperparams": True,
    "box_predictor.convolutional_box_predictor": {
        "conv_hyperparams": HYPERPARAMS,
        "kernel_size": 3,
        "use_dropout": False,
    },
    "box_coder.faster_rcnn_box_coder": {
        "y_scale": 10.0,
        "x_scale": 10.0,
        "height_scale": 5.0,
        "width_scale": 5.0,
        "max_decoded_code": 100.0,
    },
    "matcher.argmax_matcher": {
        "matched_threshold": 0.5,
        "unmatched_threshold": 0.5,
        "strict_threshold": True,
        "force_match_for_each_row": False,
    },
    "background_class_last": True,
    "encode_background_as_zeros": False,
    "normalize_loc_loss_by_codesize": False,
    "loss": {
        "localization_loss.weighted_smooth_l1.delta": 1.0,
        "hard_negative_miner.max_negatives_per_positive": 3.0,
        "normalization": 1,  # BY_IMAGE
        "classification_weight": 1.0,
        "localization_weight": 1.0,
    },
    "post_processing.score_converter": 2,  # SOFTMAX
    "post_processing.batch_non_max_suppression": {
        "score_threshold": 0.01,
        "iou_threshold": 0.45,
        "one_class_per_anchor": True,
        "max_candidates": 0,
        "max_detections_per_class": 200,
        "max_total_detections": 200,
    },
}
TRAIN = {
    "batch_size": 8,
    "num_epochs": 200.0,
    "num_steps": 0,
    "optimizer.use_moving_average": False,
    "optimizer.momentum_optimizer.momentum_optimizer_value": 0.9,
    "add_regularization_loss": True,
    "weight_decay.weight": 0.0,
    "fine_tune_checkpoint_type": "classification",
}
AUGMENTATIONS = """
  data_augmentation_options {{ photometric_distortion {{
    order: RANDOM_CONTRAST probability: 0.5 max_brightness_delta: 32
    min_contrast_factor: 0.5 max_contrast_factor: 1.5
    min_saturation_factor: 0.5 max_saturation_factor: 1.5
    max_hue_delta_degrees: 36 }} }}
  data_augmentation_options {{
    random_channel_permutation {{ probability: 0.5 }} }}
  data_augmentation_options {{ ssd_expand {{
    probability: 0.5 max_ratio: 4 color: [123, 117, 104] }} }}
  data_augmentation_options {{ ssd_iou_crop {{
    rule: BEST_BOX min_iou: [0.1, 0.3, 0.5, 0.7, 0.9, 1] max_trials: 50
    min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2
    clip_boxes: false }} }}
  data_augmentation_options {{ random_horizontal_flip {{}} }}
  data_augmentation_options {{ random_resize_method {{
    target_height: {0} target_width: {0} include_lanczos: true }} }}
"""


@pytest.fixture(params=SIDES_PX)
def name(request):
    return request.param


def read(name):
    return config_util.read_pipeline_config(CONFIGS / f"{name}.config")


def test_model(name):
    ssd, side_px = read(name).model.ssd, SIDES_PX[name]
    assert_values(ssd, MODEL)
    assert ssd.feature_extractor.type == f"ssd{side_px}_vgg16"
    assert_values(
        ssd.image_resizer.fixed_shape_resizer,
        {"height": side_px, "width": side_px, "resize_method": 0},
    )
    kind = ssd.loss.classification_loss.WhichOneof("classification_loss")
    assert kind == "weighted_softmax"
    assert not ssd.feature_extractor.HasField("image_normalization")


def test_boxes(name):
    """Holds every anchor to the formulas."""
    scales, extra, grids = BOXES[SIDES_PX[name]]
    expected = []
    for index, (scale, grid) in enumerate(zip(scales, grids, strict=True)):
        is_outer = index == 0 or index >= len(scales) - 2
        following = (*scales, extra)[index + 1]
        shapes = [(scale, scale)]
        for ratio in PAIR if is_outer else QUADRUPLE:
            shapes.append((scale * ratio**0.5, scale / ratio**0.5))
        shapes.append(((scale * following) ** 0.5,) * 2)
        expected += [
            ((j + 0.5) / grid, (i + 0.5) / grid, width, height)
            for width, height in shapes
            for i in range(grid)
            for j in range(grid)
        ]
    detector = configured_detector.build(str(CONFIGS / f"{name}.config"))
    anchors = np.asarray(
        detector.model.anchor_generator.generate(
            [(grid, grid) for grid in grids], detector.image_size_px
        )
    )
    centre_yx = (anchors[:, :2] + anchors[:, 2:]) / 2
    size_hw = anchors[:, 2:] - anchors[:, :2]
    found = np.concatenate([centre_yx[:, ::-1], size_hw[:, ::-1]], 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(found) == {300: 8732, 512: 24564}[SIDES_PX[name]]


def test_training(name):
    train_config = read(name).train_config
    assert_values(train_config, TRAIN)
    built = train_options_builder.build(
        train_config, "float16", False, f"ssd{SIDES_PX[name]}_vgg16"
    )
    assert built.loss_scale == options.LossScaleOptions(
        initial=2.0**32, growth_steps=1000, overflows_before_shrink=2
    )
    expected = text_format.Parse(
        AUGMENTATIONS.format(SIDES_PX[name]), train_pb2.TrainConfig()
    )
    found = train_config.data_augmentation_options
    assert list(found) == list(expected.data_augmentation_options)


def test_rates_change_after_the_boundaries(name):
    schedule = optimizer_builder.build(
        read(name).train_config.optimizer
    ).learning_rate
    steps = [0, 1, 320_000, 320_001, 400_000, 400_001, 537_599]
    np.testing.assert_allclose(
        schedule(np.array(steps)),
        [7.5e-4, 7.5e-4, 7.5e-4, 1e-4, 1e-4, 1e-5, 1e-5],
        rtol=1e-6,
    )


def test_readers_and_metric(name):
    pipeline = read(name)
    (evaluation,) = pipeline.eval_input_reader
    train = pipeline.train_input_reader
    assert train.voc_input_reader.image_set == "trainval"
    assert [p[-7:] for p in train.voc_input_reader.input_dir] == [
        "VOC2007",
        "VOC2012",
    ]
    assert train.skip_images_without_boxes
    assert evaluation.voc_input_reader.image_set == "test"
    (test_dir,) = evaluation.voc_input_reader.input_dir
    assert test_dir.endswith("test/VOCdevkit/VOC2007")
    assert not evaluation.shuffle
    for reader in (train, evaluation):
        assert (ROOT / "models/research" / reader.label_map_path).exists()
    assert_values(
        pipeline.eval_config,
        {
            "metrics_set": ["pascal_voc_detection_metrics"],
            "use_11_point_average_precision": True,
            "count_difficult": True,
            "num_visualizations": 3,
        },
    )


def test_both_differ_in_what_depends_on_the_size_alone():
    texts = set()
    for name in SIDES_PX:
        pipeline = read(name)
        ssd = pipeline.model.ssd
        ssd.ClearField("anchor_generator")
        ssd.ClearField("image_resizer")
        ssd.feature_extractor.ClearField("type")
        del pipeline.train_config.data_augmentation_options[-1]
        texts.add(text_format.MessageToString(pipeline))
    assert len(texts) == 1
