"""Tests of what the training of SSD-VGG prints."""

import types

import numpy as np
import pytest
import tensorflow as tf

from object_detection import eval_util
from object_detection.builders import evaluator_builder
from object_detection.metrics import voc_evaluation
from object_detection.metrics.evaluator import CategoryResult
from object_detection.protos import eval_pb2
from object_detection.recipes import ssd_vgg16_log
from object_detection.utils import pixel_detector

CONFIG = eval_pb2.EvalConfig(
    metrics_set=["pascal_voc_detection_metrics"],
    use_11_point_average_precision=True,
    count_difficult=True,
)


def make_evaluator():
    (evaluator,) = evaluator_builder.build(CONFIG, pixel_detector.CATEGORIES)
    return evaluator


def measure(examples, batch_size=1, every_steps=1, min_score=0.0):
    """Returns the accuracy of batches, as a training gives them."""
    accuracy = ssd_vgg16_log.TrainAccuracy(
        every_steps, min_score, make_evaluator
    )
    model = pixel_detector.PixelDetector()
    accuracy.begin(types.SimpleNamespace(model=model))
    batches = pixel_detector.dataset_of(examples, batch_size)
    for step, (features, labels) in enumerate(batches, start=1):
        groundtruth = pixel_detector.groundtruth_from_labels(labels)
        accuracy.before_step(step, features, groundtruth)
    found = accuracy.take()
    assert accuracy.take() is None
    return found


@pytest.mark.parametrize("batch_size", [1, 4])
def test_accuracy_of_batches_is_that_of_an_evaluation(batch_size):
    examples = pixel_detector.random_examples(12)
    expected = eval_util.evaluate(
        pixel_detector.PixelDetector(),
        pixel_detector.dataset_of(examples),
        [make_evaluator()],
        pixel_detector.CATEGORIES,
        pixel_detector.groundtruth_from_labels,
    )
    found = measure(examples, batch_size)
    for one, other in zip(found, expected.categories, strict=True):
        assert one.average_precision == pytest.approx(other.average_precision)
        assert one.num_groundtruth == other.num_groundtruth
    mean = ssd_vgg16_log.mean_average_precision(found)
    name = f"PascalBoxes{voc_evaluation.MAP_SUFFIX}"
    assert 0 < mean == pytest.approx(expected.metrics[name])


BOX = (0, 51, 102, 204)


def test_batches_and_scores_that_do_not_count():
    hit = pixel_detector.example("1", [(*BOX, 128, 1)], [BOX], [1])
    weak = pixel_detector.example("2", [(*BOX, 127, 1)], [BOX], [1])
    nothing = pixel_detector.example("3", [], [], [])
    for examples, every_steps, min_score, expected in (
        ([hit, weak], 1, 0.0, 1.0),
        # Six of eleven recalls are reached.
        ([hit, weak], 1, 0.5, 6 / 11),
        ([hit, weak], 2, 0.5, 1.0),
        ([weak, hit, nothing], 2, 0.5, 0.0),
    ):
        found = measure(examples, every_steps=every_steps, min_score=min_score)
        mean = ssd_vgg16_log.mean_average_precision(found)
        assert mean == pytest.approx(expected)


def category(name, average_precision, num_groundtruth=2):
    return CategoryResult(
        1, name, num_groundtruth, 3, average_precision, 0.125, ()
    )


def test_lines_of_an_evaluation(capsys):
    mean = ssd_vgg16_log.say_average_precisions(
        [category("cat", 0.25), category("dog", 0.75), category("x", np.nan, 0)]
    )
    assert mean == 0.5
    assert capsys.readouterr().out.splitlines() == [
        "[i] AP [cat]: 0.250",
        "[i] AP [dog]: 0.750",
        "[i] mAP: 0.500",
    ]
    assert np.isnan(ssd_vgg16_log.mean_average_precision([]))


def test_values_stand_below_each_other(capsys):
    ssd_vgg16_log.say_all({"A": 1, "Longer": [2, 3]})
    assert capsys.readouterr().out == "[i] A:      1\n[i] Longer: [2, 3]\n"


class Step:
    """A step that was launched."""

    def __init__(self, number, loss):
        self.step = number
        self.num_images = 8
        losses = {"Loss/total_loss": tf.constant(loss)}
        self.result = types.SimpleNamespace(losses=losses)

    def read(self):
        return {n: float(v) for n, v in self.result.losses.items()}, 0.1


def test_the_loss_of_an_epoch_is_its_mean(capsys, tmp_path):
    logged = []
    report = types.SimpleNamespace(log=lambda *values: logged.append(values))
    lines = ssd_vgg16_log.EpochLines(3, report, None, str(tmp_path))
    for number, loss in enumerate((2.0, 4.0, 9.0, 1.0, 1.0, 1.5), start=1):
        lines.before_step(number, {}, None)
        lines.after_step(Step(number, loss))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch:1 loss:5.000000 perf = ")
    assert second.startswith("epoch:2 loss:1.166667 perf = ")
    assert first.endswith(" global_ste/sec")
    (values, step), _ = logged
    assert step == (1,)
    assert values["images/s"] == pytest.approx(8 * values["steps/s"])
    assert list(tmp_path.iterdir()) == []
