"""Tests of the command that detects in files."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.inference import (
    detection_run,
    detector,
    image_sources,
    infer_detections,
    sample_detector,
    sample_functions,
)

RNG = np.random.default_rng(2)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def item(name, score=50):
    pixels = sample_functions.image(
        [(10, 20, 50, 90, score, 1), (20, 30, 60, 70, score // 2, 2)]
    )
    return image_sources.ImageItem(name, f"in/{name}.png", lambda: pixels)


def source(*items):
    return image_sources.ImageSource(len(items), lambda: iter(items))


def bad(name):
    (missing,) = image_sources.find([f"/nowhere/{name}.png"])
    return missing


def run(sources, **settings):
    found = []
    made = detector.Detector(sample_functions.make(), batch_size=2)
    summary = detection_run.detect(
        made,
        sources,
        [lambda item, outcome: found.append((item.image_id, outcome))],
        **settings,
    )
    return summary, found


def test_all_sources_in_order():
    summary, found = run([source(item("b"), item("a")), source(item("c"))])
    assert [image_id for image_id, _ in found] == ["b", "a", "c"]
    assert (summary.num_images, summary.num_detections) == (3, 6)
    assert summary.bad_images == []


def test_threshold_and_number_of_boxes():
    sources = [source(item("a", 90), item("b", 40))]
    _, found = run(sources, min_score=0.42)
    assert [len(one.detections.scores) for _, one in found] == [2, 0]
    _, found = run(sources, max_boxes=1)
    assert [one.detections.classes.tolist() for _, one in found] == [[1], [1]]


def test_bad_images_and_repeated_names_do_not_stop_the_others():
    again = image_sources.ImageItem("a", "other/a.png", lambda: None)
    summary, found = run(
        [source(item("a")), bad("x"), source(again, item("c"))]
    )
    assert [image_id for image_id, _ in found] == ["a", "c"]
    assert {path for path, _ in summary.bad_images} == {
        "/nowhere/x.png",
        "other/a.png",
    }
    reasons = dict(summary.bad_images)
    assert "has the name of in/a.png" in reasons["other/a.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "model").mkdir()
    sample_detector.write(str(folder / "model"))
    (folder / "images").mkdir()
    for number in range(3):
        pixels = RNG.integers(0, 256, (40 + 20 * number, 70, 3), np.uint8)
        (folder / "images" / f"00{number}.png").write_bytes(png(pixels))
    (folder / "images" / "bad.png").write_bytes(b"text")
    return folder


def command(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", infer_detections.__name__, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_writes_all_that_it_is_asked_for(folder):
    (folder / "coco.pbtxt").write_text(
        "item { id: 5 name: 'hen' } item { id: 17 name: 'cat' } "
        "item { id: 18 name: 'dog' }"
    )
    result = command(
        folder,
        "--checkpoint=model",
        "--output_dir=out",
        "--outputs=images,json,voc,txt",
        "--dump_predictions",
        "--min_score_threshold=0.1",
        "--max_boxes=4",
        "--batch_size=2",
        "--category_label_map_path=coco.pbtxt",
        "--input=missing.png",
        "images",
    )
    assert result.returncode == 3, result.stderr
    assert "missing.png: cannot be read" in result.stderr
    assert "ERROR: 2 of 5 images could not be used" in result.stderr
    out = folder / "out"
    listed = json.loads((out / "bad_images.json").read_text())
    assert [row["path"] for row in listed] == ["missing.png", "images/bad.png"]
    assert sorted(os.listdir(out)) == sorted(
        ["bad_images.json", "detections.json"]
        + [f"comp4_det_test_{name}.txt" for name in sample_detector.CLASS_NAMES]
        + [
            f"00{number}.{ending}"
            for number in range(3)
            for ending in ("png", "txt", "npy")
        ]
    )
    rows = json.loads((out / "detections.json").read_text())
    _assert_equals_the_detector(folder, rows)
    assert Image.open(out / "002.png").size == (70, 80)


def _assert_equals_the_detector(folder, rows):
    model = detector.Detector.from_checkpoint(str(folder / "model"))
    paths = [str(folder / "images" / f"00{number}.png") for number in range(3)]
    expected = []
    for number, found in enumerate(model(paths)):
        best = found.best(0.1, 4)
        assert len(best.scores) == 4
        expected += [
            (number, {1: 17, 2: 18, 3: 5}[int(class_id)], *box, score)
            for class_id, box, score in zip(
                best.classes, best.boxes_px(), best.scores, strict=True
            )
        ]
    found_rows = [
        (
            row["image_id"],
            row["category_id"],
            y := row["bbox"][1],
            x := row["bbox"][0],
            y + row["bbox"][3],
            x + row["bbox"][2],
            row["score"],
        )
        for row in rows
    ]
    np.testing.assert_allclose(found_rows, expected, rtol=1e-5, atol=1e-3)


# One process for all of them: the flags of a command stay defined.
TRY_FLAGS = """
import json, sys
from absl.testing import flagsaver
from object_detection.core import errors
from object_detection.inference import infer_detections
infer_detections.define_flags()
for arguments in json.loads(sys.argv[1]):
    with flagsaver.flagsaver():
        rest = infer_detections.FLAGS(["infer", *arguments])
        try:
            infer_detections.main(rest)
        except errors.ConfigError as error:
            print(error)
"""

OUT = "--output_dir=x"
BAD_FLAGS = {
    "--output_dir: is missing": ["a.png"],
    "--input: is empty": [OUT],
    "expected one of --checkpoint": [OUT, "a.png"],
    "got checkpoint and saved_model": [
        *(OUT, "a.png", "--checkpoint=a", "--saved_model=b")
    ],
    "--amp: is for --checkpoint alone": [
        *(OUT, "a.png", "--saved_model=b", "--amp")
    ],
    "--outputs: expected some of images, json, voc, txt, got 'pdf'": [
        *(OUT, "a.png", "--outputs=json,pdf")
    ],
    "--dump_predictions: needs --output_dir": [
        *("a.png", "--dump_predictions", "--output_tfrecord_path=y")
    ],
    "model/label_map.pbtxt: has no class 'n1'": [
        *(OUT, "a.png", "--checkpoint=model", "--label_map_path=l.pbtxt"),
        "--category_label_map_path=model/label_map.pbtxt",
    ],
}
OF_RECORDS = [
    "--checkpoint=model",
    "--input_tfrecord_paths=in.record",
    "--output_tfrecord_path=out.record",
    "--discard_image_pixels",
    "--min_score_threshold=0",
]


@pytest.fixture(scope="module")
def tried(folder):
    (folder / "l.pbtxt").write_text(
        "".join(f"item {{ id: {i} name: 'n{i}' }}" for i in (1, 2, 3))
    )
    example = tf.train.Example()
    example.features.feature["image/encoded"].bytes_list.value.append(
        (folder / "images" / "000.png").read_bytes()
    )
    with tf.io.TFRecordWriter(str(folder / "in.record")) as writer:
        writer.write(example.SerializeToString())
    cases = json.dumps([*BAD_FLAGS.values(), OF_RECORDS])
    result = subprocess.run(
        [sys.executable, "-c", TRY_FLAGS, cases],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def test_records_get_their_detections(folder, tried):
    assert "detections in 1 images" in tried.stderr
    (record,) = tf.data.TFRecordDataset(
        str(folder / "out.record")
    ).as_numpy_iterator()
    feature = tf.train.Example.FromString(record).features.feature
    assert "image/encoded" not in feature
    model = detector.Detector.from_checkpoint(str(folder / "model"))
    (found,) = model([str(folder / "images" / "000.png")])
    scores = feature["image/detection/score"].float_list.value
    np.testing.assert_allclose(scores, found.scores, atol=1e-5)


def test_flags_that_do_not_go_together(tried):
    for line, message in zip(tried.stdout.splitlines(), BAD_FLAGS, strict=True):
        assert message in line
