"""Tests of the commands of SSD-VGG that detect, and of what they export."""

import re

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from PIL import Image

from object_detection.builders import evaluator_builder
from object_detection.core import errors
from object_detection.data_decoders import annotated_image
from object_detection.inference import detector, image_sources
from object_detection.protos import eval_pb2
from object_detection.recipes import (
    ssd_vgg16_detect,
    ssd_vgg16_export_model,
    ssd_vgg16_infer,
    ssd_vgg16_result,
    ssd_vgg16_sample,
    ssd_vgg16_samples,
)
from object_detection.utils import configured_detector, print_anchors

# Scores of two classes and the background, and a box code.
NUM_COLUMNS = 3 + 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, `images` of several sizes, and `txt`, a data set of the same."""
    folder = tmp_path_factory.mktemp("work")
    data_dir = ssd_vgg16_sample.write(folder / "data")
    ssd_vgg16_sample.write_run(folder / "run", data_dir)
    (folder / "txt/images").mkdir(parents=True)
    rng = np.random.default_rng(2)
    lines = []
    for number in range(3):
        pixels = rng.integers(0, 256, (40 + 20 * number, 70, 3), np.uint8)
        name = f"images/00{number}.png"
        Image.fromarray(pixels).save(folder / "txt" / name)
        lines.append(f"{name} 5,{10 + number},45,38,{1 + number % 2}")
    (folder / "txt/train.txt").write_text("\n".join(lines[:2]))
    (folder / "txt/test.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def infer(folder, tmp_path, capsys):
    """Runs the command; returns what it printed."""
    before = logging.get_verbosity()

    def run(*words):
        common = (f"--name={folder / 'run'}", f"--output-dir={tmp_path}")
        parser = ssd_vgg16_infer.parser()
        ssd_vgg16_infer.main(
            parser.parse_args([*common, "--batch-size=2", *map(str, words)])
        )
        return capsys.readouterr().out

    yield run
    logging.set_verbosity(before)


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def test_files_are_detected_in(folder, tmp_path, infer):
    images = [folder / f"txt/images/00{number}.png" for number in range(3)]
    out = infer(
        *("--annotate=true", "--dump-predictions=true"),
        *("--pascal-summary=true", "--threshold=0.4", *images),
    )
    of_voc = ["comp4_det_test_cat.txt", "comp4_det_test_dog.txt"]
    of_images = [f"00{n}.{end}" for n in range(3) for end in ("npy", "png")]
    assert names_in(tmp_path) == [*of_images, *of_voc]
    assert "AP" not in out
    rows = np.load(tmp_path / "001.npy")
    assert rows.shape[1] == NUM_COLUMNS
    np.testing.assert_allclose(rows[:, :3].sum(axis=1), 1, rtol=1e-5)
    results = [(tmp_path / name).read_text().splitlines() for name in of_voc]
    scores = [
        float(re.fullmatch(r"00\d (\S+)( \S+){4}", line).group(1))
        for line in sum(results, [])
    ]
    assert out == f"[i] {len(scores)} detections in 3 images\n"
    assert min(scores) >= 0.4 > rows[:, :2].max(axis=1).min()


def test_a_data_set_is_measured(folder, infer):
    words = ("--data-source=txt", f"--data-dir={folder / 'txt'}")
    out = infer(*words, "--threshold=0", "--checkpoint=0")
    assert out.startswith("[i] # samples: 3 of ")
    for line in (r"AP \[cat\]", r"AP \[dog\]", "mAP"):
        assert re.search(rf"^\[i\] {line}: \d\.\d{{3}}$", out, re.M), line
    out = infer(*words, "--sample=trainval")
    assert out.startswith("[i] # samples: 2 of ")


def test_what_cannot_be_measured_is_refused(folder, infer):
    for words, kind, message in (
        ([], errors.ConfigError, "files: expected images"),
        (["x.png"], errors.ConfigError, "expected --annotate true"),
        (["--data-source=x"], errors.ConfigError, "--data_dir: no such"),
        (
            ["--checkpoint=7", "--annotate=true", "x.png"],
            errors.CheckpointError,
            "has 2 checkpoints",
        ),
        (
            ["--annotate=true", "/none/x.png"],
            errors.DataError,
            "1 of 1 images could not",
        ),
    ):
        with pytest.raises(kind, match=message):
            infer(*words)


def annotation(*objects):
    return annotated_image.AnnotatedImage(
        filename="a.png",
        source_id="a",
        encoded=b"",
        image_format="png",
        height_px=40,
        width_px=80,
        objects=[
            annotated_image.ObjectAnnotation(name, box) for name, box in objects
        ],
    )


def test_detections_are_compared_with_their_own_image():
    item = image_sources.ImageItem("a", "a.png", lambda: None)
    other = image_sources.ImageItem("b", "b.png", lambda: None)
    samples = ssd_vgg16_samples.Samples(
        "set",
        [item],
        {"a": annotation(("cat", (10, 20, 30, 60)), ("dog", (0, 0, 20, 20)))},
        {"cat": 1, "dog": 2},
    )
    config = eval_pb2.EvalConfig(metrics_set=["pascal_voc_detection_metrics"])
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (evaluator,) = evaluator_builder.build(config, categories)
    measured = ssd_vgg16_samples.Measuring(samples, evaluator)
    found = detector.Detections(
        # The cat's box and, of a dog, too little.
        np.float32([[0.25, 0.25, 0.75, 0.75], [0.3, 0, 0.5, 0.25]]),
        np.float32([0.9, 0.8]),
        np.array([1, 2]),
        (40, 80),
    )
    measured.add(item, detector.Outcome(item, found, None))
    measured.add(other, detector.Outcome(other, found, None))
    cat, dog = measured.compute()
    assert (cat.average_precision, dog.average_precision) == (1, 0)
    assert (cat.num_groundtruth, dog.num_groundtruth) == (1, 1)


def test_columns_of_a_row():
    assert ssd_vgg16_result.columns(25) == [*range(21), 22, 21, 24, 23]


@pytest.fixture(scope="module")
def exported(folder):
    model = folder / "out/model.pb"
    parser = ssd_vgg16_export_model.parser()
    ssd_vgg16_export_model.main(
        parser.parse_args(
            [
                f"--metagraph-file={folder / 'run/final.ckpt.meta'}",
                f"--checkpoint-file={folder / 'run/final.ckpt'}",
                f"--output-file={model}",
                "--output-tensors",
                "result/result",
                "num_detections:0",
            ]
        )
    )
    return model


def in_graph(path, feed, fetches, values):
    """Runs a frozen graph."""
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    imported = tf.compat.v1.wrap_function(
        lambda: tf.compat.v1.import_graph_def(graph, name=""), []
    )
    function = imported.prune(f"{feed}:0", [f"{name}:0" for name in fetches])
    return [np.asarray(value) for value in function(tf.constant(values))]


def test_the_graph_gives_what_the_run_does(folder, exported, infer, tmp_path):
    image = folder / "txt/images/001.png"
    infer("--dump-predictions=true", "--threshold=0", image)
    pixels = np.asarray(Image.open(image))[np.newaxis]
    expected = np.load(tmp_path / "001.npy")
    (rows,) = in_graph(exported, "image_tensor", ["result/result"], pixels)
    np.testing.assert_allclose(rows[0], expected, rtol=1e-4, atol=1e-5)
    # From images that were resized elsewhere.
    resized = np.asarray(
        tf.image.resize(pixels.astype(np.float32), (48, 64), "bilinear")
    )
    batch = np.stack([np.zeros_like(resized[0]), resized[0]])
    (rows,) = in_graph(exported, "image_input", ["result/result"], batch)
    assert rows.shape == (2, *expected.shape)
    assert np.abs(rows[1] - expected).max() < 0.2
    assert not np.allclose(rows[0], rows[1])


def test_rows_and_anchors_give_the_boxes(folder, exported):
    """Decodes the best row by the formulas of the box code."""
    pixels = np.full((1, 48, 64, 3), 200, np.uint8)
    names = ["result/result", "detection_boxes", "detection_scores"]
    rows, boxes, scores = in_graph(exported, "image_tensor", names, pixels)
    rows = rows[0]
    best = np.argmax(rows[:, :2].max(axis=1))
    assert scores[0, 0] == pytest.approx(rows[best, :2].max(), rel=1e-5)
    of_config = configured_detector.build(str(folder / "run/pipeline.config"))
    anchors = np.concatenate(
        [part.boxes for part in print_anchors.anchors_by_map(of_config)]
    )
    cx, cy, width, height = anchors[best]
    x, y, w, h = rows[best, -4:]
    cx, cy = cx + x / 10 * width, cy + y / 10 * height
    half_width = width * np.exp(w / 5) / 2
    half_height = height * np.exp(h / 5) / 2
    expected = (
        cy - half_height,
        cx - half_width,
        cy + half_height,
        cx + half_width,
    )
    np.testing.assert_allclose(boxes[0, 0], np.clip(expected, 0, 1), atol=1e-5)


def test_detections_of_the_file(folder, exported, tmp_path, capsys):
    parser = ssd_vgg16_detect.parser()
    image = str(folder / "txt/images/002.png")
    ssd_vgg16_detect.main(
        parser.parse_args(
            [
                f"--model={exported}",
                f"--output-dir={tmp_path}",
                "--threshold=0.1",
                "--batch-size=2",
                image,
            ]
        )
    )
    lines = (tmp_path / "002.txt").read_text().splitlines()
    assert names_in(tmp_path) == ["002.png", "002.txt"]
    assert f"[i] {len(lines)} detections in 1 images" in capsys.readouterr().out
    assert lines
    for line in lines:
        name, label_id, *box = line.split()
        assert (name, label_id) in (("cat", "0"), ("dog", "1"))
        assert len(box) == 4
    # Names come from where the flag says.
    (tmp_path / "map.pbtxt").write_text(
        "item { id: 1 name: 'hen' } item { id: 2 name: 'fox' }"
    )
    for given, wanted in (
        (str(tmp_path / "map.pbtxt"), {"hen", "fox"}),
        (str(folder / "run"), {"cat", "dog"}),
    ):
        arguments = parser.parse_args([f"--training-data={given}", "x.png"])
        path = ssd_vgg16_detect._label_map_path(arguments)
        names = detector.Detector.from_saved_model(
            str(exported), label_map_path=path
        ).category_index
        assert {names[1]["name"], names[2]["name"]} == wanted


def test_a_tensor_that_there_is_not(folder):
    parser = ssd_vgg16_export_model.parser()
    arguments = parser.parse_args(["--output-tensors", "result/other"])
    with pytest.raises(errors.ConfigError, match="got result/other"):
        ssd_vgg16_export_model.main(arguments)
