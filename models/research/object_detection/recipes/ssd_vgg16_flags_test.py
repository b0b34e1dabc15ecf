"""Tests of the flags of SSD-VGG: what they change, and what is refused."""

import os
import re

import pytest

from object_detection.core import errors
from object_detection.recipes import (
    jobs,
    ssd_vgg16_flags,
    ssd_vgg16_overrides,
    ssd_vgg16_run,
    ssd_vgg16_sample,
)
from object_detection.utils import config_util


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return ssd_vgg16_sample.write(tmp_path_factory.mktemp("data"))


def parse(*words):
    return ssd_vgg16_flags.parser("x").parse_args(map(str, words))


def config_of(data_dir, *words):
    arguments = parse("--data-dir", data_dir, "--vgg-dir=", *words)
    ssd_vgg16_flags.check(arguments)
    data = ssd_vgg16_overrides.find_data(arguments.data_dir, arguments.preset)
    changed = {
        **data.overrides,
        **ssd_vgg16_overrides.make(arguments, is_new=True),
    }
    return jobs.read_configs(data.config_path, changed)


def test_flags_change_the_config(data_dir):
    configs = config_of(
        data_dir,
        *("--epochs=7", "--batch-size=3", "--momentum=0.75"),
        *("--weight-decay=0.25", "--lr-values=0.5;0.25"),
        "--lr-boundaries=40",
    )
    train_config = configs["train_config"]
    assert (train_config.num_epochs, train_config.batch_size) == (7, 3)
    momentum = train_config.optimizer.momentum_optimizer
    assert momentum.momentum_optimizer_value == 0.75
    rate = momentum.learning_rate.manual_step_learning_rate
    assert rate.initial_learning_rate == 0.5
    assert [(s.step, s.learning_rate) for s in rate.schedule] == [(41, 0.25)]
    ssd = configs["model"].ssd
    for part in (
        ssd.feature_extractor,
        ssd.box_predictor.convolutional_box_predictor,
    ):
        decay = part.conv_hyperparams.regularizer.l2_regularizer.weight
        assert decay == 0.25


def test_one_learning_rate(data_dir):
    configs = config_of(data_dir, "--lr-values=0.5", "--lr-boundaries=")
    rate = configs["train_config"].optimizer.momentum_optimizer.learning_rate
    assert rate.constant_learning_rate.learning_rate == 0.5


def test_defaults_are_those_of_the_config():
    for side_px in (300, 512):
        name = f"ssd{side_px}_vgg16_voc.config"
        path = jobs.config_path(name)
        before = config_util.get_configs_from_pipeline_file(path)
        arguments = parse("--vgg-dir=")
        changed = ssd_vgg16_overrides.make(arguments, is_new=False)
        after = jobs.read_configs(path, changed)
        before["train_config"].fine_tune_checkpoint = ""
        after["train_config"].ClearField("num_steps")
        assert after == before


def make_devkit(tmp_path, *parts):
    for part in parts:
        (tmp_path / part).mkdir(parents=True)
    return tmp_path


def test_devkits_are_read_without_being_processed(tmp_path):
    folder = make_devkit(
        tmp_path,
        "trainval/VOCdevkit/VOC2012",
        "trainval/VOCdevkit/VOC2007",
        "test/VOCdevkit/VOC2007",
    )
    configs = config_of(folder, "--preset=vgg512")
    train = configs["train_input_config"].voc_input_reader
    assert train.input_dir == [
        str(folder / "trainval/VOCdevkit" / name)
        for name in ("VOC2007", "VOC2012")
    ]
    (evaluation,) = configs["eval_input_configs"]
    assert evaluation.voc_input_reader.input_dir == [
        str(folder / "test/VOCdevkit/VOC2007")
    ]
    extractor = configs["model"].ssd.feature_extractor
    assert extractor.type == "ssd512_vgg16"


def test_what_cannot_work_is_refused(data_dir, tmp_path):
    for words, message in (
        (["--preset=vgg300"], "--preset: .* is of a preset already"),
        (["--lr-values=1;2"], "--lr-values: expected one more than the 2"),
        (["--lr-boundaries=5;5"], "--lr-boundaries: expected rising"),
    ):
        with pytest.raises(errors.ConfigError, match=message):
            config_of(data_dir, *words)
    with pytest.raises(errors.ConfigError, match="--data-dir: expected"):
        config_of(tmp_path)
    for words in (
        ["--epochs=0"],
        ["--continue-training=yes"],
        ["--precision_mode=fp8"],
        ["--lr-values=a;b"],
        ["--unknown=1"],
    ):
        with pytest.raises(SystemExit):
            parse(*words)


def test_weights_of_vgg_are_found_in_a_folder(tmp_path):
    find = ssd_vgg16_overrides.find_weights
    with pytest.raises(errors.ConfigError, match="no such folder or file"):
        find(str(tmp_path / "none"))
    with pytest.raises(errors.ConfigError, match="expected one file .* none"):
        find(str(tmp_path))
    (tmp_path / "vgg_16.ckpt").touch()
    (tmp_path / "README").touch()
    assert find(str(tmp_path)) == str(tmp_path / "vgg_16.ckpt")
    assert find(str(tmp_path / "README")) == str(tmp_path / "README")
    (tmp_path / "vgg16.h5").touch()
    with pytest.raises(errors.ConfigError, match="found vgg16.h5, vgg_16.ckpt"):
        find(str(tmp_path))
    assert find("") == ""


def test_checkpoints_have_numbers(tmp_path):
    for name in ("e2.ckpt", "e10.ckpt", "final.ckpt"):
        (tmp_path / f"{name}.index").touch()
    (tmp_path / "model.ckpt-30.index").touch()
    folder = str(tmp_path)
    found = [ssd_vgg16_run.find(folder, number) for number in ("0", "1", "-1")]
    assert found == [
        f"{folder}/{name}" for name in ("e2.ckpt", "e10.ckpt", "final.ckpt")
    ]
    with pytest.raises(errors.CheckpointError, match="has 3 checkpoints"):
        ssd_vgg16_run.find(folder, "3")
    path = f"{folder}/model.ckpt-30"
    assert ssd_vgg16_run.find("", f"{path}.index") == path
    for name in ("e2.ckpt", "e10.ckpt", "final.ckpt"):
        (tmp_path / f"{name}.index").unlink()
    assert ssd_vgg16_run.find(folder, "-1") == path


def test_help_shows_every_default():
    text = ssd_vgg16_flags.parser("x").format_help()
    text = text[text.index("model and data:") :]
    defaults = {
        flag: " ".join(rest.split()).rpartition("(default: ")[2]
        for flag, rest in re.findall(
            r"^  (--\w[\w-]*)(.*?)(?=^  --|^\S|\Z)", text, re.M | re.S
        )
    }
    for flag, default in {
        "--name": "ckpt",
        "--data-dir": "pascal-voc",
        "--vgg-dir": "vgg_graph",
        "--epochs": "200",
        "--batch-size": "8",
        "--tensorboard-dir": "tb",
        "--checkpoint-interval": "200",
        "--lr-values": "0.00075;0.0001;0.00001",
        "--lr-boundaries": "320000;400000",
        "--momentum": "0.9",
        "--weight-decay": "0.0005",
        "--continue-training": "False",
        "--num-workers": str(os.cpu_count()),
        "--precision_mode": "allow_fp32_to_fp16",
        "--over_dump": "False",
        "--data_dump": "False",
        "--data_dump_step": "10",
        "--dump_path": "/home/HwHiAiUser/",
        "--data_path": "./",
        "--profiling": "False",
    }.items():
        assert defaults[flag] == f"{default})", flag
    assert "--data_dump_flag" in text
