"""Tests of drawing, resuming and ending trials, and of the report."""

import csv
import dataclasses
import json

import pytest

pytest.importorskip("optuna")
from PIL import Image

from object_detection.core import errors
from sweeps import sweep_report, sweep_study
from sweeps.sweep_space import Pruning, Range, Sweep


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "x.config"
    path.write_text("train_config {}")
    return Sweep(
        str(path),
        {
            "rate": Range(0.001, 0.1, log=True),
            "size": Range(2, 14, step=4, int=True),
            "kind": ("a", "b", "[1,2]"),
        },
        num_trials=6,
        sampler="random",
    )


def open_study(sweep, tmp_path):
    return sweep_study.Study(sweep, str(tmp_path))


def value_of(trial):
    return float(trial.texts["rate"])


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_sweep_in_pieces_draws_what_one_in_one_piece_does(
    sweep, tmp_path, sampler
):
    sweep = dataclasses.replace(sweep, sampler=sampler, num_trials=14)
    drawn = {}
    for name, piece in (("whole", 100), ("pieces", 5)):
        folder = tmp_path / name
        folder.mkdir()
        while (study := open_study(sweep, folder)).common_error() == "":
            for _ in range(piece):
                trial = study.next_trial()
                if trial is None:
                    break
                study.finish(trial, value_of(trial))
            if trial is None:
                break
        drawn[name] = [r.texts for r in study.results()]
    assert drawn["whole"] == drawn["pieces"]
    assert len({str(texts) for texts in drawn["whole"]}) == 14
    for texts in drawn["whole"]:
        assert 0.001 <= float(texts["rate"]) <= 0.1
        assert texts["size"] in ("2", "6", "10", "14")
        assert texts["kind"] in ("a", "b", "[1,2]")


def test_another_seed_draws_others(sweep, tmp_path):
    drawn = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        study = open_study(dataclasses.replace(sweep, seed=seed), folder)
        drawn.append([study.next_trial().texts["rate"] for _ in range(6)])
    assert not set(drawn[0]) & set(drawn[1])


def test_interrupted_trials_go_on_first(sweep, tmp_path):
    study = open_study(sweep, tmp_path)
    first, second, third = (study.next_trial() for _ in range(3))
    study.finish(second, 0.5)
    study.should_prune(third, 10, 0.25)
    study.note_restart(third)
    study.add_seconds(third, 2.0)

    study = open_study(sweep, tmp_path)
    again = [study.next_trial() for _ in range(3)]
    assert [t.number for t in again] == [0, 2, 3]
    assert [t.texts for t in again[:2]] == [first.texts, third.texts]
    assert again[1].directory == third.directory
    assert again[1].directory.endswith("trial-0002")
    assert again[1].reported_steps == {10}
    assert again[1].num_restarts == 1
    study.add_seconds(again[1], 3.0)
    study.finish(again[1], 0.75)
    results = {r.number: r for r in study.results()}
    assert results[2].seconds == 5.0
    assert [results[n].state for n in range(4)] == [
        *("stopped", "done", "done", "stopped")
    ]


def test_number_of_trials_is_held_and_can_be_raised(sweep, tmp_path):
    study = open_study(dataclasses.replace(sweep, num_trials=2), tmp_path)
    study.finish(study.next_trial(), 1.0)
    study.fail(study.next_trial(), 5, "NaN")
    assert study.next_trial() is None
    study = open_study(sweep, tmp_path)
    assert study.next_trial().number == 2


def test_a_grid_tries_each_combination_once(sweep, tmp_path):
    search = {
        "size": Range(2, 10, step=4, int=True),
        "weight": Range(0.1, 0.3, step=0.2),
        "kind": ("a", "b"),
    }
    grid = dataclasses.replace(
        sweep, search=search, sampler="grid", num_trials=None
    )
    tried = []
    for _ in range(3):
        study = open_study(grid, tmp_path)
        for _ in range(5):
            if trial := study.next_trial():
                tried.append(tuple(trial.texts[key] for key in search))
                study.finish(trial, 0.5)
    assert sorted(tried) == sorted(
        (size, weight, kind)
        for size in ("2", "6", "10")
        for weight in ("0.1", "0.3")
        for kind in ("a", "b")
    )


def test_other_settings_are_refused(sweep, tmp_path):
    study = open_study(sweep, tmp_path)
    study.finish(study.next_trial(), 1.0)
    for changes in ({"metric": "x"}, {"search": {"rate": ("1",)}}):
        other = dataclasses.replace(sweep, **changes)
        with pytest.raises(
            errors.ConfigError, match=f"another {[*changes][0]}"
        ):
            open_study(other, tmp_path)
    with open(sweep.pipeline_config_path, "a") as file:
        file.write("# changed")
    with pytest.raises(errors.ConfigError, match="another content of pipel"):
        open_study(sweep, tmp_path)


def test_only_when_all_of_the_first_are_refused_it_ends(sweep, tmp_path):
    study = open_study(sweep, tmp_path)
    trials = [study.next_trial() for _ in range(4)]
    study.fail(trials[0], 2, "bad path")
    study.fail(trials[1], 2, "bad path")
    assert study.common_error() == ""
    study.fail(trials[2], 2, "bad path 3")
    assert study.common_error() == "bad path 3"
    assert study.next_trial() is None
    study.finish(trials[3], 0.5)
    assert study.common_error() == ""
    assert study.next_trial().number == 4


def test_diverged_trials_do_not_end_it(sweep, tmp_path):
    study = open_study(sweep, tmp_path)
    for _ in range(4):
        study.fail(study.next_trial(), 5, "NaN")
    assert study.common_error() == ""
    assert open_study(sweep, tmp_path).next_trial().number == 4


def test_a_sweep_that_never_began_begins_anew(sweep, tmp_path):
    study = open_study(sweep, tmp_path)
    for _ in range(3):
        trial = study.next_trial()
        (tmp_path / f"trial-{trial.number:04d}").mkdir()
        study.fail(trial, 2, "bad path")
    mended = dataclasses.replace(sweep, flags=("--amp",))
    study = open_study(mended, tmp_path)
    assert list(tmp_path.glob("trial-*")) == []
    assert study.next_trial().number == 0


def test_a_line_cut_by_a_full_disk_costs_one_note_only(sweep, tmp_path):
    study = open_study(sweep, tmp_path)
    study.finish(study.next_trial(), 0.25)
    study.finish(study.next_trial(), 0.75)
    log = tmp_path / "study.log"
    log.write_bytes(log.read_bytes()[:-7])
    study = open_study(sweep, tmp_path)
    assert [r.state for r in study.results()] == ["done", "stopped"]
    study.finish(study.next_trial(), 0.5)
    assert [r.value for r in open_study(sweep, tmp_path).results()] == [
        *(0.5, 0.25)
    ]


def test_a_trial_below_the_median_is_pruned(sweep, tmp_path):
    sweep = dataclasses.replace(
        sweep, pruning=Pruning(10, startup_trials=2, warmup_steps=20)
    )
    study = open_study(sweep, tmp_path)
    for value in (0.5, 0.7):
        trial = study.next_trial()
        for step in (10, 20, 30):
            assert not study.should_prune(trial, step, value)
        study.finish(trial, value)
    trial = study.next_trial()
    assert not study.should_prune(trial, 10, 0.1)
    assert study.should_prune(trial, 20, 0.2)
    study.prune(trial)
    assert study.results()[-1][:3] == (2, "pruned", 0.2)
    assert not study.should_prune(study.next_trial(), 20, 0.65)


@pytest.mark.parametrize(
    ("direction", "order"), [("maximize", [1, 0, 2]), ("minimize", [0, 1, 2])]
)
def test_the_report_is_sorted_and_complete(
    sweep, tmp_path, capsys, direction, order
):
    sweep = dataclasses.replace(
        sweep, direction=direction, hparams_overrides="base=[1,2]"
    )
    study = open_study(sweep, tmp_path)
    trials = [study.next_trial() for _ in range(3)]
    study.finish(trials[0], 0.25)
    study.finish(trials[1], 0.75)
    study.fail(trials[2], 5, "loss is NaN [step 3]")
    results = study.results()
    assert [r.number for r in results] == order

    sweep_report.write(sweep, results, str(tmp_path))

    with open(tmp_path / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == order
    best = trials[order[0]]
    assert {key: rows[0][key] for key in best.texts} == best.texts
    assert rows[2]["error"] == "loss is NaN [step 3]"
    content = json.loads((tmp_path / "trials.json").read_text())
    overrides = sweep.overrides_with(best.texts)
    assert content["trials"][0]["hparams_overrides"] == overrides
    with Image.open(tmp_path / "trials.png") as picture:
        assert min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
    printed = capsys.readouterr().out
    assert f"--hparams_overrides='{overrides}'" in printed
    assert "trial 2 failed: loss is NaN [step 3]" in printed.splitlines()


def test_a_report_without_any_value(sweep, tmp_path, capsys):
    study = open_study(sweep, tmp_path)
    study.fail(study.next_trial(), 3, "no data")
    sweep_report.write(sweep, study.results(), str(tmp_path))
    assert "--hparams_overrides" not in capsys.readouterr().out
    assert (tmp_path / "trials.png").stat().st_size > 1000
