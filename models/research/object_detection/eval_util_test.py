"""Evaluation of a detector that reads its answer from the pixels."""

import io
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator

from object_detection import eval_util
from object_detection.builders import evaluator_builder
from object_detection.core import errors
from object_detection.core.containers import Groundtruth
from object_detection.protos import eval_pb2
from object_detection.utils import evaluation_files
from object_detection.utils import visualization_utils as vis

CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
HEIGHT, WIDTH, MAX_BOXES = 20, 30, 3
MAP = "DetectionBoxes_Precision/mAP"


class PixelDetector:
    """Detects boxes whose numbers are the first pixels of the image.

    Row d of the image is detection d: ymin, xmin, ymax, xmax, score, each
    divided by 255, then the class.
    """

    def __init__(self):
        self.num_traces = 0

    def normalize(self, images):
        return images / 255.0

    def predict(self, images, true_shapes, training=None):
        assert training is False
        self.num_traces += 1
        return {
            "box_encodings": images[:, :MAX_BOXES, :4, 0],
            "class_predictions_with_background": images[:, :MAX_BOXES, 4:6, 0],
            "anchors": keras.ops.zeros([MAX_BOXES, 4]),
            "image_size": keras.ops.ones([2]),
        }

    def loss(self, predictions, true_shapes, groundtruth, training=None):
        assert training is False
        # Normalised over the batch, so that it would depend on its size.
        error = predictions["box_encodings"] - groundtruth.boxes
        num_boxes = tf.reduce_sum(tf.cast(groundtruth.num_boxes, tf.float32))
        return {
            "Loss/localization_loss": tf.reduce_sum(tf.abs(error))
            / tf.maximum(num_boxes, 1.0),
            "Loss/classification_loss": tf.reduce_mean(
                predictions["class_predictions_with_background"]
            ),
        }

    def postprocess(self, predictions, true_shapes):
        scores = predictions["class_predictions_with_background"]
        return {
            "detection_boxes": predictions["box_encodings"],
            "detection_scores": scores[..., 0],
            "detection_classes": tf.round(scores[..., 1] * 255.0),
            "num_detections": tf.reduce_sum(
                tf.cast(scores[..., 0] > 0, tf.float32), axis=1
            ),
        }

    def regularization_loss(self):
        return tf.constant(0.25)


def groundtruth_from_labels(labels):
    boxes = labels["groundtruth_boxes"]
    return Groundtruth(
        boxes=boxes,
        classes=labels["groundtruth_classes"],
        weights=tf.ones_like(boxes[..., 0]),
        num_boxes=labels["num_groundtruth_boxes"],
    )


def example(
    source_id="7", found=(), boxes=(), classes=(), size=(200, 600), **optional
):
    """One image.

    Args:
        found: rows of (ymin, xmin, ymax, xmax, score, class from 0), the
            first five in 0..255.
        boxes: groundtruth in 0..255 of the padded image.
    """
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for row, values in enumerate(found):
        image[row, :6] = np.array(values, np.float32)[:, np.newaxis]
    padded = np.zeros((MAX_BOXES, 4), np.float32)
    padded[: len(boxes)] = np.array(boxes, np.float32).reshape(-1, 4) / 255
    one_hot = np.zeros((MAX_BOXES, 2), np.float32)
    one_hot[np.arange(len(classes)), list(classes)] = 1
    features = {
        "image": image,
        "true_image_shape": np.array([HEIGHT, WIDTH, 3], np.int32),
        "original_image_spatial_shape": np.array(size, np.int32),
        "source_id": source_id,
    }
    labels = {
        "num_groundtruth_boxes": np.int32(len(boxes)),
        "groundtruth_boxes": padded,
        "groundtruth_classes": one_hot,
        "groundtruth_area": np.full(MAX_BOXES, -1, np.float32),
    }
    for name, values in optional.items():
        column = np.zeros(MAX_BOXES, np.asarray(values).dtype)
        column[: len(values)] = values
        labels[f"groundtruth_{name}"] = column
    return features, labels


def dataset_of(examples, batch_size=1):
    stacked = tf.nest.map_structure(lambda *x: np.stack(x), *examples)
    return tf.data.Dataset.from_tensor_slices(stacked).batch(batch_size)


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


def random_examples(count, seed=3):
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        corners = rng.integers(0, 120, (MAX_BOXES, 2))
        boxes = np.hstack([corners, corners + rng.integers(20, 130, (3, 2))])
        classes = rng.integers(0, 2, MAX_BOXES)
        num_boxes = rng.integers(0, MAX_BOXES + 1)
        found = [
            (*(box + rng.integers(-3, 4, 4)).clip(0, 255), score, class_id)
            for box, score, class_id in zip(
                boxes, rng.integers(0, 255, MAX_BOXES), classes, strict=True
            )
        ]
        examples.append(
            example(
                f"image {number}",
                found,
                boxes[:num_boxes],
                classes[:num_boxes],
                size=rng.integers(30, 900, 2),
                is_crowd=rng.random(num_boxes) < 0.2,
            )
        )
    return examples


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


ALL_SETS = evaluator_builder.METRIC_SETS


def mean_of(prefix, evaluation):
    return evaluation.metrics[f"{prefix}_Precision/mAP@0.5IOU"]


def test_all_sets_are_measured_at_once_whatever_the_batch_size(capsys):
    config = eval_pb2.EvalConfig(metrics_set=ALL_SETS)
    examples = random_examples(7)
    first, second = (evaluate(examples, size, config=config) for size in (1, 4))
    assert second.metrics == pytest.approx(first.metrics, rel=1e-6)
    # COCO's twelve, four times the mean and two classes, four losses.
    assert len(first.metrics) == 12 + 4 * 3 + 4
    assert 0 < mean_of("PascalBoxes", first) < 1
    assert len(first.categories[0].precision_50) == 101
    assert first.table in capsys.readouterr().out
    for title in ("Average Precision", "Pascal VOC @", "Challenge 2018 @"):
        assert title in first.table


def test_flags_and_image_labels_of_records_reach_the_sets():
    config = eval_pb2.EvalConfig(metrics_set=ALL_SETS[1:])
    box, other = [10, 20, 110, 220], [130, 30, 250, 90]
    found = [(*box, 200, 0), (10, 20, 60, 70, 150, 0), (*other, 250, 1)]

    def means(image_classes, **flags):
        features, labels = example("1", found, [box, box], [0, 0], **flags)
        labels["groundtruth_image_classes"] = np.array(image_classes, "f4")
        evaluation = evaluate([(features, labels)], config=config)
        return [
            mean_of(prefix, evaluation)
            for prefix in ("PascalBoxes", "OpenImagesV2")
        ] + [mean_of("OpenImagesChallenge2018", evaluation)]

    # Of two boxes on one place the first is found.
    assert means([0, 0]) == pytest.approx([0.5] * 3)
    assert means([0, 0], difficult=[0, 1]) == pytest.approx([1.0] * 3)
    assert means([0, 0], group_of=[0, 1]) == pytest.approx([1.0] * 3)
    # Two groups of which one is found; worth nothing but in the challenge.
    both = means([0, 0], group_of=[1, 1])
    assert np.isnan(both[:2]).all() and both[2] == pytest.approx(0.5)

    def dogs_found(image_classes):
        features, labels = example("1", found, [box], [0])
        labels["groundtruth_image_classes"] = np.array(image_classes, "f4")
        _, dog = evaluate(
            [(features, labels)],
            config=eval_pb2.EvalConfig(metrics_set=ALL_SETS[4:]),
        ).categories
        return dog.num_detections

    assert dogs_found([0, 0]) == 0
    assert dogs_found([0, 1]) == 1


def test_table_with_any_name_is_printed_to_any_terminal(monkeypatch):
    content = io.BytesIO()
    terminal = io.TextIOWrapper(content, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    categories = [{"id": 1, "name": "信"}, {"id": 2, "name": "dog"}]
    config = eval_pb2.EvalConfig(metrics_set=ALL_SETS[1:2])
    evaluation = eval_util.evaluate(
        PixelDetector(),
        dataset_of([example("1", [], [[10, 20, 110, 220]], [0])]),
        evaluator_builder.build(config, categories),
        categories,
        groundtruth_from_labels,
    )
    assert "信" in evaluation.table
    assert rb"detections: \u4fe1" in content.getvalue()


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


def test_what_is_written_reads_back(tmp_path, caplog):
    caplog.set_level("INFO")
    directory = tmp_path / "eval"
    config = eval_pb2.EvalConfig(
        num_visualizations=2, include_metrics_per_category=True
    )
    evaluation = evaluate(random_examples(4), 3, config=config)
    eval_util.write(evaluation, str(directory), step=120)

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

    events = event_accumulator.EventAccumulator(str(directory)).Reload()
    tags = events.Tags()
    assert "Detections_Left_Groundtruth_Right/1" in (
        tags["images"] + tags["tensors"]
    )
    assert set(evaluation.metrics) <= set(tags["tensors"] + tags["scalars"])
    assert "DetectionBoxes_PerformanceByCategory/mAP/dog" in tags["tensors"]
    assert "Saving dict for global step 120: DetectionBoxes_" in caplog.text
    assert "global_step = 120, loss = " in caplog.text
