"""Tests of the files that detections are written to, by numbers."""

import json

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.inference import (
    detection_outputs,
    detector,
    image_sources,
)

NAMES = {1: "cat", 2: "hot dog"}


def class_name(class_id):
    return NAMES.get(int(class_id), f"class {class_id}")


def item(image_id, example=None):
    return image_sources.ImageItem(
        image_id, f"/in/{image_id}.jpg", None, example
    )


def outcome(boxes=(), scores=(), classes=(), size_px=(200, 400), raw=None):
    found = detector.Detections(
        np.float32(boxes).reshape(-1, 4),
        np.float32(scores),
        np.int64(classes),
        size_px,
    )
    return detector.Outcome(None, found, None, None, raw)


# In 200 x 400 pixels: y 20..100, x 80..360; and all of the image.
TWO = outcome([(0.1, 0.2, 0.5, 0.9), (0, 0, 1, 1)], [0.75, 0.1], [2, 1])
NONE = outcome()


def test_coco(tmp_path):
    path = tmp_path / "found" / "a.json"
    with detection_outputs.coco_json(str(path), {2: 18}) as add:
        add(item("000000397133"), TWO)
        add(item("empty"), NONE)
        add(item("x/7"), TWO)
        assert not path.exists()
    rows = json.loads(path.read_text())
    assert [row["image_id"] for row in rows] == [397133, 397133, "x/7", "x/7"]
    assert [row["category_id"] for row in rows] == [18, 1, 18, 1]
    np.testing.assert_allclose(
        rows[0]["bbox"], [80, 20, 280, 80], rtol=0, atol=1e-4
    )
    assert rows[1]["bbox"] == [0, 0, 400, 200]
    # As few digits as make the same float32.
    assert [rows[0]["score"], rows[1]["score"]] == [0.75, 0.1]
    assert set(rows[0]) == {"image_id", "category_id", "bbox", "score"}


def test_coco_without_detections(tmp_path):
    path = tmp_path / "a.json"
    with detection_outputs.coco_json(str(path), {}) as add:
        add(item("a"), NONE)
    assert json.loads(path.read_text()) == []


def test_no_half_file_is_left(tmp_path):
    path = tmp_path / "a.json"
    with (
        pytest.raises(KeyError),
        detection_outputs.coco_json(str(path), {}) as add,
    ):
        add(item("a"), TWO)
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_voc(tmp_path):
    with detection_outputs.voc_files(str(tmp_path), NAMES, class_name) as add:
        add(item("x/2008_1"), TWO)
        add(item("b"), outcome([(-0.2, 0.5, 0.25, 1.5)], [1], [2]))
        add(item("c"), outcome([(0, 0, 0.5, 0.5)], [0.5], [9]))
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {
        # The last pixel of 400 is 400 when the first one is 1.
        "comp4_det_test_cat.txt": (
            "2008_1 0.100000 1.000000 1.000000 400.000000 200.000000\n"
        ),
        "comp4_det_test_hot dog.txt": (
            "2008_1 0.750000 81.000000 21.000000 361.000000 101.000000\n"
            "b 1.000000 201.000000 1.000000 400.000000 51.000000\n"
        ),
        "comp4_det_test_class 9.txt": (
            "c 0.500000 1.000000 1.000000 201.000000 101.000000\n"
        ),
    }


def test_voc_has_a_file_for_a_class_that_was_not_found(tmp_path):
    with detection_outputs.voc_files(str(tmp_path), NAMES, class_name) as add:
        add(item("a"), NONE)
    assert (tmp_path / "comp4_det_test_cat.txt").read_text() == ""


def test_label_texts(tmp_path):
    with detection_outputs.label_texts(str(tmp_path), class_name) as add:
        add(item("x/a"), TWO)
        add(item("b"), NONE)
    assert (tmp_path / "x" / "a.txt").read_text() == (
        "hot dog 1 0.550000 0.300000 0.700000 0.400000\n"
        "cat 0 0.500000 0.500000 1.000000 1.000000\n"
    )
    assert (tmp_path / "b.txt").read_text() == ""


def test_raw_arrays(tmp_path):
    raw = np.random.default_rng(0).random((5, 7), np.float32)
    with detection_outputs.raw_arrays(str(tmp_path)) as add:
        add(item("a"), outcome(raw=raw))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), raw)


def example():
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(b"pixels")
    feature["image/source_id"].bytes_list.value.append(b"7")
    feature["image/detection/score"].float_list.value.append(0.3)
    return example.SerializeToString()


@pytest.mark.parametrize("discard", [False, True])
def test_records(tmp_path, discard):
    path = str(tmp_path / "out.record")
    with detection_outputs.tf_records(path, discard) as add:
        add(item("7", example()), TWO)
        add(item("8", example()), NONE)
    first, second = (
        tf.train.Example.FromString(one).features.feature
        for one in tf.data.TFRecordDataset(path).as_numpy_iterator()
    )
    assert ("image/encoded" in first) is not discard
    assert first["image/source_id"].bytes_list.value[:] == [b"7"]
    values = {
        name: list(first[f"image/detection/{name}"].float_list.value)
        for name in ("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax")
    }
    assert values == pytest.approx(
        {
            "bbox/ymin": pytest.approx([0.1, 0]),
            "bbox/xmin": pytest.approx([0.2, 0]),
            "bbox/ymax": pytest.approx([0.5, 1]),
            "bbox/xmax": pytest.approx([0.9, 1]),
        }
    )
    scores = first["image/detection/score"].float_list.value
    assert list(scores) == pytest.approx([0.75, 0.1])
    assert first["image/detection/label"].int64_list.value[:] == [2, 1]
    assert len(second["image/detection/score"].float_list.value) == 0


def test_records_are_made_of_records(tmp_path):
    path = str(tmp_path / "out.record")
    with (
        pytest.raises(errors.ConfigError, match="/in/a.jpg is no TFRecord"),
        detection_outputs.tf_records(path) as add,
    ):
        add(item("a"), TWO)


@pytest.mark.parametrize(
    "image_id, expected",
    [
        ("x/street", "x/street"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs", "abs"),
        ("a\nb\0c", "a_b_c"),
        ("über 7 (1)", "über 7 (1)"),
        ("\udce9", "_"),
        ("..", "image"),
        ("a" * 10_000_000, "a" * 150),
    ],
)
def test_file_names_stay_in_their_folder(image_id, expected):
    assert detection_outputs.file_name(image_id) == expected
