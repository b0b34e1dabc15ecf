import pytest

from object_detection.core import errors
from object_detection.protos import (
    eval_pb2,
    hyperparams_pb2,
    pipeline_pb2,
)
from object_detection.utils import config_hints, config_text

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
