"""Evaluation of a detector that reads its answer from the pixels."""

import logging

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from object_detection import eval_util
from object_detection.builders import evaluator_builder
from object_detection.core import errors
from object_detection.protos import eval_pb2
from object_detection.utils import evaluation_files
from object_detection.utils import visualization_utils as vis
from object_detection.utils.pixel_detector import (
    CATEGORIES,
    HEIGHT,
    WIDTH,
    PixelDetector,
    dataset_of,
    example,
    groundtruth_from_labels,
    random_examples,
)

MAP = "DetectionBoxes_Precision/mAP"


def evaluate(examples, batch_size=1, model=None, config=None, **kwargs):
    config = config or eval_pb2.EvalConfig()
    return eval_util.evaluate(
        model or PixelDetector(),
        dataset_of(examples, batch_size),
        evaluator_builder.build(config, CATEGORIES),
        CATEGORIES,
        groundtruth_from_labels,
        visualization=evaluator_builder.build_visualization(config),
        **kwargs,
    )


def test_every_batch_size_gives_the_same_numbers_with_one_trace():
    examples = random_examples(8)
    results = {}
    for batch_size in (1, 3, 8, 20):
        model = PixelDetector()
        results[batch_size] = evaluate(examples, batch_size, model)
        assert model.num_traces == 1, batch_size
        assert results[batch_size].num_images == 8
    assert 0 < results[1].metrics[MAP] < 1
    for result in results.values():
        assert result.metrics == pytest.approx(results[1].metrics, rel=1e-6)
        assert result.metrics[MAP] == results[1].metrics[MAP]
        assert result.categories == results[1].categories


def test_second_evaluation_of_a_model_is_not_traced_again():
    model = PixelDetector()
    first = evaluate(random_examples(3), 2, model)
    second = evaluate(random_examples(4), 2, model)
    assert model.num_traces == 1
    assert first.num_images == 3 and second.num_images == 4


def test_order_of_the_examples_does_not_matter():
    examples = random_examples(6)
    forward, backward = evaluate(examples, 4), evaluate(examples[::-1], 4)
    assert forward.metrics == pytest.approx(backward.metrics)


def test_losses_are_means_of_images_and_add_up():
    examples = [
        example("1", [(0, 0, 51, 0, 51, 0)], [[0, 0, 102, 0]], [0]),
        example("2", [], [[0, 0, 0, 51], [0, 0, 51, 0]], [0, 1]),
    ]
    metrics = evaluate(examples, 2).metrics
    # |51 - 102| / 255 over one box; (51 + 51) / 255 over two.
    assert metrics["Loss/localization_loss"] == pytest.approx(0.2)
    assert metrics["Loss/classification_loss"] == pytest.approx(0.2 / 6 / 2)
    assert metrics["Loss/regularization_loss"] == 0.25
    assert metrics["Loss/total_loss"] == pytest.approx(0.45 + 0.2 / 12)
    without = evaluate(examples, 2, add_regularization_loss=False).metrics
    assert "Loss/regularization_loss" not in without
    assert without["Loss/total_loss"] == pytest.approx(0.2 + 0.2 / 12)


def test_images_with_a_crowd_are_left_out_and_counted(caplog):
    examples = random_examples(7)
    # In the third box of one, beyond the last of another.
    crowds = [0, 2, 0, 0, 1, 0, 0]
    examples = [
        (features, labels | {"num_crowd_boxes": np.int32(count)})
        for (features, labels), count in zip(examples, crowds, strict=True)
    ]
    without = [e for e, n in zip(examples, crowds, strict=True) if not n]
    with caplog.at_level(logging.INFO):
        found = evaluate(examples, 3, skip_images_with_crowds=True)
    assert "Evaluation of 5 of 7 images: 2 have a box" in caplog.text
    expected = evaluate(without, 3)
    assert found.num_images == 5 and found.metrics == expected.metrics
    assert found.metrics != evaluate(examples, 3).metrics
    pascal = eval_pb2.EvalConfig(metrics_set=["pascal_voc_detection_metrics"])
    settings = {"config": pascal, "skip_images_with_crowds": True}
    assert evaluate(examples, **settings).metrics == pytest.approx(
        evaluate(without, config=pascal).metrics
    )


def test_images_with_crowds_alone_are_no_evaluation_set():
    features, labels = example()
    only = [(features, labels | {"num_crowd_boxes": np.int32(1)})]
    with pytest.raises(errors.DataError, match="skip_images_with_crowds"):
        evaluate(only, skip_images_with_crowds=True)


class Recorder:
    """Keeps what an evaluator is told."""

    def __init__(self):
        self.groundtruth, self.detections = {}, {}

    def add_single_ground_truth_image_info(self, image_id, groundtruth_dict):
        self.groundtruth[image_id] = groundtruth_dict

    def add_single_detected_image_info(self, image_id, detections_dict):
        self.detections[image_id] = detections_dict

    def compute(self):
        evaluators = evaluator_builder.build(eval_pb2.EvalConfig(), CATEGORIES)
        return evaluators[0].compute()

    def clear(self):
        pass


def test_boxes_go_back_to_pixels_of_the_original_and_flags_are_passed_on():
    features, labels = example(
        "42",
        [(51, 102, 153, 204, 128, 1)],
        [[0, 51, 102, 153]],
        [0],
        size=(200, 600),
        is_crowd=[True],
        difficult=[1],
        group_of=[True],
        area=[77.0],
    )
    labels["groundtruth_image_classes"] = np.array([0, 1], np.float32)
    # The lower half of the padded image is padding.
    features["true_image_shape"] = np.array([HEIGHT // 2, WIDTH, 3], np.int32)
    recorder = Recorder()
    eval_util.evaluate(
        PixelDetector(),
        dataset_of([(features, labels)]),
        [recorder],
        CATEGORIES,
        groundtruth_from_labels,
    )
    groundtruth, found = recorder.groundtruth[42], recorder.detections[42]
    np.testing.assert_allclose(
        found["detection_boxes"], [[80, 240, 240, 480]], rtol=1e-6
    )
    np.testing.assert_allclose(found["detection_scores"], [128 / 255])
    np.testing.assert_array_equal(found["detection_classes"], [2])
    np.testing.assert_allclose(
        groundtruth["groundtruth_boxes"], [[0, 120, 160, 360]], rtol=1e-6
    )
    assert groundtruth["groundtruth_classes"].tolist() == [1]
    for name, value in {
        "is_crowd": True,
        "difficult": 1,
        "group_of": True,
        "area": 77.0,
    }.items():
        assert groundtruth[f"groundtruth_{name}"].tolist() == [value], name
    assert groundtruth["groundtruth_image_classes"].tolist() == [2]


def test_perfect_detections_have_map_one_and_crowds_do_not_count():
    box, other = [10, 20, 110, 220], [130, 30, 250, 90]
    metrics = evaluate(
        [
            example(
                "1",
                [(*box, 200, 0), (*other, 250, 0)],
                [box, other],
                [0, 0],
                is_crowd=[False, True],
            )
        ]
    ).metrics
    assert metrics[MAP] == pytest.approx(1.0)


def test_no_detections_is_zero_and_no_groundtruth_is_minus_one(caplog):
    box = [10, 20, 110, 220]
    missed = evaluate([example("1", [], [box], [1])])
    assert missed.metrics[MAP] == 0.0
    assert "no detections in 1 images" in caplog.text
    nothing = evaluate([example("1", [(*box, 200, 1)], [], [])])
    assert nothing.metrics[MAP] == -1.0
    assert "no groundtruth boxes in 1 images" in caplog.text


def test_boxes_that_were_cut_off_are_counted(caplog):
    features, labels = example("1")
    evaluate([(features, labels | {"num_truncated_boxes": np.int32(0)})])
    assert "not evaluated" not in caplog.text
    examples = [
        (features | {"source_id": name}, labels | {"num_truncated_boxes": n})
        for name, n in (
            ("1", np.int32(5)),
            ("2", np.int32(0)),
            ("3", np.int32(2)),
        )
    ]
    evaluate(examples, 2)
    assert "7 groundtruth boxes are not evaluated" in caplog.text


def test_empty_data_set_is_an_error():
    with pytest.raises(errors.DataError, match="no image was read"):
        eval_util.evaluate(
            PixelDetector(), [], [], CATEGORIES, groundtruth_from_labels
        )


def test_integers_are_image_ids_and_other_text_is_hashed():
    ids = eval_util.image_ids(["139", "-3", "0", "007", "7", "a", "9" * 19])
    assert ids[:3] == [139, -3, 0] and ids[4] == 7
    assert min(ids[3], *ids[5:]) >= 2**62
    assert ids == eval_util.image_ids(
        ["139", "-3", "0", "007", "7", "a", "9" * 19]
    )
    assert len(set(eval_util.image_ids(["", "", "--5", "5-", "٣"]))) == 5


def test_same_source_id_twice_is_an_error():
    with pytest.raises(errors.DataError, match="'b' and 'b'"):
        eval_util.image_ids(["b", "a", "b"])


def test_table_is_printed(capsys):
    evaluation = evaluate(random_examples(2))
    printed = capsys.readouterr().out
    assert printed == evaluation.table + "\n"
    assert printed.startswith(
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | "
    )
    assert printed.count("\n") == 12


def test_pictures_are_of_the_first_images_in_proportion_of_the_original():
    config = eval_pb2.EvalConfig(num_visualizations=2)
    box = [51, 51, 204, 204]
    examples = [
        example(str(i), [(*box, 200, 1)], [box], [0], size=(200, 600))
        for i in range(3)
    ]
    pictures = evaluate(examples, 3, config=config).pictures
    assert len(pictures) == 2
    height, width, _ = pictures[0].shape
    assert height == 200 and width > 2 * 600
    left, right = pictures[0][:, :600], pictures[0][:, -600:]
    assert tuple(left[100, 120]) == vis.class_color(2)
    assert tuple(right[100, 120]) == vis.class_color(1)
    config.min_score_threshold = 0.99
    left = evaluate(examples, 3, config=config).pictures[0][:, :600]
    assert not (left == vis.class_color(2)).all(axis=-1).any()
    config.num_visualizations = 0
    assert evaluate(examples, config=config).pictures == []


@pytest.mark.parametrize("summary_name", [None, "events"])
def test_what_is_written_reads_back(tmp_path, caplog, summary_name):
    caplog.set_level("INFO")
    summary_dir = summary_name and str(tmp_path / summary_name)
    directory = tmp_path / "eval"
    config = eval_pb2.EvalConfig(
        num_visualizations=2, include_metrics_per_category=True
    )
    evaluation = evaluate(random_examples(4), 3, config=config)
    eval_util.write(evaluation, str(directory), 120, summary_dir)

    (record,) = evaluation_files.read_records(str(directory))
    assert (record.step, record.num_images) == (120, 4)
    assert record.metrics == evaluation.metrics
    assert record.categories == evaluation.categories
    assert record.table == evaluation.table
    paths = evaluation_files.picture_paths(str(directory))
    assert len(paths) == 2
    np.testing.assert_array_equal(
        np.asarray(Image.open(paths[1])), evaluation.pictures[1]
    )

    events = event_accumulator.EventAccumulator(summary_dir or str(directory))
    events.Reload()
    tags = events.Tags()
    assert "Detections_Left_Groundtruth_Right/1" in (
        tags["images"] + tags["tensors"]
    )
    assert set(evaluation.metrics) <= set(tags["tensors"] + tags["scalars"])
    assert "DetectionBoxes_PerformanceByCategory/mAP/dog" in tags["tensors"]
    assert "Saving dict for global step 120: DetectionBoxes_" in caplog.text
    assert "global_step = 120, loss = " in caplog.text
