"""Tests of exporting: what a process with TensorFlow alone gets to see."""

import os
import subprocess
import sys
import sysconfig

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection import exporter
from object_detection.core import errors
from object_detection.inference import (
    detection_module,
    detector,
    model_loading,
    sample_detector,
)
from object_detection.preprocessing import image_resizer
from object_detection.protos import pipeline_pb2
from object_detection.training import checkpoints
from object_detection.utils import config_util

RNG = np.random.default_rng(3)
# A batch of one size, and images of several.
BATCH = RNG.integers(0, 256, (2, 60, 100, 3), np.uint8)
SINGLES = [BATCH[0], RNG.integers(0, 256, (90, 40, 3), np.uint8)]

# What a user's server does. It must not find this project.
CLIENT = """
import sys
import numpy as np
import tensorflow as tf
directory, inputs_path, outputs_path = sys.argv[1:]
try:
    import object_detection
    sys.exit("object_detection must not be found here")
except ImportError:
    pass
inputs = np.load(inputs_path)
texts = {name: tf.constant([bytes(inputs[f"{name}_{i}"]) for i in (0, 1)])
         for name in ("encoded_image_string_tensor", "tf_example")}
loaded = tf.saved_model.load(f"{directory}/saved_model", tags=["serve"])
calls = {"serving_default": tf.constant(inputs["batch"]),
         "image_tensor": tf.constant(inputs["batch"]),
         "raw": tf.constant(inputs["batch"]), **texts}
found = {f"{name}/{key}": value.numpy()
         for name, argument in calls.items()
         for key, value in loaded.signatures[name](inputs=argument).items()}
graph = tf.compat.v1.GraphDef()
with open(f"{directory}/frozen_inference_graph.pb", "rb") as file:
    graph.ParseFromString(file.read())
names = ["detection_boxes", "detection_scores", "detection_classes",
         "num_detections"]
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.import_graph_def(graph, name="")
    values = session.run([f"{name}:0" for name in names],
                         {"image_tensor:0": inputs["batch"]})
found |= {f"frozen/{name}": v for name, v in zip(names, values)}
np.savez(outputs_path, **found)
"""


def example_of(image):
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(png_of(image))
    feature["image/object/class/text"].bytes_list.value.append(b"unknown")
    return example.SerializeToString()


def png_of(image):
    return tf.io.encode_png(image).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = sample_detector.write(
        str(folder), "eval_config { use_moving_averages: true }"
    )
    configs = model_loading.read_configs(str(folder))
    directory = str(folder / "out")
    exporter.export_inference_graph(
        "image_tensor",
        configs,
        checkpoint,
        directory,
        write_inference_graph=True,
    )
    return directory


@pytest.fixture(scope="module")
def served(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    inputs = {"batch": BATCH}
    for number, image in enumerate(SINGLES):
        inputs[f"encoded_image_string_tensor_{number}"] = np.void(png_of(image))
        inputs[f"tf_example_{number}"] = np.void(example_of(image))
    np.savez(folder / "in.npz", **inputs)
    # -S leaves out what installations in editable mode put on the path.
    result = subprocess.run(
        [sys.executable, "-S", "-c", CLIENT, exported]
        + [str(folder / name) for name in ("in.npz", "out.npz")],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(np.load(folder / "out.npz"))


@pytest.fixture(scope="module")
def model(exported):
    """The detector, restored by what evaluation restores it with."""
    checkpoint_dir = os.path.dirname(exported)
    configs = model_loading.read_configs(checkpoint_dir)
    loaded = model_loading.build(configs, None)
    checkpoints.restore(loaded.model, checkpoint_dir, use_moving_averages=True)
    return loaded.model


def expected(model, images):
    """Detections by the detector's own methods, in the frame of the image."""
    preprocessed, true_shapes = model.preprocess(images)
    predictions = model.predict(preprocessed, true_shapes)
    found = {
        name: np.asarray(value)
        for name, value in model.postprocess(predictions, true_shapes).items()
    }
    # The sample detector pads images of 64 x 107 or 128 x 57 to 128 x 128.
    share = np.asarray(true_shapes)[:, None, [0, 1, 0, 1]] / 128
    found["detection_boxes"] = found["detection_boxes"] / share
    found["detection_classes"] = found["detection_classes"] + 1
    return found, predictions


def assert_equal_detections(served, name, expected_detections):
    for key, value in expected_detections.items():
        found = served[f"{name}/{key}"]
        assert found.dtype == np.float32 and found.shape == value.shape
        np.testing.assert_allclose(found, value, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", ["serving_default", "image_tensor", "frozen"])
def test_batches_of_images(served, model, name):
    found, _ = expected(model, BATCH)
    assert found["num_detections"].tolist() == [30, 30]
    assert {1, 2, 3} >= set(found["detection_classes"].ravel()) > {1}
    assert found["detection_boxes"].max() == pytest.approx(1)
    assert_equal_detections(served, name, found)


@pytest.mark.parametrize("name", ["encoded_image_string_tensor", "tf_example"])
def test_batches_of_files_of_different_sizes(served, model, name):
    singles = [expected(model, image[None])[0] for image in SINGLES]
    together = {
        key: np.concatenate([single[key] for single in singles])
        for key in singles[0]
    }
    assert_equal_detections(served, name, together)


def test_raw_predictions(served, model):
    _, predictions = expected(model, BATCH)
    scores = 1 / (1 + np.exp(-predictions["class_predictions_with_background"]))
    result = served["raw/result"]
    # Three classes and the background, then the code of the box.
    assert result.shape == (2, predictions["anchors"].shape[0], 4 + 4)
    np.testing.assert_allclose(result[:, :, :4], scores, atol=1e-5)
    np.testing.assert_allclose(
        result[:, :, 4:], predictions["box_encodings"], atol=1e-4
    )
    np.testing.assert_allclose(
        served["raw/anchors"], predictions["anchors"], atol=1e-6
    )


def test_an_export_is_loaded_as_a_detector(exported, model):
    for path in (exported, f"{exported}/saved_model"):
        loaded = detector.Detector.from_saved_model(path, batch_size=3)
        assert loaded.class_name(3) == sample_detector.CLASS_NAMES[2]
    found = loaded(SINGLES)
    for one, image in zip(found, SINGLES, strict=True):
        known, _ = expected(model, image[None])
        np.testing.assert_allclose(
            one.boxes, known["detection_boxes"][0], atol=1e-5
        )
        np.testing.assert_allclose(
            one.scores, known["detection_scores"][0], atol=1e-5
        )
    frozen = detector.Detector.from_saved_model(
        f"{exported}/{exporter.FROZEN_GRAPH_NAME}"
    )
    for one, other in zip(found, frozen(SINGLES), strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-5)


def test_weights_are_the_moving_averages_and_the_config_says_so(exported):
    trained = checkpoints.Reader(os.path.dirname(exported))
    written = checkpoints.Reader(exported)
    assert os.path.basename(written.path) == "model.ckpt"
    assert written.read(checkpoints.GLOBAL_STEP) == 7
    names = set(written.shapes) - {checkpoints.GLOBAL_STEP}
    kernel = "FeatureExtractor/MobilenetV1/Conv2d_0/weights"
    assert kernel in names
    assert not [n for n in names if n.endswith("ExponentialMovingAverage")]
    np.testing.assert_allclose(
        written.read(kernel), trained.read(kernel) * 0.9, rtol=1e-6
    )
    configs = config_util.get_configs_from_pipeline_file(
        os.path.join(exported, "pipeline.config")
    )
    assert not configs["eval_config"].use_moving_averages
    assert configs["model"].ssd.num_classes == 3
    loaded = detector.Detector.from_checkpoint(exported)
    assert loaded.class_name(1) == "cat"


def test_nothing_but_the_export_is_left(exported):
    assert sorted(os.listdir(exported)) == [
        "checkpoint",
        "frozen_inference_graph.pb",
        "inference_graph.pbtxt",
        "model.ckpt.data-00000-of-00001",
        "model.ckpt.index",
        "pipeline.config",
        "saved_model",
    ]
    graph = tf.compat.v1.GraphDef()
    with open(f"{exported}/inference_graph.pbtxt", encoding="utf-8") as file:
        text_format.Parse(file.read(), graph)
    assert "detection_boxes" in {node.name for node in graph.node}


def test_a_second_export_leaves_the_first(exported):
    configs = model_loading.read_configs(exported)
    with pytest.raises(errors.ConfigError, match="saved_model exists; remove"):
        exporter.export_inference_graph(
            "image_tensor", configs, exported, exported
        )


class NoModel:
    """Has nothing that is looked at before images come."""

    variables = ()


def test_the_shape_of_an_image_tensor():
    module = detection_module.DetectionModule(
        NoModel(), image_resizer.FixedShapeResizer(30, 40), (2, 50, None, 3)
    )
    (spec,) = module.image_tensor.input_signature
    assert spec.shape.as_list() == [2, 50, None, 3]
    (spec,) = module.encoded_image_string_tensor.input_signature
    assert (spec.dtype, spec.shape.as_list()) == (tf.string, [None])


@pytest.mark.parametrize(
    "input_type, shape, message",
    [
        ("tf_example", [1, 2, 2, 3], "for --input_type=image_tensor alone"),
        ("image_tensor", [2, 2, 3], r"3, got \[2, 2, 3\]"),
        ("image_tensor", [1, 2, 2, 4], "batch, height, width and 3"),
        ("float_image_tensor", None, "got 'float_image_tensor'"),
    ],
)
def test_shapes_and_types_that_cannot_be(tmp_path, input_type, shape, message):
    with pytest.raises(errors.ConfigError, match=message):
        exporter.export_inference_graph(
            input_type, {}, "", str(tmp_path), input_shape=shape
        )


def test_additional_channels_are_refused(tmp_path):
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    sample_detector.write(str(tmp_path))
    pipeline = config_util.read_pipeline_config(tmp_path / "pipeline.config")
    pipeline.train_input_reader.num_additional_channels = 2
    config_util.save_pipeline_config(pipeline, tmp_path)
    with pytest.raises(
        errors.ConfigError,
        match="train_input_reader.num_additional_channels: .*got 2",
    ):
        model_loading.read_configs(str(tmp_path))
