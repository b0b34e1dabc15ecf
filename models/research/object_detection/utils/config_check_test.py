import pathlib

import pytest
from google.protobuf import text_format

from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.utils import (
    config_check,
    config_overrides,
    config_util,
)

CONFIGS = pathlib.Path(__file__).parents[4] / "configs"
SHARED_PREDICTOR = (
    "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
)


def ssd320(**overrides):
    configs = config_util.get_configs_from_pipeline_file(
        CONFIGS / "ssd320_full_1gpus.config"
    )
    return with_overrides(configs, overrides)


def with_overrides(configs, overrides):
    return config_overrides.apply_overrides(
        configs, {key.replace("__", "."): v for key, v in overrides.items()}
    )


def check(configs, **arguments):
    config_check.check_configs(
        configs, **({"is_training": True, "is_evaluating": True} | arguments)
    )


def refusal(configs, **arguments):
    with pytest.raises(errors.ConfigError) as info:
        check(configs, **arguments)
    message = str(info.value)
    assert "\n" not in message
    return message


def merge(configs, text):
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    text_format.Merge(text, pipeline)
    return config_util.get_configs_from_pipeline_proto(pipeline)


def test_shipped_config_passes_with_its_known_warnings(caplog):
    check(ssd320())
    fields, batchnorm = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0].strip() for line in fields.split("\n")] == [
        "Config fields without effect",
        "model.ssd.matcher.argmax_matcher.use_matmul_gather",
        "model.ssd.inplace_batchnorm_update",
    ]
    assert "freeze_batchnorm: true does not freeze" in batchnorm
    assert "feature_extractor.conv_hyperparams" in batchnorm
    assert f"{SHARED_PREDICTOR}.conv_hyperparams" in batchnorm


def test_batchnorm_is_not_mentioned_when_nothing_trains(caplog):
    check(ssd320(), is_training=False)
    assert "freeze_batchnorm" not in caplog.text


def test_fields_without_effect_are_listed_once_with_path_and_reason(caplog):
    check(
        merge(
            ssd320(),
            "train_config { sync_replicas: true startup_delay_steps: 0 "
            "replicas_to_aggregate: 8 } eval_config { num_examples: 8000 "
            "skip_labels: false } eval_input_reader { queue_capacity: 9 }",
        )
    )
    text = caplog.records[0].getMessage()
    assert "train_config.sync_replicas: only the legacy trainer" in text
    assert "train_config.replicas_to_aggregate" in text
    assert "eval_config.num_examples: the whole evaluation set" in text
    assert "eval_input_reader[1].queue_capacity" in text
    # Turning off what does not exist asks for nothing.
    assert "startup_delay_steps" not in text
    assert "skip_labels" not in text
    assert caplog.text.count("sync_replicas") == 1


def test_a_field_without_the_one_that_it_needs_has_no_effect(caplog):
    ssd = "model.ssd"
    fields = "implicit_example_weight: 0.5 loss { hard_example_miner {%s} }"
    miner = "min_negatives_per_image: 3"
    check(merge(ssd320(), f"model {{ ssd {{ {fields % miner} }} }}"))
    text = caplog.records[0].getMessage()
    needs = "needs max_negatives_per_positive"
    assert f"{ssd}.implicit_example_weight: needs use_confidences" in text
    assert (
        f"{ssd}.loss.hard_example_miner.min_negatives_per_image: {needs}"
        in text
    )
    caplog.clear()
    fields = f"use_confidences_as_targets: true {fields}"
    miner = f"{miner} max_negatives_per_positive: 2"
    check(merge(ssd320(), f"model {{ ssd {{ {fields % miner} }} }}"))
    assert " needs " not in caplog.text


def test_parts_that_are_not_used_are_not_looked_at(caplog):
    configs = merge(ssd320(), "train_config { sync_replicas: true }")
    configs["train_config"].batch_size = 0
    configs["train_input_config"].label_map_path = "PATH_TO_BE_CONFIGURED/x"
    check(configs, is_training=False)
    assert "sync_replicas" not in caplog.text
    configs = ssd320()
    del configs["eval_input_configs"][:]
    check(configs, is_evaluating=False)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"train_config__batch_size": 0}, "at least 1, got 0"),
        ({"eval_config__batch_size": 0}, "at least 1, got 0"),
        (
            {"train_config__gradient_clipping_by_norm": -2},
            "at least 0, got -2",
        ),
        (
            {"train_config__keep_checkpoint_every_n_hours": 0},
            "above 0, got 0",
        ),
        (
            {"model__ssd__loss__localization_weight": -0.5},
            "at least 0, got -0.5",
        ),
        (
            {
                "model__ssd__loss__classification_loss__weighted_sigmoid_focal"
                "__alpha": 1.5
            },
            "from 0 to 1, got 1.5",
        ),
        (
            {"model__ssd__loss__classification_weight": "inf"},
            "expected a finite number, got inf",
        ),
        (
            {"model__ssd__loss__classification_weight": float("nan")},
            "expected a finite number, got nan",
        ),
    ],
)
def test_numbers_out_of_range(overrides, expected):
    message = refusal(ssd320(**overrides))
    (key,) = overrides
    assert message.startswith(key.replace("__", ".") + ": ")
    assert expected in message


def test_dotted_path_in_an_error_sets_the_field():
    configs = ssd320(train_config__batch_size=0)
    path = refusal(configs).split(":")[0]
    check(config_overrides.apply_overrides(configs, {path: "3"}))


def test_placeholder():
    path = "eval_input_reader[0].tf_record_input_reader.input_path"
    configs = config_overrides.apply_overrides(
        ssd320(), {path: "PATH_TO_BE_CONFIGURED/val.record"}
    )
    message = refusal(configs)
    assert message.startswith(f"{path}[0]: still has the placeholder")


@pytest.mark.parametrize(
    ("delay", "is_warned"), [(99999, False), (100000, True)]
)
def test_quantization_that_begins_after_the_end_is_warned_about(
    delay, is_warned, caplog
):
    text = f"graph_rewriter {{ quantization {{ delay: {delay} }} }}"
    check(merge(ssd320(), text))
    warned = "graph_rewriter.quantization.delay: is" in caplog.text
    assert warned == is_warned


def test_averages_to_evaluate_must_be_kept_in_training():
    configs = ssd320(eval_config__use_moving_averages=True)
    message = refusal(configs)
    assert message.startswith("eval_config.use_moving_averages: true needs")
    check(configs, is_training=False)
    configs["train_config"].optimizer.use_moving_average = True
    check(configs)


def test_steps_must_be_given_somewhere():
    configs = ssd320(train_config__num_steps=0)
    assert refusal(configs).startswith("train_config.num_steps: is 0; set it")
    check(configs, is_training=False)


@pytest.mark.parametrize(
    ("num_steps", "is_warned"), [(100000, False), (100001, True)]
)
def test_training_past_the_end_of_the_schedule_is_warned_about(
    num_steps, is_warned, caplog
):
    check(ssd320(train_config__num_steps=num_steps))
    warned = "the learning rate is 0 from step 100000 on" in caplog.text
    assert warned == is_warned


def test_evaluation_needs_a_reader():
    configs = ssd320()
    del configs["eval_input_configs"][:]
    assert refusal(configs).startswith("eval_input_reader: is missing")


def test_epochs_of_an_evaluation_are_warned_about(caplog):
    configs = merge(
        ssd320(),
        "eval_input_reader { num_epochs: 1 } eval_input_reader {"
        " num_epochs: 3 }",
    )
    check(configs)
    assert "eval_input_reader[2].num_epochs: is 3" in caplog.text
    assert "eval_input_reader[1].num_epochs" not in caplog.text


@pytest.mark.parametrize("is_training", [False, True])
def test_other_detectors_are_refused_by_name(is_training):
    configs = ssd320()
    configs["model"].faster_rcnn.num_classes = 3
    assert refusal(configs, is_training=is_training) == (
        "model.faster_rcnn: is not supported; expected model.ssd, a "
        "single-shot detector"
    )
    configs["model"].Clear()
    assert refusal(configs).startswith("model: has no detector")


def test_configs_are_not_changed():
    configs = ssd320()
    before = config_util.create_pipeline_proto_from_configs(configs)
    check(configs, is_training=False)
    after = config_util.create_pipeline_proto_from_configs(configs)
    assert before == after
    assert isinstance(after, pipeline_pb2.TrainEvalPipelineConfig)


def test_messages_of_a_model_are_checked_against_each_other():
    message = refusal(
        config_overrides.apply_overrides(
            ssd320(), {"model.ssd.feature_extractor.fpn.max_level": 6}
        )
    )
    assert "anchor_generator: levels 3 to 7 differ" in message
