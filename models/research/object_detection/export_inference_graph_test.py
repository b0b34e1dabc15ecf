"""Tests of the command that exports."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from object_detection import export_inference_graph
from object_detection.core import errors
from object_detection.inference import sample_detector


def test_sides_of_a_shape():
    parse = export_inference_graph.parse_shape
    assert parse(None) is None
    assert parse(["1", "-1", "300", "3"]) == [1, None, 300, 3]
    for texts in (["1", "0", "2", "3"], ["1", "x", "2", "3"], ["-2"]):
        with pytest.raises(errors.ConfigError, match=f"got {texts[0]}"):
            parse(texts)


def test_the_command_exports_what_the_flags_say(tmp_path):
    checkpoint = sample_detector.write(str(tmp_path))
    nms = "post_processing { batch_non_max_suppression"
    result = subprocess.run(
        [
            *(sys.executable, "-m", "object_detection.export_inference_graph"),
            "--input_type=encoded_image_string_tensor",
            f"--pipeline_config_path={tmp_path / 'pipeline.config'}",
            f"--trained_checkpoint_prefix={checkpoint}",
            f"--output_directory={tmp_path / 'out'}",
            "--config_override=model { ssd { "
            f"{nms} {{ max_total_detections: 7 }} }} }} }}",
            "--hparams_overrides=model.ssd.post_processing."
            "batch_non_max_suppression.max_detections_per_class=2",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(
        (tmp_path / "out" / "frozen_inference_graph.pb").read_bytes()
    )
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    encoded = tf.io.encode_png(pixels).numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        boxes, classes, num_detections = session.run(
            ["detection_boxes:0", "detection_classes:0", "num_detections:0"],
            {"encoded_image_string_tensor:0": [encoded, encoded]},
        )
    assert boxes.shape == (2, 7, 4)
    # Two of a class at most; boxes outside the image count as well.
    num = int(num_detections[0])
    assert np.bincount(classes[0, :num].astype(int)).max() == 2
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-5)
