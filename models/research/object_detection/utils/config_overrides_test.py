import pathlib

import pytest

from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_overrides, config_util

SSD320 = pathlib.Path(__file__).parents[4] / "configs/ssd320_full_1gpus.config"


@pytest.fixture
def configs():
    return config_util.get_configs_from_pipeline_file(SSD320)


def apply(configs, **overrides):
    return config_overrides.apply_overrides(configs, overrides)


def error_of(configs, overrides):
    with pytest.raises(errors.ConfigError) as info:
        config_overrides.apply_overrides(configs, overrides)
    message = str(info.value)
    assert message.startswith("override ")
    assert "\n" not in message
    return message.removeprefix("override ")


def with_eval_readers(*names):
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    pipeline.train_input_reader.name = "train"
    for name in names:
        pipeline.eval_input_reader.add(name=name)
    return config_util.get_configs_from_pipeline_proto(pipeline)


def value_at(configs, path):
    part, *names = path.split(".")
    value = configs[part]
    for name in names:
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(
    ("key", "text", "path", "expected"),
    [
        ("train_shuffle", "false", "train_input_config.shuffle", False),
        ("eval_shuffle", "true", "eval_input_config.shuffle", True),
        (
            "train_input_path",
            "/a/*.record",
            "train_input_config.tf_record_input_reader.input_path",
            ["/a/*.record"],
        ),
        (
            "append_train_input_path",
            "[/a,/b]",
            "train_input_config.tf_record_input_reader.input_path",
            ["/a", "/b"],
        ),
        (
            "eval_input_path",
            "[/a,/b]",
            "eval_input_config.tf_record_input_reader.input_path",
            ["/a", "/b"],
        ),
        (
            "append_eval_input_path",
            "/c",
            "eval_input_config.tf_record_input_reader.input_path",
            ["/c"],
        ),
        ("train_steps", "77", "train_config.num_steps", 77),
        ("batch_size", "16", "train_config.batch_size", 16),
        ("batch_size", "2.6", "train_config.batch_size", 3),
        ("batch_size", "-4", "train_config.batch_size", 1),
        ("use_bfloat16", "true", "train_config.use_bfloat16", True),
        (
            "momentum_optimizer_value",
            "0.75",
            "train_config.optimizer.momentum_optimizer"
            ".momentum_optimizer_value",
            0.75,
        ),
        (
            "momentum_optimizer_value",
            "1.5",
            "train_config.optimizer.momentum_optimizer"
            ".momentum_optimizer_value",
            1.0,
        ),
        (
            "focal_loss_gamma",
            "1.5",
            "model.ssd.loss.classification_loss.weighted_sigmoid_focal.gamma",
            1.5,
        ),
        (
            "focal_loss_alpha",
            "0.5",
            "model.ssd.loss.classification_loss.weighted_sigmoid_focal.alpha",
            0.5,
        ),
        (
            "retain_original_images_in_eval",
            "false",
            "eval_config.retain_original_images",
            False,
        ),
        (
            "eval_with_moving_averages",
            "true",
            "eval_config.use_moving_averages",
            True,
        ),
        (
            "sample_1_of_n_eval_examples",
            "7",
            "eval_input_config.sample_1_of_n_examples",
            7,
        ),
        ("eval_num_epochs", "2", "eval_input_config.num_epochs", 2),
        # Dotted paths, from the config or from the parts of config_util.
        ("train_config.batch_size", "5", "train_config.batch_size", 5),
        ("train_input_reader.shuffle", "0", "train_input_config.shuffle", 0),
        ("train_input_config.shuffle", "f", "train_input_config.shuffle", 0),
        ("eval_input_config.name", "x", "eval_input_config.name", "x"),
        ("eval_input_reader[0].name", "x", "eval_input_config.name", "x"),
        ("eval_input_configs[0].name", "x", "eval_input_config.name", "x"),
        ("eval_config.num_visualizations", "0", "eval_config"
         ".num_visualizations", 0),  # left at its default in the file
        (
            "graph_rewriter_config.quantization.delay",
            "9",
            "graph_rewriter_config.quantization.delay",
            9,
        ),
    ],
)  # fmt: skip
def test_key_sets_its_field(configs, key, text, path, expected):
    changed = config_overrides.apply_overrides(configs, {key: text})
    assert value_at(changed, path) == expected


@pytest.mark.parametrize("key", ["label_map_path", "mask_type"])
def test_keys_of_every_reader(key):
    value = {"label_map_path": "/a.pbtxt", "mask_type": "PNG_MASKS"}[key]
    changed = apply(with_eval_readers("a", "b"), **{key: value})
    readers = [changed["train_input_config"], *changed["eval_input_configs"]]
    expected = {"label_map_path": "/a.pbtxt", "mask_type": 2}[key]
    assert [getattr(reader, key) for reader in readers] == [expected] * 3


def test_readers_by_name():
    configs = with_eval_readers("a", "b")
    changed = config_overrides.apply_overrides(
        configs,
        {
            "eval_input_configs:b:input_path": "[/x,/y]",
            "eval_input_configs:b:shuffle": "false",
            "eval_input_configs:a:label_map_path": "/m",
            "eval_input_configs:a:sample_1_of_n_examples": 3,
            "train_input_config:train:mask_type": "PNG_MASKS",
        },
    )
    first, second = changed["eval_input_configs"]
    assert second.tf_record_input_reader.input_path == ["/x", "/y"]
    assert not second.shuffle
    assert first.shuffle
    assert first.label_map_path == "/m"
    assert first.sample_1_of_n_examples == 3
    assert changed["train_input_config"].mask_type == 2


def test_configs_given_are_not_changed(configs):
    before = configs["train_config"].SerializeToString()
    apply(configs, batch_size=1, load_pretrained=False)
    assert configs["train_config"].SerializeToString() == before


def test_in_order_and_none_and_empty_are_passed_over(configs):
    changed = config_overrides.apply_overrides(
        configs,
        {
            "batch_size": 4,
            "train_config.batch_size": 5,
            "train_steps": None,
            "label_map_path": "",
        },
    )
    assert changed["train_config"].batch_size == 5
    assert changed["train_config"].num_steps == 100000
    assert changed["train_input_config"].label_map_path


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("bach_size", 3, "bach_size: no such key; did you mean 'batch_size'?"),
        ("batch_size", "x", "batch_size: expected a number, got 'x'"),
        ("learning_rate", "nan", "learning_rate: expected a number, got 'nan'"),
        ("train_steps", "1.5", "train_config.num_steps: expected an integer"),
        ("load_pretrained", "maybe", "load_pretrained: expected true or false"),
        ("mask_type", "PNG", "'PNG' is not a value of InstanceMaskType"),
        ("model.sdd.num_classes", 3, "model.sdd.num_classes: DetectionModel"),
        ("nowhere.x", 3, "nowhere.x: TrainEvalPipelineConfig has no field"),
        ("train_config", "3", "train_config: is a message, not a value"),
        ("eval_input_configs:a", 3, "expected <train_input_config|eval_input"),
        ("eval_input_configs:a:b:c", 3, "expected <train_input_config|eval_"),
        ("eval_inputs::shuffle", 3, "did you mean 'eval_input_configs'?"),
        ("eval_input_configs::shufle", 3, "did you mean 'shuffle'?"),
        ("eval_input_configs:q:shuffle", 3, "0 readers of eval_input_configs"),
        ("eval_input_configs::shuffle", "maybe", "expected true or false"),
    ],
)
def test_mistakes(configs, key, value, expected):
    assert expected in error_of(configs, {key: value})


def test_keys_that_need_one_reader():
    configs = with_eval_readers("a", "b")
    assert "needs exactly one eval_input_reader, the config has 2" in error_of(
        configs, {"eval_shuffle": True}
    )
    assert "2 readers of eval_input_configs are named 'a'" in error_of(
        with_eval_readers("a", "a"), {"eval_input_configs:a:shuffle": 1}
    )
