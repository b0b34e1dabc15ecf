import os
import pathlib
import stat

import pytest
from google.protobuf import text_format

from object_detection.core import errors
from object_detection.protos import pipeline_pb2, ssd_pb2
from object_detection.utils import config_util

CONFIGS = pathlib.Path(__file__).parents[4] / "configs"
ALL_CONFIGS = sorted(path.name for path in CONFIGS.glob("*.config"))
SSD320 = CONFIGS / "ssd320_full_8gpus.config"


def write(path, content):
    mode = "wb" if isinstance(content, bytes) else "w"
    with open(path, mode) as file:
        file.write(content)
    return path


def error_of(path):
    with pytest.raises(errors.ConfigError) as info:
        config_util.get_configs_from_pipeline_file(path)
    message = str(info.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_parts_by_key():
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    assert list(configs) == [
        "model",
        "train_config",
        "train_input_config",
        "eval_config",
        "eval_input_configs",
        "eval_input_config",
    ]
    assert configs["model"].ssd.num_classes == 90
    assert configs["train_config"].num_steps == 12500
    assert configs["train_input_config"].shuffle
    assert configs["eval_config"].metrics_set == ["coco_detection_metrics"]
    assert configs["eval_input_configs"] == [configs["eval_input_config"]]
    assert configs["eval_input_config"].num_readers == 1


def test_no_single_eval_reader_when_there_are_two(tmp_path):
    path = write(
        tmp_path / "a.config",
        "eval_input_reader { name: 'a' } eval_input_reader { name: 'b' }"
        "graph_rewriter { quantization { delay: 3 } }",
    )
    configs = config_util.get_configs_from_pipeline_file(path)
    assert "eval_input_config" not in configs
    assert [r.name for r in configs["eval_input_configs"]] == ["a", "b"]
    assert configs["graph_rewriter_config"].quantization.delay == 3


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_text_and_binary_and_parts_round_trip(name, tmp_path):
    pipeline = config_util.read_pipeline_config(CONFIGS / name)
    binary = write(tmp_path / "b.config", pipeline.SerializeToString())
    assert config_util.read_pipeline_config(binary) == pipeline
    configs = config_util.get_configs_from_pipeline_file(binary)
    rebuilt = config_util.create_pipeline_proto_from_configs(configs)
    assert rebuilt == pipeline
    saved = config_util.save_pipeline_config(rebuilt, tmp_path / "model_dir")
    assert saved == str(tmp_path / "model_dir" / "pipeline.config")
    assert config_util.read_pipeline_config(saved) == pipeline


def test_override_replaces_merges_and_appends():
    text = (
        "model { ssd { num_classes: 4 } } train_config { "
        "data_augmentation_options { random_horizontal_flip {} } }"
        "eval_input_reader { name: 'second' }"
    )
    override = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    for given in (text, override):
        configs = config_util.get_configs_from_pipeline_file(SSD320, given)
        assert configs["model"].ssd.num_classes == 4
        assert configs["model"].ssd.freeze_batchnorm
        options = configs["train_config"].data_augmentation_options
        assert [o.WhichOneof("preprocessing_step") for o in options] == [
            "random_horizontal_flip",
            "random_crop_image",
            "random_horizontal_flip",
        ]
        assert len(configs["eval_input_configs"]) == 2
        assert "eval_input_config" not in configs


def test_mistake_in_an_override_is_named():
    with pytest.raises(errors.ConfigError, match="^config_override:1:9: mod"):
        config_util.get_configs_from_pipeline_file(SSD320, "model { sdd {} }")


def test_typo_names_file_line_column_field_and_nearest(tmp_path):
    text = SSD320.read_text().replace(
        "matched_threshold", "matched_treshold", 1
    )
    path = write(tmp_path / "typo.config", text)
    line = text[: text.index("matched_treshold")].count("\n") + 1
    assert error_of(path) == (
        f"{path}:{line}:9: model.ssd.matcher.argmax_matcher.matched_treshold: "
        "ArgMaxMatcher has no field 'matched_treshold'; did you mean "
        "'matched_threshold'?"
    )


def test_field_set_twice_is_warned_about(tmp_path, caplog):
    text = "model { ssd { num_classes: 3\nnum_classes: 4 } }"
    path = write(tmp_path / "a.config", text)
    configs = config_util.get_configs_from_pipeline_file(path)
    assert configs["model"].ssd.num_classes == 4
    assert f"{path}:2:14: model.ssd.num_classes" in caplog.text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        ("model {}".encode("utf-16"), "is UTF-16 text"),
        (b"# caf\xe9\nmodel {}", ":1: byte 0xe9 is not UTF-8"),
        (b"model {}\n# caf\xe9", ":2: byte 0xe9 is not UTF-8"),
        (b"\x00\x01\x02\xff\xfe", "neither text nor a binary"),
        # A field number that the messages do not have: another kind of file.
        (b"\x52\x01a", "TrainEvalPipelineConfig: field number 10 is not"),
        (b"\x0a\x02\x52\x00", "TrainEvalPipelineConfig.model: field number 10"),
        (b"# " + b"x" * (1 << 20), "larger than 1048576 bytes"),
    ],
)
def test_files_that_are_no_config(content, expected, tmp_path):
    assert expected in error_of(write(tmp_path / "a.config", content))


def test_byte_order_mark_and_utf8_are_text(tmp_path):
    path = write(
        tmp_path / "a.config",
        b"\xef\xbb\xbf# caf\xc3\xa9\nmodel { ssd { num_classes: 3 } }",
    )
    assert config_util.read_pipeline_config(path).model.ssd.num_classes == 3


def test_missing_file_and_directory(tmp_path):
    assert "No such file" in error_of(tmp_path / "none.config")
    assert "Is a directory" in error_of(tmp_path)


def test_a_gigabyte_is_not_read(tmp_path):
    path = tmp_path / "huge.config"
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    assert "larger than" in error_of(path)


def test_parts_may_be_missing():
    ssd = ssd_pb2.Ssd(num_classes=2)
    empty = pipeline_pb2.TrainEvalPipelineConfig()
    configs = {"model": empty.model}
    configs["model"].ssd.CopyFrom(ssd)
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    assert pipeline.model.ssd == ssd
    assert not pipeline.HasField("train_config")


def test_rebuilt_config_is_a_copy():
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    pipeline.train_config.batch_size = 3
    assert configs["train_config"].batch_size == 32


def test_saving_replaces_and_leaves_nothing_else(tmp_path):
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    for number in (1, 2):
        pipeline.train_config.batch_size = number
        config_util.save_pipeline_config(pipeline, tmp_path)
    assert os.listdir(tmp_path) == ["pipeline.config"]
    saved = (tmp_path / "pipeline.config").read_text()
    assert saved == "train_config {\n  batch_size: 2\n}\n"


def test_saving_where_a_file_is_in_the_way(tmp_path):
    path = write(tmp_path / "file", "mine")
    with pytest.raises(errors.ResourceError, match="cannot write the config"):
        config_util.save_pipeline_config(
            pipeline_pb2.TrainEvalPipelineConfig(), path
        )
    assert path.read_text() == "mine"
    (tmp_path / "dir" / "pipeline.config").mkdir(parents=True)
    with pytest.raises(errors.ResourceError):
        config_util.save_pipeline_config(
            pipeline_pb2.TrainEvalPipelineConfig(), tmp_path / "dir"
        )
    assert os.listdir(tmp_path / "dir") == ["pipeline.config"]
    assert stat.S_ISDIR(os.stat(tmp_path / "dir" / "pipeline.config").st_mode)
