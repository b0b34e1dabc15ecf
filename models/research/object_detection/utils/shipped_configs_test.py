"""Holds the shipped configs to the original's values."""

import pathlib

import pytest
from google.protobuf import text_format

from object_detection.builders import optimizer_builder
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util, label_map_util

ROOT = pathlib.Path(__file__).parents[4]
CONFIGS = ROOT / "configs"
# Steps, highest rate, first rate, steps of warm-up.
SCHEDULES = {
    "ssd320_full_1gpus": (100000, 0.02, 0.0086664, 8000),
    "ssd320_full_4gpus": (25000, 0.08, 0.0346656, 2000),
    "ssd320_full_8gpus": (12500, 0.16, 0.0693312, 1000),
    "ssd320_bench": (1250, 0.02, 0.0086664, 400),
}
# Path under model.ssd -> value.
MODEL = {
    "num_classes": 90,
    "image_resizer.fixed_shape_resizer.height": 320,
    "image_resizer.fixed_shape_resizer.width": 320,
    "image_resizer.fixed_shape_resizer.resize_method": 0,
    "feature_extractor.type": "ssd_resnet50_v1_fpn",
    "feature_extractor.depth_multiplier": 1.0,
    "feature_extractor.override_base_feature_extractor_hyperparams": True,
    "feature_extractor.fpn.min_level": 3,
    "feature_extractor.fpn.max_level": 7,
    "feature_extractor.fpn.additional_layer_depth": 256,
    "feature_extractor.conv_hyperparams.initializer"
    ".truncated_normal_initializer.stddev": 0.03,
    "box_predictor.weight_shared_convolutional_box_predictor": {
        "depth": 256,
        "num_layers_before_predictor": 4,
        "kernel_size": 3,
        "class_prediction_bias_init": -4.6,
        "box_code_size": 4,
        "use_dropout": False,
        "share_prediction_tower": False,
        "conv_hyperparams.initializer.random_normal_initializer.stddev": 0.01,
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
        "ignore_thresholds": False,
        "negatives_lower_than_unmatched": True,
        "force_match_for_each_row": True,
        "use_matmul_gather": True,
    },
    "anchor_generator.multiscale_anchor_generator": {
        "min_level": 3,
        "max_level": 7,
        "anchor_scale": 4.0,
        "aspect_ratios": [1.0, 2.0, 0.5],
        "scales_per_octave": 2,
        "normalize_coordinates": True,
    },
    "encode_background_as_zeros": True,
    "add_background_class": True,
    "negative_class_weight": 1.0,
    "inplace_batchnorm_update": True,
    "freeze_batchnorm": True,
    "enforce_freeze_batchnorm": False,
    "normalize_loss_by_num_matches": True,
    "normalize_loc_loss_by_codesize": True,
    "loss": {
        "classification_loss.weighted_sigmoid_focal.alpha": 0.25,
        "classification_loss.weighted_sigmoid_focal.gamma": 2.0,
        "localization_loss.weighted_smooth_l1.delta": 1.0,
        "classification_weight": 1.0,
        "localization_weight": 1.0,
    },
    "post_processing": {
        "batch_non_max_suppression.score_threshold": 1e-8,
        "batch_non_max_suppression.iou_threshold": 0.6,
        "batch_non_max_suppression.max_detections_per_class": 100,
        "batch_non_max_suppression.max_total_detections": 100,
        "score_converter": 1,
        "logit_scale": 1.0,
    },
}
HYPERPARAMS = {
    "activation": 2,  # RELU_6
    "regularizer.l2_regularizer.weight": 0.0004,
    "batch_norm.decay": 0.997,
    "batch_norm.epsilon": 0.001,
    "batch_norm.scale": True,
    "batch_norm.center": True,
    "batch_norm.train": True,
}
TRAIN = {
    "batch_size": 32,
    "fine_tune_checkpoint": "/checkpoints/resnet_v1_50/model.ckpt",
    "fine_tune_checkpoint_type": "classification",
    "optimizer.momentum_optimizer.momentum_optimizer_value": 0.9,
    "optimizer.use_moving_average": False,
    "unpad_groundtruth_tensors": False,
    "max_number_of_boxes": 100,
    "add_regularization_loss": True,
    "gradient_clipping_by_norm": 0.0,
}
CROP = {
    "min_object_covered": 0.0,
    "min_aspect_ratio": 0.75,
    "max_aspect_ratio": 3.0,
    "min_area": 0.75,
    "max_area": 1.0,
    "overlap_thresh": 0.0,
    "clip_boxes": True,
    "random_coef": 0.0,
}
LABEL_MAP = "object_detection/data/mscoco_label_map.pbtxt"


@pytest.fixture(params=SCHEDULES)
def name(request):
    return request.param


def read(name):
    return config_util.read_pipeline_config(CONFIGS / f"{name}.config")


def assert_values(message, expected):
    for path, value in expected.items():
        found = message
        for step in path.split("."):
            found = getattr(found, step)
        if isinstance(value, dict):
            assert_values(found, value)
        elif isinstance(value, float):
            assert found == pytest.approx(value, rel=1e-6, abs=0), path
        else:
            assert found == value, path


def test_model(name):
    ssd = read(name).model.ssd
    assert_values(ssd, MODEL)
    predictor = ssd.box_predictor.weight_shared_convolutional_box_predictor
    assert_values(predictor.conv_hyperparams, HYPERPARAMS)
    assert_values(ssd.feature_extractor.conv_hyperparams, HYPERPARAMS)
    similarity = ssd.similarity_calculator
    assert similarity.WhichOneof("region_similarity") == "iou_similarity"


def test_training(name):
    train_config = read(name).train_config
    assert_values(train_config, TRAIN)
    flip, crop = train_config.data_augmentation_options
    assert flip.WhichOneof("preprocessing_step") == "random_horizontal_flip"
    assert_values(crop.random_crop_image, CROP)


def test_schedule(name):
    train_config = read(name).train_config
    num_steps, base, warmup, warmup_steps = SCHEDULES[name]
    assert train_config.num_steps == num_steps
    learning_rate = train_config.optimizer.momentum_optimizer.learning_rate
    assert_values(
        learning_rate.cosine_decay_learning_rate,
        {
            "learning_rate_base": base,
            "total_steps": num_steps,
            "warmup_learning_rate": warmup,
            "warmup_steps": warmup_steps,
            "hold_base_rate_steps": 0,
        },
    )
    schedule = optimizer_builder.build(train_config.optimizer).learning_rate
    assert float(schedule(0)) == pytest.approx(warmup)
    assert float(schedule(warmup_steps)) == pytest.approx(base)
    assert float(schedule(num_steps)) == pytest.approx(0.0, abs=1e-9)


def test_readers(name):
    pipeline = read(name)
    (evaluation,) = pipeline.eval_input_reader
    data = "/data/coco2017_tfrecords/*{}*"
    for reader, part in (
        (pipeline.train_input_reader, "train"),
        (evaluation, "val"),
    ):
        paths = reader.tf_record_input_reader.input_path
        assert paths == [data.format(part)]
        assert reader.label_map_path == LABEL_MAP
        assert reader.shuffle_buffer_size == 2048
        assert reader.filenames_shuffle_buffer_size == 100
    assert pipeline.train_input_reader.shuffle
    assert pipeline.train_input_reader.num_readers == 64
    assert (evaluation.shuffle, evaluation.num_readers) == (False, 1)
    assert pipeline.eval_config.metrics_set == ["coco_detection_metrics"]
    path = ROOT / "models/research" / LABEL_MAP
    label_map_util.check_num_classes(str(path), 90)


def test_the_four_differ_in_their_schedules_alone():
    def without_schedule(name):
        pipeline = read(name)
        pipeline.train_config.ClearField("num_steps")
        momentum = pipeline.train_config.optimizer.momentum_optimizer
        momentum.ClearField("learning_rate")
        return text_format.MessageToString(pipeline)

    assert len({without_schedule(name) for name in SCHEDULES}) == 1


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.config")), ids=str)
def test_each_config_opens_with_its_command_and_parses(path):
    lines = path.read_text().splitlines()
    head = lines[: next(i for i, s in enumerate(lines) if s[:1] != "#")]
    assert any("python -m" in line or "make demo" in line for line in head)
    assert any(path.name in line for line in head)
    pipeline = config_util.read_pipeline_config(path)
    assert isinstance(pipeline, pipeline_pb2.TrainEvalPipelineConfig)
    assert pipeline.model.ssd.num_classes > 0
