"""Tests of finding images in files, folders, patterns, records and videos."""

import io
import os
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from object_detection.core import errors
from object_detection.inference import image_sources


def pixels(number, size_px=(6, 9)):
    return np.full((*size_px, 3), number, np.uint8)


def png(number):
    buffer = io.BytesIO()
    Image.fromarray(pixels(number)).save(buffer, "PNG")
    return buffer.getvalue()


def write_images(folder, *names):
    for number, name in enumerate(names, start=1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))


def items_of(*inputs):
    return [
        item
        for source in image_sources.find([str(path) for path in inputs])
        for item in source.items()
    ]


def first_pixels(items):
    return [int(item.load()[0, 0, 0]) for item in items]


def fault_of(item):
    with pytest.raises(errors.DataError) as caught:
        item.load()
    return str(caught.value)


def test_files_are_named_without_folder_and_ending(tmp_path):
    write_images(tmp_path, "a.png", "000012.png")
    items = items_of(tmp_path / "a.png", tmp_path / "000012.png")
    assert [item.image_id for item in items] == ["a", "000012"]
    assert first_pixels(items) == [1, 2]


def test_a_folder_is_searched_in_order(tmp_path):
    write_images(tmp_path, "b.png", "a.PNG", "x/c.png", "x/y/a.png")
    (tmp_path / "notes.txt").write_text("no image")
    items = items_of(tmp_path)
    ids = [item.image_id for item in items]
    assert ids == ["a", "b", "x/c", "x/y/a"]
    assert first_pixels(items) == [2, 1, 3, 4]


def test_patterns(tmp_path):
    write_images(tmp_path, "a1.png", "a2.png", "b1.png", "x/a3.png")
    items = items_of(tmp_path / "a?.png")
    assert [item.image_id for item in items] == ["a1", "a2"]
    items = items_of(tmp_path / "**" / "a*.png")
    assert [item.image_id for item in items] == ["a1", "a2", "a3"]


def test_a_name_with_the_signs_of_a_pattern(tmp_path):
    write_images(tmp_path, "a[1].png")
    assert first_pixels(items_of(tmp_path / "a[1].png")) == [1]


def test_a_missing_file_is_an_image_that_cannot_be_read(tmp_path):
    (item,) = items_of(tmp_path / "no.png")
    assert "No such file" in fault_of(item)


@pytest.mark.parametrize(
    "name, message",
    [("*.jpg", "matches no file"), ("", "has no image")],
)
def test_nothing_found(tmp_path, name, message):
    with pytest.raises(errors.ConfigError, match=message):
        items_of(tmp_path / name)
    with pytest.raises(errors.ConfigError, match="--input: is empty"):
        image_sources.find([])


def test_a_name_that_is_no_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    write_images(tmp_path, name)
    assert first_pixels(items_of(tmp_path)) == [1]


def record(source_id, encoded, **sizes):
    feature = {
        "image/encoded": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[encoded])
        ),
        "image/source_id": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[source_id])
        ),
    }
    for key, value in sizes.items():
        feature[f"image/{key}"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[value])
        )
    return tf.train.Example(
        features=tf.train.Features(feature=feature)
    ).SerializeToString()


def write_records(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in records:
            writer.write(one)


def test_records_are_named_by_their_source_id(tmp_path):
    path = tmp_path / "val.record-00000-of-00001"
    raw = tf.train.Example.FromString(
        record(b"raw", pixels(9).tobytes(), height=6, width=9)
    )
    raw.features.feature["image/format"].bytes_list.value.append(b"RAW")
    records = [
        record(b"397133", png(4)),
        record(b"", png(5)),
        record(b"\xff.jpg", png(6)),
        raw.SerializeToString(),
    ]
    write_records(path, records)
    (source,) = image_sources.find([str(tmp_path)])
    assert source.num_images == 4
    items = list(source.items())
    assert [item.image_id for item in items] == [
        "397133",
        "val.record-00000-of-00001-000001",
        "\\xff.jpg",
        "raw",
    ]
    assert first_pixels(items) == [4, 5, 6, 9]
    assert [item.example for item in items] == records
    assert items[1].path == f"{path}: record 1"


def test_bad_records_do_not_hide_the_good(tmp_path):
    path = tmp_path / "a.tfrecord"
    records = [record(b"a", png(1)), record(b"b", png(2)), record(b"c", png(3))]
    write_records(path, [*records, b"no example", record(b"e", b"")])
    content = bytearray(path.read_bytes())
    content[12 + len(records[0]) + 4 + 12 + 20] ^= 1
    path.write_bytes(content)
    items = items_of(path)
    assert first_pixels([items[0], items[2]]) == [1, 3]
    faults = [fault_of(items[number]) for number in (1, 3, 4)]
    assert faults == ["checksum mismatch", "is no tf.Example", "is empty"]


def test_a_file_that_is_cut_or_no_record_is_one_bad_item(tmp_path):
    write_records(tmp_path / "cut.record", [record(b"a", png(1))])
    content = (tmp_path / "cut.record").read_bytes()
    (tmp_path / "cut.record").write_bytes(content[:-5])
    (tmp_path / "zip.record").write_bytes(b"\x1f\x8b" + bytes(40))
    cut, zipped, missing = items_of(
        tmp_path / "cut.record",
        tmp_path / "zip.record",
        tmp_path / "missing.record",
    )
    assert "record 0 at byte 0 is cut" in fault_of(cut)
    assert "a GZIP file" in fault_of(zipped)
    assert "No such file" in fault_of(missing)


def test_frames_of_a_video(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = str(tmp_path / "clip.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), 5, (48, 32))
    for number in range(3):
        frame = np.zeros((32, 48, 3), np.uint8)
        frame[:, :, 2] = 80 * number  # red is the last of OpenCV's channels
        writer.write(frame)
    writer.release()
    (source,) = image_sources.find([path])
    assert source.num_images == 3
    items = list(source.items())
    assert [item.image_id for item in items] == [
        f"clip/00000{number}" for number in range(3)
    ]
    assert items[0].frame == image_sources.Frame(path, 5.0)
    images = [item.load() for item in items]
    assert images[0].shape == (32, 48, 3)
    reds = [image[:, :, 0].mean() for image in images]
    np.testing.assert_allclose(reds, [0, 80, 160], atol=12)
    assert images[2][:, :, 1:].mean() < 30


def test_what_is_no_video(tmp_path):
    pytest.importorskip("cv2")
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    (item,) = items_of(tmp_path / "clip.mp4")
    assert fault_of(item) == "cannot be opened as a video"


def test_a_video_without_opencv_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(errors.ConfigError, match="opencv-python-headless"):
        items_of(tmp_path / "clip.mp4")
