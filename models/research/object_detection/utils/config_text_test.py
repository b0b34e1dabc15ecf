import pytest

from object_detection.builders import model_builder
from object_detection.core import errors
from object_detection.protos import (
    eval_pb2,
    hyperparams_pb2,
    input_reader_pb2,
    losses_pb2,
    pipeline_pb2,
    ssd_anchor_generator_pb2,
    train_pb2,
)
from object_detection.utils import (
    config_check,
    config_hints,
    config_text,
    config_util,
)

UINT32 = "expected an integer from 0 to 4294967295, found"


def parse(text, message_type=pipeline_pb2.TrainEvalPipelineConfig):
    return config_text.parse(text, message_type, "my.config")


def error_of(text, message_type=pipeline_pb2.TrainEvalPipelineConfig):
    with pytest.raises(errors.ConfigError) as info:
        parse(text, message_type)
    message = str(info.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model {\n  ssd {\n    num_clases: 3\n  }\n}",
            "my.config:3:5: model.ssd.num_clases: Ssd has no field "
            "'num_clases'; did you mean 'num_classes'?",
        ),
        (
            # What stands in comments and strings opens no block.
            "# model { num_clases\nmodel { # {\n ssd { num_clases: 1 } }",
            "my.config:3:8: model.ssd.num_clases: Ssd has no field "
            "'num_clases'; did you mean 'num_classes'?",
        ),
        (
            'train_config { fine_tune_checkpoint: "}{" batch_siz: 2 }',
            "my.config:1:43: train_config.batch_siz: TrainConfig has no "
            "field 'batch_siz'; did you mean 'batch_size'?",
        ),
        (
            "model < ssd < num_clases: 3 > >",
            "my.config:1:15: model.ssd.num_clases: Ssd has no field "
            "'num_clases'; did you mean 'num_classes'?",
        ),
        (
            "model {\r\n  ssd {\r\n    Num_Classes: 3\r\n}}",
            "my.config:3:5: model.ssd.Num_Classes: Ssd has no field "
            "'Num_Classes'; did you mean 'num_classes'?",
        ),
        (
            "eval_input_reader { shuffle: true }\n"
            "eval_input_reader { label_map: 'x' }",
            "my.config:2:21: eval_input_reader.label_map: InputReader has no "
            "field 'label_map'; did you mean 'label_map_path'?",
        ),
        (
            "num_classes: 3",
            "my.config:1:1: num_classes: TrainEvalPipelineConfig has no "
            "field 'num_classes'; it is a field of FasterRcnn or Ssd",
        ),
        (
            "train_config { matched_threshold: 3 }",
            "my.config:1:16: train_config.matched_threshold: TrainConfig has "
            "no field 'matched_threshold'; it is a field of ArgMaxMatcher; "
            "or did you mean 'num_batch_queue_threads'?",
        ),
        (
            "model { foo: 3 }",
            "my.config:1:9: model.foo: DetectionModel has no field 'foo'; "
            "valid names: faster_rcnn, ssd",
        ),
        (
            "model {\n ssd {\n feature_extractor {\n"
            '  type: "x"\n  num_classes: 3\n } }}',
            "my.config:5:3: model.ssd.feature_extractor.num_classes: "
            "SsdFeatureExtractor has no field 'num_classes', Ssd has: is the "
            "'}' of 'feature_extractor' (line 3) missing before it?",
        ),
    ],
)
def test_unknown_field(text, expected):
    assert error_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "train_config { batch_size: 1.5 }",
            f"my.config:1:28: train_config.batch_size: {UINT32} 1.5",
        ),
        (
            "train_config {\n  batch_size: 4294967296 }",
            f"my.config:2:15: train_config.batch_size: {UINT32} 4294967296",
        ),
        (
            "train_config { batch_size: -1 }",
            f"my.config:1:28: train_config.batch_size: {UINT32} -1",
        ),
        (
            "train_config { gradient_clipping_by_norm: ten }",
            "my.config:1:43: train_config.gradient_clipping_by_norm: expected "
            "a number, found ten",
        ),
        (
            "eval_input_reader { shuffle: yes }",
            "my.config:1:30: eval_input_reader.shuffle: expected true or "
            "false, found yes",
        ),
        (
            "train_config { fine_tune_checkpoint: model.ckpt }",
            "my.config:1:38: train_config.fine_tune_checkpoint: expected text "
            "in quotes, found model.ckpt",
        ),
        (
            "train_config { fine_tune_checkpoint: “a” }",
            "my.config:1:38: train_config.fine_tune_checkpoint: found the "
            "typographic quote “, expected \" or '",
        ),
        (
            "train_config { batch_size 3 }",
            "my.config:1:27: train_config.batch_size: expected ':' after "
            "'batch_size', found 3",
        ),
        (
            "train_config { freeze_variables: ['a', 3] }",
            "my.config:1:40: train_config.freeze_variables: expected text in "
            "quotes, found 3",
        ),
    ],
)
def test_wrong_value(text, expected):
    assert error_of(text) == expected


def test_unknown_enum_value():
    message = error_of(
        "op: CONV\nactivation: RELU6", hyperparams_pb2.Hyperparams
    )
    assert message == (
        "my.config:2:13: activation: 'RELU6' is not a value of Activation; "
        "did you mean 'RELU_6'?"
    )


def test_two_members_of_a_oneof():
    assert error_of(
        "train_config { optimizer { adam_optimizer {} rms_prop_optimizer {} }}"
    ) == (
        "my.config:1:46: train_config.optimizer.rms_prop_optimizer: "
        "'adam_optimizer' is set already, and 'optimizer' takes one field "
        "only: remove 'adam_optimizer' or 'rms_prop_optimizer'"
    )


def test_blocks_that_do_not_match():
    assert error_of("model {\n ssd {\n num_classes: 3\n").endswith(
        "the file ends before the '}' of: model (line 1), ssd (line 2)"
    )
    assert error_of("model { } }") == (
        "my.config:1:11: found a '}' that closes no block"
    )
    assert "missing ending quote" in error_of(
        'train_config { fine_tune_checkpoint: "abc\n }'
    )


@pytest.mark.parametrize("opening", ["model {", "a: [", "x <"])
def test_deep_nesting_is_refused_before_it_is_parsed(opening):
    text = "# a comment\n" + (opening + "\n") * 100_000
    assert error_of(text) == (
        "my.config:66: blocks nest deeper than 64 levels, which no config "
        "field needs"
    )


def test_brackets_in_comments_and_strings_do_not_nest():
    text = "# " + "{" * 100 + '\nmetrics_set: "' + "[" * 100 + '"'
    message, warnings = parse(text, eval_pb2.EvalConfig)
    assert message.metrics_set == ["[" * 100]
    assert warnings == []


def test_field_set_twice_is_a_warning_and_the_last_counts():
    text = "model {\n  ssd { num_classes: 3\n    num_classes: 4 } }"
    pipeline, warnings = parse(text)
    assert pipeline.model.ssd.num_classes == 4
    assert warnings == [
        "my.config:3:18: model.ssd.num_classes: 'num_classes' is set more than "
        "once, the last one counts"
    ]


def test_field_set_twice_hides_no_error_after_it():
    text = "model { ssd { num_classes: 3 num_classes: 4 nms: 1 } }"
    assert "my.config:1:45: model.ssd.nms" in error_of(text)


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


def test_nearest_name():
    names = ["batch_size", "num_steps"]
    assert config_hints.nearest_name("Batchsize", names) == (
        "did you mean 'batch_size'?"
    )
    assert config_hints.nearest_name("zzz", names) == (
        "valid names: batch_size, num_steps"
    )
    assert config_hints.nearest_name("zzz", []) == "nothing is valid here"
    many = [f"name_{letter}" for letter in "abcdefghijklmn"]
    assert config_hints.nearest_name("zzz", many).endswith("name_l, ...")


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
        (r"'\303\244 \xc3\xa4 \u00e4'", "ä ä ä"),
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
