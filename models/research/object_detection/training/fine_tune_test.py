"""Tests of starting from the weights of another model."""

import numpy as np
import pytest
import rich.console
import tensorflow as tf

from object_detection.core import errors
from object_detection.training import checkpoints, fine_tune
from object_detection.training.options import FineTune
from object_detection.training.tiny_detector import TinyDetector

EXTRACTOR = {
    "net/weights": np.full((48, 4), 0.25, "float32"),
    "net/BatchNorm/beta": np.full(4, 0.5, "float32"),
    "net/BatchNorm/moving_mean": np.full(4, 0.75, "float32"),
}
DETECTOR = {
    **{f"FeatureExtractor/{n}": v for n, v in EXTRACTOR.items()},
    "BoxPredictor/weights": np.full((4, 4), 2.0, "float32"),
    "BoxPredictor/biases": np.full(4, 3.0, "float32"),
    "global_step": np.array(900, "int64"),
}


def written(tmp_path, values):
    path = str(tmp_path / "model.ckpt-900")
    checkpoints.save(path, values)
    return path


def start(path, checkpoint_type, **settings):
    variables = TinyDetector(seed=5).checkpoint_variables()
    before = {n: np.array(v.value) for n, v in variables.items()}
    report = fine_tune.initialize(
        variables, FineTune(path, checkpoint_type, **settings)
    )
    changed = {
        n for n, v in variables.items() if (before[n] != v.value).numpy().any()
    }
    return report, changed, variables


def printed(report):
    console = rich.console.Console(width=120)
    with console.capture() as capture:
        console.print(report.table())
    return capture.get()


def test_classification_fills_the_backbone(tmp_path):
    report, changed, variables = start(
        written(tmp_path, EXTRACTOR), "classification"
    )
    assert changed == {f"FeatureExtractor/{n}" for n in EXTRACTOR}
    np.testing.assert_array_equal(
        variables["FeatureExtractor/net/BatchNorm/moving_mean"].value, 0.75
    )
    assert (report.missing, report.mismatched, report.num_unused) == ([], {}, 0)


def test_classification_reads_the_single_file_format(tmp_path):
    path = str(tmp_path / "net.ckpt")
    tf.raw_ops.Save(
        filename=path,
        tensor_names=list(EXTRACTOR),
        data=[tf.constant(v) for v in EXTRACTOR.values()],
    )
    _, changed, _ = start(path, "classification")
    assert changed == {f"FeatureExtractor/{n}" for n in EXTRACTOR}


def test_the_weights_are_taken_of_a_checkpoint_that_has_averages_too(
    tmp_path,
):
    values = {
        **DETECTOR,
        **{f"{n}/ExponentialMovingAverage": v + 1 for n, v in DETECTOR.items()},
    }
    report, _, variables = start(written(tmp_path, values), "detection")
    np.testing.assert_array_equal(
        variables["FeatureExtractor/net/weights"].value, 0.25
    )
    # The averages, the predictor and the step.
    assert report.num_unused == len(DETECTOR) + 3


@pytest.mark.parametrize("prefers_averages", [False, True])
def test_averages_are_taken_where_they_are_preferred_or_alone(
    tmp_path, prefers_averages
):
    """Both of the weights, the average of one, the value of the other."""
    weights, beta, mean = EXTRACTOR
    values = {
        weights: EXTRACTOR[weights],
        f"{weights}/ExponentialMovingAverage": EXTRACTOR[weights] + 1,
        f"{beta}/ExponentialMovingAverage": EXTRACTOR[beta] + 1,
        mean: EXTRACTOR[mean],
    }
    report, _, variables = start(
        written(tmp_path, values),
        "classification",
        prefers_averages=prefers_averages,
    )
    taken = {
        name: variables[f"FeatureExtractor/{name}"].value.numpy().flat[0]
        for name in EXTRACTOR
    }
    assert taken == {
        weights: 1.25 if prefers_averages else 0.25,
        beta: 1.5,
        mean: 0.75,
    }
    assert (report.missing, report.num_unused) == ([], 1)
    text = printed(report)
    num_averages = 1 + prefers_averages
    assert f"3 variables taken ({num_averages} from moving averages)" in text
    assert text.count("taken, a moving average") == num_averages


def test_a_detectors_averages_are_not_preferred(tmp_path):
    values = {
        **DETECTOR,
        **{f"{n}/ExponentialMovingAverage": v + 1 for n, v in DETECTOR.items()},
    }
    report, _, _ = start(
        written(tmp_path, values), "detection", prefers_averages=True
    )
    assert set(report.matched) == set(report.matched.values())
    assert "from moving averages" not in printed(report)


@pytest.mark.parametrize("load_all_variables", [False, True])
def test_detection_leaves_the_predictor_unless_told(
    tmp_path, load_all_variables
):
    _, changed, _ = start(
        written(tmp_path, DETECTOR),
        "detection",
        load_all_variables=load_all_variables,
    )
    assert ("BoxPredictor/weights" in changed) == load_all_variables
    assert "FeatureExtractor/net/weights" in changed


def test_the_report_names_what_is_missing_and_what_does_not_fit(tmp_path):
    values = dict(EXTRACTOR)
    del values["net/BatchNorm/beta"]
    values["net/weights"] = np.zeros((48, 8), "float32")
    report, changed, _ = start(written(tmp_path, values), "classification")

    assert changed == {"FeatureExtractor/net/BatchNorm/moving_mean"}
    assert report.missing == ["net/BatchNorm/beta"]
    assert report.mismatched == {"net/weights": ((48, 8), (48, 4))}
    text = printed(report)
    assert "1 variables taken, 1 missing, 1 of another shape" in text
    assert "shape [48, 8], the model has [48, 4]" in text


@pytest.mark.parametrize(
    ("values", "checkpoint_type", "advice"),
    [
        (DETECTOR, "classification", "fine_tune_checkpoint_type: 'detection'"),
        (EXTRACTOR, "detection", "fine_tune_checkpoint_type: 'classification'"),
        ({"other/weights": np.ones(3)}, "classification", "feature_extractor"),
        (
            {"net/weights": np.ones((48, 8))},
            "classification",
            r"\[48, 8\] .* \[48, 4\] .*model.ssd.*depth_multiplier",
        ),
    ],
)
def test_refuses_a_checkpoint_of_which_nothing_fits(
    tmp_path, values, checkpoint_type, advice
):
    with pytest.raises(errors.CheckpointError, match=advice):
        start(written(tmp_path, values), checkpoint_type)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(errors.CheckpointError, match="absent"):
        start(str(tmp_path / "absent"), "detection")


def test_the_runs_own_directory_is_refused(tmp_path):
    path = written(tmp_path, DETECTOR)
    with pytest.raises(errors.ConfigError, match="fine_tune_checkpoint"):
        fine_tune.refuse_own_directory(
            FineTune(path, "detection"), str(tmp_path)
        )
    fine_tune.refuse_own_directory(
        FineTune(path, "detection"), str(tmp_path / "new")
    )
