import pathlib
import subprocess
import sys

import pytest
from google.protobuf import message

from object_detection import model_hparams
from object_detection.core import errors
from object_detection.utils import config_fields, config_util

PACKAGE = pathlib.Path(__file__).parent
SSD320 = PACKAGE.parents[2] / "configs" / "ssd320_full_1gpus.config"


def test_pairs_in_order_with_commas_in_lists_messages_and_quotes():
    overrides = model_hparams.create_hparams(
        " batch_size=16, train_input_path=[/a/*.record,/b],"
        "train_config.fine_tune_checkpoint='/c,d=e',"
        "eval_input_reader[0]={ name: 'x', shuffle: false },"
        "model.ssd.loss.localization_weight=2"
    )
    assert list(overrides.items()) == [
        ("batch_size", "16"),
        ("train_input_path", "[/a/*.record,/b]"),
        ("train_config.fine_tune_checkpoint", "'/c,d=e'"),
        ("eval_input_reader[0]", "{ name: 'x', shuffle: false }"),
        ("model.ssd.loss.localization_weight", "2"),
    ]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_changes_nothing(text):
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    assert model_hparams.create_hparams(text) == {}
    assert model_hparams.apply_hparams_overrides(configs, text) == configs


def test_overrides_reach_the_resolved_config(tmp_path):
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    changed = model_hparams.apply_hparams_overrides(
        configs,
        "train_config.batch_size=16,model.ssd.loss.localization_weight=2,"
        "learning_rate=0.04,train_input_path=[/a,/b],"
        "train_config.data_augmentation_options[1].random_crop_image"
        ".min_area=0.5,train_config.fine_tune_checkpoint=",
    )
    path = config_util.save_pipeline_config(
        config_util.create_pipeline_proto_from_configs(changed), tmp_path
    )
    read = config_util.get_configs_from_pipeline_file(path)
    assert read == changed
    assert read["train_config"].batch_size == 16
    assert read["train_config"].fine_tune_checkpoint == ""
    assert read["model"].ssd.loss.localization_weight == 2.0
    assert read["train_input_config"].tf_record_input_reader.input_path == [
        "/a",
        "/b",
    ]
    flip, crop = read["train_config"].data_augmentation_options
    assert crop.random_crop_image.min_area == 0.5
    momentum = read["train_config"].optimizer.momentum_optimizer
    cosine = momentum.learning_rate.cosine_decay_learning_rate
    assert cosine.learning_rate_base == pytest.approx(0.04)
    assert cosine.warmup_learning_rate == pytest.approx(2 * 0.0086664)


MOMENTUM = "train_config.optimizer.momentum_optimizer"
FOCAL = "model.ssd.loss.classification_loss.weighted_sigmoid_focal"
CROP = "train_config.data_augmentation_options[1].random_crop_image"
RESIZER = "model.ssd.image_resizer.fixed_shape_resizer"
# What each override changes in the config, and nothing else.
SWEEP = {
    "batch_size=7": {"train_config.batch_size": 7},
    "learning_rate=0.04": {
        f"{MOMENTUM}.learning_rate.cosine_decay_learning_rate."
        "learning_rate_base": 0.04,
        f"{MOMENTUM}.learning_rate.cosine_decay_learning_rate."
        "warmup_learning_rate": 2 * 0.0086664,
    },
    "momentum_optimizer_value=0.5": {
        f"{MOMENTUM}.momentum_optimizer_value": 0.5
    },
    "focal_loss_gamma=1.5": {f"{FOCAL}.gamma": 1.5},
    "focal_loss_alpha=0.75": {f"{FOCAL}.alpha": 0.75},
    "classification_localization_weight_ratio=3": {
        "model.ssd.loss.classification_weight": 3.0
    },
    "train_steps=11": {"train_config.num_steps": 11},
    "retain_original_images_in_eval=false": {
        "eval_config.retain_original_images": False
    },
    "load_pretrained=false": {"train_config.fine_tune_checkpoint": None},
    f"{RESIZER}.height=96": {f"{RESIZER}.height": 96},
    f"{CROP}.max_area=.9": {f"{CROP}.max_area": 0.9},
    "eval_input_reader[0].num_epochs=2": {"eval_input_reader[0].num_epochs": 2},
}


def set_fields(configs):
    """Returns the value of every field that is set, by its path."""
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    return {
        path: value
        for path, _, _, value in config_fields.walk(pipeline)
        if not isinstance(value, message.Message)
    }


@pytest.mark.parametrize(("text", "expected"), SWEEP.items(), ids=SWEEP)
def test_each_override_changes_its_fields_alone(text, expected):
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    before = set_fields(configs)
    after = set_fields(model_hparams.apply_hparams_overrides(configs, text))
    changed = {
        path: after.get(path)
        for path in {*before, *after}
        if before.get(path) != after.get(path)
    }
    assert changed == pytest.approx(expected)


def test_overrides_together_change_what_they_change_alone():
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    together = model_hparams.apply_hparams_overrides(configs, ",".join(SWEEP))
    found = set_fields(together)
    for expected in SWEEP.values():
        for path, value in expected.items():
            assert found.get(path) == pytest.approx(value), path
    assert configs == config_util.get_configs_from_pipeline_file(SSD320)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch_size", "expected key=value, got 'batch_size'"),
        ("=3", "expected key=value, got '=3'"),
        ("batch_size=3,", "expected key=value, got ''"),
        ("train_input_path=/a,/b", "got '/b'; a list goes in [...]"),
        ("batch_size=3,batch_size=4", "batch_size: is given twice"),
        ("batch_size=", "batch_size: has no value"),
        ("train_input_path=[/a", "a bracket is not closed"),
        ("bach_size=3", "no such key; did you mean 'batch_size'?"),
        ("train_config.batch_size=x", "train_config.batch_size: expected an"),
        ("model.ssd.num_clases=3", "did you mean 'num_classes'?"),
    ],
)
def test_mistakes_are_one_line_that_names_the_flag(text, expected):
    configs = config_util.get_configs_from_pipeline_file(SSD320)
    with pytest.raises(errors.ConfigError) as info:
        model_hparams.apply_hparams_overrides(configs, text)
    found = str(info.value)
    assert found.startswith("--hparams_overrides: ")
    assert expected in found
    assert "\n" not in found


def test_command_line_ends_with_one_line_and_code_2(tmp_path):
    run = subprocess.run(
        [
            sys.executable,
            str(PACKAGE / "model_main.py"),
            f"--pipeline_config_path={SSD320}",
            f"--model_dir={tmp_path / 'model'}",
            "--hparams_overrides=train_config.bach_size=3",
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    lines = [line for line in run.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, run.stderr
    assert (
        "--hparams_overrides: override train_config.bach_size: TrainConfig has "
        "no field 'bach_size'; did you mean 'batch_size'?"
    ) in lines[0]
    assert not (tmp_path / "model").exists()
