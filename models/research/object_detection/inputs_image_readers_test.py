"""Tests of images that are read directly, or made records once."""

import logging
import shutil

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection import inputs
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import (
    image_stream,
    reading_report,
    sample_image_sets,
)
from object_detection.protos import pipeline_pb2

KINDS = tuple(sample_image_sets.WRITERS)
IN_ORDER = "shuffle: false num_readers: 1"
FLIP = "data_augmentation_options { random_horizontal_flip { } }"


@pytest.fixture(autouse=True)
def few_images_a_file(monkeypatch):
    """So that a few images come from several files."""
    monkeypatch.setattr(image_stream, "_MAX_IMAGES_PER_FILE", 3)


def write(folder, kind, count=7, **changes):
    folder.mkdir(exist_ok=True)
    sample_image_sets.write_label_map(folder)
    images = sample_image_sets.make_images(count)
    sample_image_sets.WRITERS[kind](folder / "data", images, **changes)
    return folder


def make_config(folder, kind, reader=""):
    data = sample_image_sets.reader_text(kind, folder / "data")
    reader = f"""{{ label_map_path: "{folder}/map.pbtxt"
        max_number_of_boxes: 3 {reader} {data} }}"""
    return text_format.Parse(
        f"""model {{ ssd {{ num_classes: 3 image_resizer {{
            fixed_shape_resizer {{ height: 12 width: 10 }} }} }} }}
        train_config {{ {FLIP} }}
        train_input_reader {reader} eval_input_reader {reader}""",
        pipeline_pb2.TrainEvalPipelineConfig(),
    )


def train_batches(config, num_batches=8, batch_size=3, **settings):
    input_fn = inputs.create_train_input_fn(
        config.train_config,
        config.train_input_reader,
        config.model,
        batch_size=batch_size,
        seed=5,
        **settings,
    )
    with inputs.errors_explained():
        return list(input_fn().take(num_batches).as_numpy_iterator())


def eval_batches(config, batch_size=4, **settings):
    input_fn = inputs.create_eval_input_fn(
        config.eval_config,
        config.eval_input_reader[0],
        config.model,
        batch_size=batch_size,
        **settings,
    )
    with inputs.errors_explained(settings.get("report")):
        return list(input_fn().as_numpy_iterator())


def source_ids(batches):
    return [
        id_.decode() for features, _ in batches for id_ in features["source_id"]
    ]


def assert_equal(found, expected):
    assert len(found) == len(expected) > 0
    for batch, expected_batch in zip(found, expected, strict=True):
        for part, expected_part in zip(batch, expected_batch, strict=True):
            assert part.keys() == expected_part.keys()
            for key, value in expected_part.items():
                np.testing.assert_array_equal(part[key], value, key)


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("kind", "reader"),
    [
        ("coco", "shuffle_buffer_size: 4 filenames_shuffle_buffer_size: 2"),
        ("voc", "skip_images_without_boxes: true shuffle_buffer_size: 2"),
        ("txt", "sample_1_of_n_examples: 2 shuffle: false num_readers: 2"),
    ],
)
def test_images_equal_the_records_made_of_them(tmp_path, kind, reader, caplog):
    folder = write(tmp_path / "a", kind, 8)
    direct = make_config(folder, kind, reader)
    expected = train_batches(direct), eval_batches(direct)

    caplog.set_level(logging.INFO)
    records = f'{reader} record_dir: "{tmp_path}/records"'
    config = make_config(folder, kind, records)
    assert_equal(train_batches(config), expected[0])
    num_images = 6 if "skip" in reader else 8
    assert f"Made {num_images} records in {tmp_path}/records" in messages(
        caplog
    )
    shutil.rmtree(folder / "data")
    assert_equal(train_batches(config), expected[0])
    assert_equal(eval_batches(config), expected[1])
    told = [line for line in messages(caplog) if "has records" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{tmp_path}/records has records: they are read")
    assert str(folder / "data") in told[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "records"]


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_and_ids(tmp_path, kind):
    config = make_config(write(tmp_path, kind, 2), kind, IN_ORDER)
    ((features, labels),) = eval_batches(config)
    names = {"voc": ["000001.jpg", "000002.jpg"]}.get(kind, ["1", "2"])
    assert source_ids([(features, labels)]) == names
    np.testing.assert_array_equal(
        features[Fields.original_image_spatial_shape], [[21, 33], [22, 35]]
    )
    np.testing.assert_array_equal(labels[Fields.num_groundtruth_boxes], [1, 2])
    np.testing.assert_allclose(
        labels[Fields.groundtruth_boxes][:, :2],
        [
            [[3 / 21, 2 / 33, 9 / 21, 12 / 33], [0, 0, 0, 0]],
            [[3 / 22, 2 / 35, 9 / 22, 13 / 35], [1 / 22, 7 / 35, 1, 1]],
        ],
        rtol=1e-6,
    )
    # dog, and then toothbrush and cat, by the label map and not by COCO.
    classes = labels[Fields.groundtruth_classes][:, :2]
    assert classes.argmax(-1).tolist() == [[1, 0], [2, 0]]
    if kind == "coco":
        np.testing.assert_array_equal(
            labels[Fields.groundtruth_is_crowd][:, :2],
            [[False, False], [True, False]],
        )
        areas = [9 * 11 / 2, 10 * 6 / 2, 28 * 21 / 2]
        found = labels[Fields.groundtruth_area]
        np.testing.assert_allclose(
            [found[0, 0], found[1, 0], found[1, 1]],
            [10 * 6 / 2, 11 * 6 / 2, areas[2]],
        )


def test_shards_are_disjoint_and_together_all(tmp_path):
    config = make_config(
        write(tmp_path, "voc"), "voc", "num_epochs: 1 shuffle: true"
    )
    whole = source_ids(train_batches(config, batch_size=1))
    shards = [
        source_ids(
            train_batches(config, batch_size=1, num_shards=2, shard_index=i)
        )
        for i in range(2)
    ]
    assert sorted(shards[0] + shards[1]) == sorted(whole)
    assert len(set(whole)) == 7
    shards = [
        source_ids(eval_batches(config, num_shards=2, shard_index=i))
        for i in range(2)
    ]
    whole = source_ids(eval_batches(config))
    assert shards == [whole[::2], whole[1::2]]


def test_taken_up_where_it_was_stopped(tmp_path):
    reader = "skip_images_without_boxes: true"
    config = make_config(write(tmp_path, "txt"), "txt", reader)
    whole = train_batches(config, num_batches=9)
    assert_equal(train_batches(config, num_batches=4, start_step=5), whole[5:])


def test_order_depends_on_the_epoch(tmp_path):
    ids = source_ids(
        train_batches(make_config(write(tmp_path, "voc"), "voc"), 14, 1)
    )
    assert sorted(ids[:7]) == sorted(ids[7:])
    assert ids[:7] != ids[7:]


def test_records_without_boxes_are_skipped(tmp_path):
    """Also of record files that know nothing of it."""
    folder = write(tmp_path, "coco", 8)
    directory = f'record_dir: "{tmp_path}/records"'
    eval_batches(make_config(folder, "coco", directory))
    config = make_config(folder, "coco", "skip_images_without_boxes: true")
    expected = train_batches(config, 9)
    for reader in (config.train_input_reader, config.eval_input_reader[0]):
        reader.tf_record_input_reader.input_path.append(
            f"{tmp_path}/records/*.record*"
        )
    assert sorted(source_ids(eval_batches(config))) == list("124578")
    report = reading_report.ReadingReport(1)
    assert len(source_ids(eval_batches(config, report=report))) == 6
    ids = source_ids(train_batches(config, 9))
    assert sorted(ids[:6]) == sorted(source_ids(expected)[:6])
    assert source_ids(train_batches(config, 4, start_step=5)) == ids[15:]


def test_none_with_a_box(tmp_path):
    kind = "txt"
    folder = write(tmp_path, kind)
    images = sample_image_sets.make_images()[2::3]
    shutil.rmtree(folder / "data")
    sample_image_sets.WRITERS[kind](folder / "data", images)
    config = make_config(folder, kind, "skip_images_without_boxes: true")
    with pytest.raises(errors.DataError, match="2 images without any"):
        train_batches(config)


def test_bad_images_are_named_or_skipped(tmp_path):
    """One cannot be read, one cannot be decoded, one is known before."""
    folder = write(tmp_path, "coco")
    missing, cut = (folder / f"data/images/00000{i}.jpg" for i in (2, 5))
    cut.write_bytes(cut.read_bytes()[:-200])
    config = make_config(folder, "coco", IN_ORDER)
    with pytest.raises(errors.DataError) as caught:
        eval_batches(config)
    assert str(caught.value).startswith(
        f"{cut} ({folder}/data/boxes.json: images[4]): image/encoded ("
    )
    missing.unlink()
    with pytest.raises(errors.DataError) as caught:
        eval_batches(config)
    assert str(caught.value) == (
        f"{missing} ({folder}/data/boxes.json: images[1]): cannot read the "
        "image: No such file or directory"
    )
    report = reading_report.ReadingReport(2)
    assert sorted(source_ids(eval_batches(config, report=report))) == list(
        "13467"
    )
    with pytest.raises(errors.DataError, match="; found 2 bad records"):
        eval_batches(config, report=reading_report.ReadingReport(1))
    kept = make_config(folder, "coco", f'record_dir: "{tmp_path}/records"')
    with pytest.raises(errors.DataError, match="cannot read the image"):
        eval_batches(kept)
    assert not list(tmp_path.glob("records*"))


def test_missing_images_of_a_text_file_are_counted(tmp_path, caplog):
    folder = write(tmp_path, "txt")
    for number in (2, 5):
        (folder / f"data/images/00000{number}.jpg").unlink()
    config = make_config(folder, "txt", IN_ORDER + " read_block_length: 1")
    assert sorted(source_ids(eval_batches(config))) == list("13467")
    (line,) = messages(caplog)
    assert "boxes.txt: 2 images or objects were left out or changed" in line
    assert "boxes.txt:2: no image " in line


def test_record_dir_that_is_not_empty(tmp_path):
    folder = write(tmp_path / "a", "voc")
    (tmp_path / "r").mkdir()
    reader = f'record_dir: "{tmp_path}/r"'
    assert (
        len(source_ids(eval_batches(make_config(folder, "voc", reader)))) == 7
    )
    skipping = f"{reader} skip_images_without_boxes: true"
    # They were made with all images, so some are left out in reading.
    config = make_config(folder, "voc", skipping)
    assert len(source_ids(eval_batches(config))) == 5
    shutil.rmtree(tmp_path / "r")
    eval_batches(config)
    with pytest.raises(errors.ConfigError, match="made without images"):
        eval_batches(make_config(folder, "voc", reader))
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "r").mkdir()
    (tmp_path / "r/notes").write_text("")
    with pytest.raises(errors.ConfigError, match="no records but.*notes"):
        eval_batches(config)


def test_what_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    import socket

    folder = write(tmp_path / "a", "voc")
    left = tmp_path / f"r.making-{socket.gethostname()}-4194304"
    left.mkdir()
    (left / "images.record").write_bytes(b"")
    other = tmp_path / "r.making-elsewhere-4194304"
    other.mkdir()
    eval_batches(make_config(folder, "voc", f'record_dir: "{tmp_path}/r"'))
    assert not left.exists()
    assert other.exists()
