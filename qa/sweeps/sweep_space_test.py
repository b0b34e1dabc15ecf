"""Tests of what the file of a sweep may say."""

import pathlib

import pytest

from object_detection.core import errors
from sweeps import sweep_file, sweep_space

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "ssd_mobilenet_v1_fpn_shapes.config"
LABEL_MAP = 'item { id: 1 name: "circle" } item { id: 2 name: "square" }'

MINIMAL = {
    "pipeline_config_path": str(CONFIG),
    "num_trials": 3,
    "search": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}},
}


def search(**keys):
    return {**MINIMAL, "search": keys}


def test_fields_get_their_values_and_defaults():
    sweep = sweep_space.parse(
        {
            **MINIMAL,
            "num_train_steps": 7,
            "flags": ["--amp"],
            "search": {
                "batch_size": {"low": 2, "high": 14, "step": 4, "int": True},
                "a.b": [1, 0.5, True, "x", [2, 3.0]],
            },
            "pruning": {"eval_every_n_steps": 5, "warmup_steps": 0},
        }
    )
    assert sweep.search["batch_size"].values() == [2, 6, 10, 14]
    assert sweep.search["a.b"] == ("1", "0.5", "true", "x", "[2,3.0]")
    assert sweep.flags == ("--amp",)
    assert sweep.pruning == sweep_space.Pruning(5, 5, 0)
    assert (sweep.num_train_steps, sweep.num_trials) == (7, 3)
    assert (sweep.sampler, sweep.direction) == ("tpe", "maximize")
    assert sweep.metric == "DetectionBoxes_Precision/mAP"


def test_numbers_become_short_texts():
    item = sweep_space.Range(0.1, 0.7, step=0.2)
    assert [item.text(v) for v in item.values()] == ["0.1", "0.3", "0.5", "0.7"]
    assert sweep_space.Range(1, 9, int=True).text(3.0) == "3"
    assert sweep_space.Range(0, 1).text(1 / 3) == "0.33333333"
    assert sweep_space.Range(0, 1).values() is None


def test_values_of_a_trial_follow_those_of_all():
    sweep = sweep_space.parse({**MINIMAL, "hparams_overrides": " a=[1,2] "})
    assert sweep.overrides_with({"b": "2", "c": "x"}) == "a=[1,2],b=2,c=x"
    bare = sweep_space.parse(MINIMAL)
    assert bare.overrides_with({"b": "2"}) == "b=2"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({**MINIMAL, "num_trails": 3}, "num_trails: .* mean 'num_trials'"),
        ({**MINIMAL, "num_trials": 2.5}, "num_trials: expected a whole number"),
        ({**MINIMAL, "num_trials": True}, "num_trials: expected a whole numb"),
        ({**MINIMAL, "num_trials": 0}, "num_trials: expected 1 or more, got 0"),
        ({**MINIMAL, "seed": -1}, "seed: expected 0 or more, got -1"),
        ({**MINIMAL, "metric": 1}, "metric: expected text, got 1"),
        ({**MINIMAL, "flags": "--amp"}, "flags: expected a list, got '--amp'"),
        ({**MINIMAL, "flags": ["amp"]}, "flags: expected flags of model_main"),
        ({**MINIMAL, "flags": ["--model_dir=x"]}, "--model_dir is set by the"),
        ({**MINIMAL, "direction": "up"}, "direction: no such value 'up'"),
        ({**MINIMAL, "sampler": "gird"}, "sampler: .*did you mean 'grid'"),
        ({**MINIMAL, "sampler": "grid"}, "search.learning_rate: a grid needs"),
        ({**MINIMAL, "pruning": {}}, "pruning.eval_every_n_steps: is missing"),
        ({**MINIMAL, "pruning": {"eval": 1}}, "pruning.eval: no such field"),
        ({"num_trials": 3, "search": {}}, "pipeline_config_path: is missing"),
        ({**MINIMAL, "search": {}}, "search: is empty"),
        (search(a=3), "search.a: expected a list of values or"),
        (search(a=[]), "search.a: expected values that differ"),
        (search(a=[1, 1]), "search.a: expected values that differ"),
        (search(a=[{}]), "search.a: expected a number, true, false"),
        (search(a={"b": [1, 2]}), 'search.a.b: .* in quotes: "a.b"'),
        (search(a={"low": 1}), "search.a.high: is missing"),
        (search(a={"low": 1, "high": 2, "stpe": 1}), "stpe: .*mean 'step'"),
        (search(a={"low": 2, "high": 1}), "search.a: expected a low that is"),
        (search(a={"low": 0, "high": 1, "log": True}), "log needs a low above"),
        (search(a={"low": 1, "high": float("inf")}), "expected finite numbers"),
        (search(a={"low": 1, "high": 2.5, "int": True}), "needs whole numbers"),
        (search(a={"low": 1, "high": 2, "step": 0.0}), "a step above 0"),
        (search(a={"low": 1, "high": 2, "step": 0.3}), "whole steps away"),
        (
            search(a={"low": 1, "high": 4, "step": 1, "log": True}),
            "log and step exclude each other",
        ),
    ],
)
def test_mistakes_are_named(content, expected):
    with pytest.raises(errors.ConfigError, match=expected):
        sweep_space.parse(content)


def test_only_a_grid_may_leave_out_the_number_of_trials():
    content = {**search(a=[1, 2]), "sampler": "grid"}
    del content["num_trials"]
    assert sweep_space.parse(content).num_trials is None
    with pytest.raises(errors.ConfigError, match="num_trials: is missing"):
        sweep_space.parse({**content, "sampler": "random"})


def write(folder, search, metric="Loss/total_loss"):
    (folder / "map").write_text(LABEL_MAP)
    path = folder / "sweep.toml"
    path.write_text(
        f'pipeline_config_path = "{CONFIG}"\nnum_trials = 2\n'
        f'metric = "{metric}"\nhparams_overrides = "label_map_path='
        f"'{folder}/map'\"\n[search]\n{search}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("search", "metric", "expected"),
    [
        ("lerning_rate = [1.0]", "", "lerning_rate: .*'learning_rate'"),
        ('"train_config.batch" = [1]', "", "no field 'batch'"),
        (
            '"train_config.batch_size" = { low = 2, high = 4 }',
            "",
            "batch_size: expected an integer .*got '2.0'",
        ),
        ("batch_size = [8, 'many']", "", "batch_size: .*many"),
        ("label_map_path = ['x']", "", "label_map_path: is given twice"),
        ('batch_size = ["4,learning_rate=1"]', "", "is not one value"),
        ("batch_size = [4]", "Precision/mAP@.5IOU", "mean 'Detection"),
        ("batch_size = 4\n4", "", "no valid TOML: .*line 7"),
    ],
)
def test_what_the_config_does_not_take_is_named(
    tmp_path, search, metric, expected
):
    path = write(tmp_path, search, metric or "Loss/total_loss")
    with pytest.raises(errors.ConfigError, match=expected) as info:
        sweep_file.read(path)
    assert str(info.value).startswith(f"{path}: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(errors.ConfigError, match="x.toml: cannot be read"):
        sweep_file.read(str(tmp_path / "x.toml"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Precision/mAP", "DetectionBoxes_Precision/mAP"),
        ("Loss/total_loss", "Loss/total_loss"),
        (
            "PerformanceByCategory/mAP/square",
            "DetectionBoxes_PerformanceByCategory/mAP/square",
        ),
    ],
)
def test_metric_gets_its_whole_name(tmp_path, given, expected):
    path = write(tmp_path, "batch_size = [4]", given)
    assert sweep_file.read(path).metric == expected


def test_the_shipped_sweep_fits_its_config(tmp_path, monkeypatch):
    data = tmp_path / "demo" / "data"
    data.mkdir(parents=True)
    (data / "shapes_label_map.pbtxt").write_text(LABEL_MAP)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    sweep = sweep_file.read(str(ROOT / "qa" / "sweeps" / "learning_rate.toml"))
    assert set(sweep.search) >= {"learning_rate", "batch_size"}
