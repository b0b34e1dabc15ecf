"""Every way in which a config may be written, and which it may not."""

import pytest
from google import protobuf

from object_detection.builders import model_builder
from object_detection.core import errors
from object_detection.protos import (
    input_reader_pb2,
    losses_pb2,
    pipeline_pb2,
    ssd_anchor_generator_pb2,
    train_pb2,
)
from object_detection.utils import config_check, config_text, config_util


def parse(text, message_type=pipeline_pb2.TrainEvalPipelineConfig):
    return config_text.parse(text, message_type, "my.config")


def error_of(text, message_type):
    with pytest.raises(errors.ConfigError) as info:
        parse(text, message_type)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_all_spellings_of_the_text_format():
    pipeline, warnings = parse(
        """
        model: { ssd < num_classes: 7, freeze_batchnorm: t >; }
        train_config {
          optimizer { momentum_optimizer {
            momentum_optimizer_value: .16000000000000000000
            learning_rate { constant_learning_rate { learning_rate: 1e-8 } }
          } }
          gradient_clipping_by_norm: 10  # an integer for a float
          fine_tune_checkpoint: 'a/' "b"
          freeze_variables: ["x", 'y']
          freeze_variables: "z"
          add_regularization_loss: 0
        }
        train_input_reader { mask_type: 2 }
        """
    )
    assert warnings == []
    assert pipeline.model.ssd.num_classes == 7
    assert pipeline.model.ssd.freeze_batchnorm is True
    train = pipeline.train_config
    momentum = train.optimizer.momentum_optimizer
    assert momentum.momentum_optimizer_value == pytest.approx(0.16)
    rate = momentum.learning_rate.constant_learning_rate.learning_rate
    assert rate == pytest.approx(1e-8)
    assert train.gradient_clipping_by_norm == 10.0
    assert train.fine_tune_checkpoint == "a/b"
    assert train.freeze_variables == ["x", "y", "z"]
    assert train.add_regularization_loss is False
    assert pipeline.train_input_reader.mask_type == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".16000000000000000000", 0.16),
        ("-.5", -0.5),
        ("1e-8", 1e-8),
        ("1E+3", 1000),
        ("2.", 2),
        ("2.5f", 2.5),
        ("7", 7),
        ("inf", float("inf")),
        ("-inf", float("-inf")),
    ],
)
def test_spellings_of_a_number(text, expected):
    loss, _ = parse(f"localization_weight: {text}", losses_pb2.Loss)
    assert loss.localization_weight == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"), [("12", 12), ("0x1F", 31), ("0X0a", 10), ("0", 0)]
)
def test_spellings_of_an_integer(text, expected):
    train, _ = parse(f"batch_size: {text}", train_pb2.TrainConfig)
    assert train.batch_size == expected


@pytest.mark.parametrize("text", ["1.0", "1e3", "0x", "ten", "'3'", "-1"])
def test_what_is_no_integer(text):
    message = error_of(f"batch_size: {text}", train_pb2.TrainConfig)
    assert message.startswith("my.config:1:13: batch_size: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *dict.fromkeys(("true", "True", "t", "1"), True).items(),
        *dict.fromkeys(("false", "False", "f", "0"), False).items(),
    ],
)
def test_spellings_of_a_bool(text, expected):
    reader, _ = parse(f"shuffle: {text}", input_reader_pb2.InputReader)
    assert reader.shuffle is expected
    assert reader.HasField("shuffle")


@pytest.mark.parametrize("text", ["PNG_MASKS", "2"])
def test_spellings_of_an_enum(text):
    reader, _ = parse(f"mask_type: {text}", input_reader_pb2.InputReader)
    assert reader.mask_type == input_reader_pb2.PNG_MASKS


def test_a_number_that_no_enum_value_has():
    message = error_of("mask_type: 9", input_reader_pb2.InputReader)
    assert message.startswith("my.config:1:12: mask_type: '9' is not a value")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a' 'b'\n  \"c\"", "abc"),
        (r'"tab\there \"quoted\""', 'tab\there "quoted"'),
        (r"'\303\244 \xc3\xa4'", "ä ä"),
        pytest.param(
            *(r"'\u00e4'", "ä"),
            marks=pytest.mark.skipif(
                protobuf.__version__ < "5", reason="not in that protobuf"
            ),
        ),
        ("'# no comment, no } end'", "# no comment, no } end"),
        ("''", ""),
    ],
)
def test_spellings_of_text(text, expected):
    reader, _ = parse(f"name: {text}", input_reader_pb2.InputReader)
    assert reader.name == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aspect_ratios: [1.0, 2, .5]", [1, 2, 0.5]),
        ("aspect_ratios: []", []),
        ("aspect_ratios: [3] aspect_ratios: 4, aspect_ratios: 5;", [3, 4, 5]),
        ("# one\naspect_ratios: [ # two\n 1, # three\n 2 ] # four", [1, 2]),
    ],
)
def test_spellings_of_a_list(text, expected):
    anchors, warnings = parse(text, ssd_anchor_generator_pb2.SsdAnchorGenerator)
    assert anchors.aspect_ratios == expected
    assert warnings == []


def test_lists_of_messages_and_separators_after_them():
    train, _ = parse(
        "data_augmentation_options: [ { random_horizontal_flip {} },"
        " { random_crop_image { min_area: .5, }; } ];"
        " data_augmentation_options < random_rotation90: <>; >,",
        train_pb2.TrainConfig,
    )
    assert [
        option.WhichOneof("preprocessing_step")
        for option in train.data_augmentation_options
    ] == ["random_horizontal_flip", "random_crop_image", "random_rotation90"]


# Parts of the original's two-stage detectors, as their configs have them.
FASTER_RCNN = """
model {
  faster_rcnn {
    num_classes: 90
    image_resizer { keep_aspect_ratio_resizer {
      min_dimension: 600 max_dimension: 1024 } }
    feature_extractor {
      type: "faster_rcnn_resnet101"
      first_stage_features_stride: 16
    }
    first_stage_anchor_generator { grid_anchor_generator {
      scales: [0.25, 0.5, 1.0, 2.0]
      aspect_ratios: [0.5, 1.0, 2.0]
      height_stride: 16 width_stride: 16
    } }
    first_stage_box_predictor_conv_hyperparams {
      op: CONV
      regularizer { l2_regularizer { weight: 0.0 } }
      initializer { truncated_normal_initializer { stddev: 0.01 } }
    }
    first_stage_nms_score_threshold: 0.0
    first_stage_nms_iou_threshold: 0.7
    first_stage_max_proposals: 300
    first_stage_localization_loss_weight: 2.0
    first_stage_objectness_loss_weight: 1.0
    initial_crop_size: 14
    maxpool_kernel_size: 2
    maxpool_stride: 2
    second_stage_box_predictor { %s }
    second_stage_post_processing {
      batch_non_max_suppression {
        score_threshold: 0.0 iou_threshold: 0.6
        max_detections_per_class: 100 max_total_detections: 300
      }
      score_converter: SOFTMAX
    }
    second_stage_localization_loss_weight: 2.0
    second_stage_classification_loss_weight: 1.0
  }
}
"""
HYPERPARAMS = """op: FC
  regularizer { l2_regularizer { weight: 0.0 } }
  initializer { variance_scaling_initializer {
    factor: 1.0 uniform: true mode: FAN_AVG } }"""
SECOND_STAGES = {
    "Faster R-CNN": f"""mask_rcnn_box_predictor {{
      use_dropout: false dropout_keep_probability: 1.0
      fc_hyperparams {{ {HYPERPARAMS} }} }}""",
    "Mask R-CNN": f"""mask_rcnn_box_predictor {{
      predict_instance_masks: true mask_height: 33 mask_width: 33
      mask_prediction_conv_depth: 0
      mask_prediction_num_conv_layers: 4
      fc_hyperparams {{ {HYPERPARAMS} }}
      conv_hyperparams {{ {HYPERPARAMS.replace("FC", "CONV")} }} }}""",
    "R-FCN": f"""rfcn_box_predictor {{
      conv_hyperparams {{ {HYPERPARAMS.replace("FC", "CONV")} }}
      crop_height: 18 crop_width: 18
      num_spatial_bins_height: 3 num_spatial_bins_width: 3 }}""",
}


@pytest.mark.parametrize(
    "second_stage", SECOND_STAGES.values(), ids=SECOND_STAGES
)
def test_two_stage_detectors_parse_and_are_refused_by_name(second_stage):
    pipeline, warnings = parse(FASTER_RCNN % second_stage)
    assert warnings == []
    kind = second_stage.partition(" ")[0]
    predictor = pipeline.model.faster_rcnn.second_stage_box_predictor
    assert predictor.WhichOneof("box_predictor_oneof") == kind
    configs = config_util.get_configs_from_pipeline_proto(pipeline)
    with pytest.raises(errors.ConfigError, match=r"^model.faster_rcnn: is not"):
        config_check.check_configs(
            configs, is_training=True, is_evaluating=True
        )
    with pytest.raises(errors.ConfigError, match=r"^model.faster_rcnn: is not"):
        model_builder.build(pipeline.model, is_training=False)
