"""Tests of a detector for use: batches, threads, faults and files."""

import io
import threading

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.core import errors
from object_detection.inference import (
    ahead,
    detection_functions,
    detector,
    sample_detector,
    sample_functions,
)

BOX = (10, 20, 50, 90, 80, 2)
LOWER = (20, 30, 60, 70, 40, 1)


def bad():
    raise errors.DataError("is cut")


def numbered(number):
    """An image whose one box scores so many percent."""
    return sample_functions.image([(10, 20, 50, 90, number, 1)])


def make(batch_size=2, has_static_size=True):
    functions = sample_functions.make(has_static_size)
    sizes = []

    def detect(images, true_shapes):
        assert len(images) == len(true_shapes)
        sizes.append(len(images))
        return functions.detect(images, true_shapes)

    made = detector.Detector(
        functions._replace(detect=detect), batch_size=batch_size
    )
    return made, sizes


def test_boxes_scores_and_classes():
    made, _ = make()
    (found,) = made([sample_functions.image([BOX, LOWER], (200, 50))])
    np.testing.assert_allclose(found.scores, [0.8, 0.4], rtol=1e-6)
    assert found.classes.tolist() == [2, 1]
    assert found.size_px == (200, 50)
    np.testing.assert_allclose(
        found.boxes_px(), [[20, 10, 100, 45], [40, 15, 120, 35]], rtol=1e-6
    )


def test_the_best():
    made, _ = make()
    (found,) = made([sample_functions.image([BOX, LOWER])])
    assert found.best(0.41).classes.tolist() == [2]
    assert found.best(float(found.scores[1])).classes.tolist() == [2, 1]
    assert found.best(max_boxes=1).scores.tolist() == [found.scores[0]]
    assert found.best(0.9).boxes.shape == (0, 4)


def test_batches_are_full_and_the_last_is_filled_up():
    made, sizes = make(batch_size=4)
    found = made([numbered(n) for n in range(1, 10)])
    scores = [one.scores[0] for one in found]
    np.testing.assert_allclose(scores, np.arange(1, 10) / 100, rtol=1e-6)
    assert sizes == [4, 4, 4]


def test_images_that_stay_of_different_sizes_are_batched_by_size():
    made, sizes = make(batch_size=4, has_static_size=False)
    images = [
        sample_functions.image([BOX], (height, 9)) for height in (5, 7, 5, 5)
    ]
    found = made(images)
    assert [one.size_px[0] for one in found] == [5, 7, 5, 5]
    assert sizes == [3, 1]


def test_faults_come_at_their_place():
    made, sizes = make(batch_size=2)
    jobs = [
        detector.Job(n, bad if n in (0, 3, 6) else lambda n=n: numbered(n))
        for n in range(7)
    ]
    outcomes = list(made.stream(jobs))
    assert [one.source for one in outcomes] == list(range(7))
    assert [one.source for one in outcomes if one.fault] == [0, 3, 6]
    assert outcomes[3].fault == "is cut" and outcomes[3].detections is None
    assert sizes == [2, 2]


def test_images_and_raw_predictions_are_kept_when_asked_for():
    made, _ = make()
    job = detector.Job(7, lambda: numbered(5))
    (plain,) = made.stream([job])
    assert plain.image is None and plain.raw is None
    (full,) = made.stream([job], keeps_images=True, with_raw=True)
    np.testing.assert_array_equal(full.image, numbered(5))
    assert full.raw.shape == (3, 6) and full.raw[0, 4] == 5


def test_raw_predictions_need_a_model_that_gives_them():
    functions = sample_functions.make()._replace(raw=None)
    made = detector.Detector(functions)
    with pytest.raises(errors.ConfigError, match="does not give them"):
        list(made.stream([], with_raw=True))


def test_paths_bytes_and_arrays_are_images(tmp_path):
    made, _ = make()
    pixels = numbered(33)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(buffer.getvalue())
    found = made([pixels, buffer.getvalue(), path, str(path)])
    for one in found:
        np.testing.assert_allclose(one.scores, [0.33], rtol=1e-6)


def test_what_is_no_image_is_named(tmp_path):
    made, _ = make()
    with pytest.raises(errors.DataError, match="no.png: cannot be read"):
        made([numbered(1), str(tmp_path / "no.png")])
    with pytest.raises(errors.DataError, match="image 1: .*4 bytes"):
        made([numbered(1), b"text"])
    with pytest.raises(ValueError, match=r"got float64 \[4, 5\]"):
        made([np.zeros((4, 5))])


def test_names_of_classes(tmp_path):
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 2 name: 'dog' }")
    made = detector.Detector(sample_functions.make(), str(path))
    assert made.class_name(2) == "dog"
    assert made.class_name(np.int64(7)) == "class 7"


def test_a_batch_has_at_least_one_image():
    with pytest.raises(errors.ConfigError, match="at least 1, got 0"):
        make(batch_size=0)


def test_jobs_are_taken_as_they_are_needed():
    made, _ = make(batch_size=2)
    taken = []

    def jobs():
        while True:
            taken.append(len(taken))
            yield detector.Job(None, lambda: numbered(1))

    stream = made.stream(jobs())
    next(stream)
    stream.close()
    assert len(taken) < 50


def test_results_come_in_order_and_errors_at_their_place():
    started = threading.Barrier(2)

    def work(item):
        # Two at a time, or it would stop here.
        started.wait(timeout=60)
        if item == 3:
            raise KeyError(item)
        return item * 10

    results = ahead.run(work, range(4), num_threads=2, num_ahead=2)
    assert [next(results) for _ in range(3)] == [0, 10, 20]
    with pytest.raises(KeyError):
        next(results)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    sample_detector.write(str(folder))
    return detector.Detector.from_checkpoint(str(folder), batch_size=2)


def random_image(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def test_a_batch_finds_what_single_images_do(trained):
    images = [random_image(60, 100), random_image(90, 40), random_image(8, 9)]
    together = trained(images)
    for image, found in zip(images, together, strict=True):
        (alone,) = trained([image])
        assert len(found.scores) == 30
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-5)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-6)
        np.testing.assert_array_equal(found.classes, alone.classes)


def test_the_label_map_of_the_config_is_found(trained):
    assert trained.class_name(3) == sample_detector.CLASS_NAMES[2]


def test_a_checkpoint_that_is_not_there(tmp_path):
    sample_detector.write(str(tmp_path))
    with pytest.raises(errors.CheckpointError, match="model.ckpt-8"):
        detector.Detector.from_checkpoint(str(tmp_path / "model.ckpt-8"))


def test_a_label_map_of_other_classes_is_refused(tmp_path):
    sample_detector.write(str(tmp_path))
    path = tmp_path / "other.pbtxt"
    path.write_text("item { id: 1 name: 'one' }")
    with pytest.raises(errors.ConfigError, match="other.pbtxt.*num_classes"):
        detector.Detector.from_checkpoint(
            str(tmp_path), label_map_path=str(path)
        )


def test_no_saved_model_and_no_frozen_graph(tmp_path):
    with pytest.raises(errors.CheckpointError, match="is no SavedModel"):
        detector.Detector.from_saved_model(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(errors.CheckpointError, match="cannot be loaded"):
        detector.Detector.from_saved_model(str(tmp_path))
    graph = tmp_path / "frozen.pb"
    graph.write_bytes(tf.Graph().as_graph_def().SerializeToString())
    with pytest.raises(errors.CheckpointError, match="image_tensor:0"):
        detector.Detector.from_saved_model(str(graph))


class Foreign(tf.Module):
    """A detector of another exporter: one box, as high as the image."""

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)]
    )
    def detect(self, input_tensor):
        height = tf.cast(tf.shape(input_tensor)[1], tf.float32)
        box = tf.stack([0.0, 0.0, height / 100, 1.0])
        count = tf.shape(input_tensor)[0]
        return {
            "detection_boxes": tf.tile(box[None, None], [count, 1, 1]),
            "detection_scores": tf.ones([count, 1]),
            "detection_classes": tf.ones([count, 1]),
            "num_detections": tf.ones([count]),
        }


class Strings(tf.Module):
    """No detector of images."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def detect(self, texts):
        return {"lengths": tf.strings.length(texts)}


def test_a_saved_model_of_another_exporter(tmp_path):
    module = Foreign()
    path = str(tmp_path / "foreign")
    tf.saved_model.save(module, path, {"serving_default": module.detect})
    made = detector.Detector.from_saved_model(path, batch_size=2)
    tall, wide, tall_too = made(
        [random_image(40, 20), random_image(10, 50), random_image(40, 20)]
    )
    heights = [found.boxes[0, 2] for found in (tall, wide, tall_too)]
    np.testing.assert_allclose(heights, [0.4, 0.1, 0.4], rtol=1e-6)
    assert made.class_name(1) == "class 1"


def test_a_saved_model_that_is_no_detector(tmp_path):
    module = Strings()
    path = str(tmp_path / "strings")
    tf.saved_model.save(module, path, {"serving_default": module.detect})
    with pytest.raises(errors.CheckpointError, match=r"\['string'\].*lengths"):
        detection_functions.load(path)


def test_the_network_computes_in_another_type(trained, tmp_path):
    sample_detector.write(str(tmp_path))
    half = detector.Detector.from_checkpoint(
        str(tmp_path), compute_dtype="bfloat16"
    )
    image = random_image(60, 100)
    (found,), (known,) = half([image]), trained([image])
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores[:5], known.scores[:5], atol=0.02)
    assert np.abs(found.scores - known.scores).max() > 1e-5
