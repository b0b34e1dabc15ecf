"""Holds the flags of NVIDIA's SSD300 to the config that they make."""

import numpy as np
import pytest

from object_detection.builders import (
    optimizer_builder,
    train_options_builder,
)
from object_detection.core import errors
from object_detection.recipes import jobs, ssd300_resnet50_overrides
from object_detection.recipes import ssd300_resnet50_flags as flags
from object_detection.utils import config_util, epoch_steps

MOMENTUM = "train_config.optimizer.momentum_optimizer"
SCHEDULE = f"{MOMENTUM}.learning_rate.manual_step_learning_rate"


def parse(*arguments):
    return flags.parser("").parse_args(arguments)


def configs_of(*arguments, num_processes=1):
    parsed = parse(*arguments)
    overrides = ssd300_resnet50_overrides.make(parsed, num_processes)
    return jobs.read_configs(parsed.config, overrides, parsed.hparams_overrides)


def train_config_of(*arguments, num_processes=1):
    """Returns the config in steps."""
    configs = configs_of(*arguments, num_processes=num_processes)
    train_config = configs["train_config"]
    epoch_steps.resolve(train_config, num_processes, lambda: 100)
    return train_config


def rates(train_config, steps):
    schedule = optimizer_builder.build(train_config.optimizer).learning_rate
    return schedule(np.array(steps))


def value_of(configs, path):
    found = config_util.create_pipeline_proto_from_configs(configs)
    for name in path.split("."):
        name, _, index = name.partition("[")
        found = getattr(found, name)
        found = found[int(index[:-1])] if index else found
    return found


@pytest.mark.parametrize(
    ("arguments", "path", "usual", "changed"),
    [
        (["--epochs", "7"], "train_config.num_epochs", 65, 7),
        (["-e", "7"], "train_config.num_epochs", 65, 7),
        (["--batch-size", "6"], "train_config.batch_size", 32, 6),
        (["--bs", "6"], "train_config.batch_size", 32, 6),
        (["--eval-batch-size", "6"], "eval_config.batch_size", 32, 6),
        (["--ebs", "6"], "eval_config.batch_size", 32, 6),
        (["-m", "0.5"], f"{MOMENTUM}.momentum_optimizer_value", 0.9, 0.5),
        (["--wd", "0.25"], "train_config.weight_decay.weight", 5e-4, 0.25),
        (["--warmup", "300"], f"{SCHEDULE}.warmup_steps", 0, 300),
        (["--lr", "0.5"], f"{SCHEDULE}.initial_learning_rate", 2.6e-3, 0.5),
        (["--multistep", "9"], f"{SCHEDULE}.schedule[0].epoch", 43, 9),
        (
            ["--backbone", "resnet18"],
            "model.ssd.feature_extractor.type",
            "ssd300_resnet50",
            "ssd300_resnet18",
        ),
        (
            ["--backbone", "resnet101"],
            "train_config.fine_tune_checkpoint",
            "/checkpoints/resnet50.safetensors",
            "/checkpoints/resnet101.safetensors",
        ),
        (
            ["--backbone-path", "/a/b.npz"],
            "train_config.fine_tune_checkpoint",
            "/checkpoints/resnet50.safetensors",
            "/a/b.npz",
        ),
        (
            ["--backbone-path", "none"],
            "train_config.fine_tune_checkpoint",
            "/checkpoints/resnet50.safetensors",
            "",
        ),
        (
            ["--data", "/d"],
            "train_input_reader.coco_input_reader.image_dir",
            "/coco/train2017",
            "/d/train2017",
        ),
        (
            ["-d", "/d"],
            "eval_input_reader[0].coco_input_reader.annotations_path",
            "/coco/annotations/instances_val2017.json",
            "/d/annotations/instances_val2017.json",
        ),
        (
            ["--hparams_overrides", "train_config.batch_size=3"],
            "train_config.batch_size",
            32,
            3,
        ),
    ],
)
def test_a_flag_changes_its_field(arguments, path, usual, changed):
    for given, expected in (([], usual), (arguments, changed)):
        found = value_of(configs_of(*given), path)
        if isinstance(expected, float):
            expected = pytest.approx(expected, rel=1e-6)
        assert found == expected


def test_rate_grows_with_the_images_of_a_step():
    train_config = train_config_of(
        *("--warmup", "300", "--bs", "64"), num_processes=4
    )
    # Of 256 images, 463 steps are the first to go beyond 118287.
    num_steps = 463
    assert train_config.num_steps == 65 * num_steps
    base = 2.6e-3 * 4 * 64 / 32
    last = base * 299 / 300
    found = rates(
        train_config,
        [
            *(0, 1, 150, 299, 300),
            *(43 * num_steps - 1, 43 * num_steps),
            *(54 * num_steps - 1, 54 * num_steps, 65 * num_steps),
        ],
    )
    expected = [0, base / 300, base / 2, last, last, last]
    expected += [last / 10, last / 10, last / 100, last / 100]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_epochs_of_decay_in_any_order_and_number():
    train_config = train_config_of(
        *("--multistep", "5", "2", "3", "--bs", "1000", "--lr", "0.032")
    )
    num_steps = 119
    steps = [0, 2 * num_steps, 3 * num_steps, 5 * num_steps]
    np.testing.assert_allclose(
        rates(train_config, steps), [1, 0.1, 0.01, 0.001], rtol=1e-6
    )


def test_an_epoch_of_other_data_is_as_many_images_as_there_are(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text('item { id: 1 name: "a" } item { id: 3 name: "c" }')
    configs = configs_of("--label-map", str(path))
    assert configs["model"].ssd.num_classes == 3
    for reader in ("train_input_reader", "eval_input_reader[0]"):
        assert value_of(configs, f"{reader}.label_map_path") == str(path)
    assert configs["train_config"].examples_per_epoch == 0
    assert configs_of()["train_config"].examples_per_epoch == 118304
    train_config = train_config_of("--label-map", str(path), "--bs", "7")
    assert train_config.num_steps == 65 * 14


def test_another_config_keeps_its_data(tmp_path):
    path = tmp_path / "other.config"
    with open(flags.CONFIG_PATH, encoding="utf-8") as file:
        path.write_text(file.read().replace("118784", "77"))
    configs = configs_of("--config", str(path))
    assert configs["train_config"].examples_per_epoch == 77
    assert value_of(
        configs, "train_input_reader.coco_input_reader.image_dir"
    ) == ("/coco/train2017")


@pytest.mark.parametrize("mode", flags.MODES)
def test_first_weights_are_for_a_training_alone(mode):
    configs = configs_of("--mode", mode, "--backbone-path", "/a.npz")
    expected = "/a.npz" if mode == flags.TRAINING else ""
    assert configs["train_config"].fine_tune_checkpoint == expected


def test_the_usual_flags_with_the_script_of_8_gpus_are_the_config():
    configs = configs_of(
        *("--batch-size", "64", "--warmup", "300"), num_processes=8
    )
    assert configs == config_util.get_configs_from_pipeline_file(
        flags.CONFIG_PATH
    )


def test_options_that_are_trained_with():
    options = train_options_builder.build(
        train_config_of(), "float16", False, "ssd300_resnet50"
    )
    assert options.weight_decay == pytest.approx(5e-4)
    assert options.loss_scale.initial == 65536
    assert options.use_loss_scale


def test_usual_values():
    usual = parse()
    assert usual.evaluation == [21, 31, 37, 42, 48, 53, 59, 64]
    assert usual.multistep == [43, 54]
    assert (usual.epochs, usual.batch_size, usual.log_interval) == (65, 32, 20)
    assert (usual.amp, usual.allow_tf32, usual.data_layout) == (0, 1, None)
    assert (usual.seed, usual.warmup, usual.checkpoint) == (None, None, None)
    assert (usual.benchmark_iterations, usual.benchmark_warmup) == (20, 20)


@pytest.mark.parametrize(
    ("arguments", "num_processes", "message"),
    [
        (["--mode", "evaluation"], 1, "needs --checkpoint"),
        (["--mode", "benchmark-inference"], 2, "of one process, got 2"),
    ],
)
def test_what_does_not_go_together(arguments, num_processes, message):
    with pytest.raises(errors.ConfigError, match=message):
        flags.check(parse(*arguments), num_processes)


def test_help_has_every_flag_and_its_default(capsys):
    parser = flags.parser("What it does.")
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for action in parser._actions:
        assert all(option in printed for option in action.option_strings)
        if action.dest != "help":
            assert f"(default: {action.default})" in printed
