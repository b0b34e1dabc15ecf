"""Tests of the inference benchmark's numbers and of what it runs."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.inference import inference_speed
from object_detection.utils import pixel_detector

SPEED = inference_speed.InferenceSpeed(3, np.array([0.1, 0.6, 0.2]))


def test_throughput_is_all_images_over_all_seconds():
    # A mean of rates would be (30 + 5 + 15) / 3.
    assert SPEED.images_per_second == pytest.approx(9 / 0.9)


def test_latencies():
    assert SPEED.mean_latency_ms == pytest.approx(300)
    assert SPEED.latency_ms(50) == pytest.approx(200)
    # Linear between the second and the third of the sorted ones.
    assert SPEED.latency_ms(90) == pytest.approx(520)
    assert SPEED.latency_ms(100) == pytest.approx(600)


def test_report_has_the_keys_of_the_original():
    assert SPEED.report(["90", "99.5"]) == pytest.approx(
        {
            "infer_throughput": 10,
            "eval_avg_latency": 300,
            "eval_90%_latency": 520,
            "eval_99.5%_latency": 596,
        }
    )
    assert set(SPEED.report(["7"], suffix="_x")) == {
        "infer_throughput_x",
        "eval_avg_latency_x",
        "eval_7%_latency_x",
    }


def test_percentiles_are_numbers():
    inference_speed.check_percentiles(["0", "99.9", "100"])
    for text in ("", "p90", "101", "-1", "nan"):
        with pytest.raises(errors.ConfigError, match=f"got '{text}'"):
            inference_speed.check_percentiles(["90", text])


def examples(count):
    return [
        pixel_detector.example(
            str(number), [(10, 20, 30, 40, 100 + number, number % 2)]
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("allow_xla", [False, True])
def test_detections_are_those_of_the_model(allow_xla):
    dataset = pixel_detector.dataset_of(examples(2), batch_size=2)
    features, _ = next(iter(dataset))
    model = pixel_detector.PixelDetector()
    detect = inference_speed.make_detect_function(model, allow_xla=allow_xla)
    found = detect(features["image"], features["true_image_shape"])
    np.testing.assert_allclose(
        found["detection_boxes"][:, 0] * 255, [[10, 20, 30, 40]] * 2, rtol=1e-5
    )
    np.testing.assert_allclose(
        found["detection_scores"][:, 0] * 255, [100, 101], rtol=1e-5
    )
    detect(features["image"], features["true_image_shape"])
    assert model.num_traces == 1


def test_iterations_run_on_the_right_batches():
    dataset = pixel_detector.dataset_of(examples(14), batch_size=2).repeat()
    seen = []

    def detect(images, true_shapes):
        assert true_shapes.shape == (2, 3)
        seen.append(int(images[0, 0, 4, 0]) - 100)
        # Long enough for any clock, so that a time of 0 is a fault.
        tf.linalg.matmul(tf.ones((64, 64)), tf.ones((64, 64))).numpy()

    decoding, in_memory = inference_speed.measure(
        detect, dataset, num_warmup_iterations=2, num_iterations=5
    )
    # The stream goes on, then four batches of it go round.
    assert seen == [0, 2, 4, 6, 8, 10, 12] + [0, 2, 4, 6, 0, 2, 4]
    for speed in (decoding, in_memory):
        assert speed.batch_size == 2
        assert speed.seconds.shape == (5,)
        assert (speed.seconds > 0).all()
