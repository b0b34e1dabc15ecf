import os

import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import annotated_image, tf_record_writer
from object_detection.data_decoders.annotated_image import ObjectAnnotation

CLASS_IDS = {"cat": 1}


def build(item):
    """Runs in spawned workers too, so it lives at the top of the module."""
    if item == "bad":
        raise errors.DataError("bad.jpg: does not decode")
    return annotated_image.AnnotatedImage(
        filename=f"{item}.jpg",
        source_id=str(item),
        encoded=b"bytes",
        image_format="jpeg",
        height_px=30,
        width_px=40,
        objects=(
            ObjectAnnotation("cat", (0, 0, 3, 4)),
            ObjectAnnotation("cat", (5, 5, 5, 8)),
        ),
    )


def read_source_ids(paths):
    ids = []
    for path in paths:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            ids.append(feature["image/source_id"].bytes_list.value[0].decode())
    return ids


def test_image_i_goes_to_shard_i_modulo_n(tmp_path):
    output = str(tmp_path / "x.record")
    summary = tf_record_writer.write_dataset(
        list(range(7)), build, CLASS_IDS, output, num_shards=3
    )
    assert summary.paths == [f"{output}-{i:05d}-of-00003" for i in range(3)]
    assert read_source_ids(summary.paths) == list("0361425")
    assert sorted(os.listdir(tmp_path)) == [
        os.path.basename(path) for path in summary.paths
    ]


def test_counts_and_notes(tmp_path, capsys):
    summary = tf_record_writer.write_dataset(
        list(range(3)), build, CLASS_IDS, str(tmp_path / "x.record")
    )
    assert summary.num_images == 3
    assert summary.num_objects == {"cat": 3}
    assert len(summary.notes) == 3
    summary.print()
    printed = capsys.readouterr().out
    assert "dropped 2.jpg: object 1 (cat)" in printed
    assert "3 images, 3 objects (cat 3)" in printed
    assert "3 objects dropped" in printed


def test_workers_write_the_same_bytes(tmp_path):
    contents = []
    for num_workers in (1, 2):
        output = tmp_path / str(num_workers) / "x.record"
        tf_record_writer.write_dataset(
            list(range(40)),
            build,
            CLASS_IDS,
            str(output),
            num_workers=num_workers,
        )
        contents.append(output.read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) > 40 * 100


@pytest.mark.parametrize("num_workers", [1, 2])
def test_failure_leaves_the_earlier_file(tmp_path, num_workers):
    output = tmp_path / "x.record"
    output.write_bytes(b"earlier")
    with pytest.raises(errors.DataError, match="bad.jpg"):
        tf_record_writer.write_dataset(
            [1, 2, "bad", 3],
            build,
            CLASS_IDS,
            str(output),
            num_workers=num_workers,
        )
    assert output.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["x.record"]


def test_killed_worker_is_no_trace(tmp_path):
    with pytest.raises(errors.ResourceError, match="a worker process"):
        tf_record_writer.write_dataset(
            [9],
            os._exit,
            CLASS_IDS,
            str(tmp_path / "x.record"),
            num_workers=2,
        )
    assert os.listdir(tmp_path) == []


def test_repeated_source_id_is_refused(tmp_path):
    with pytest.raises(errors.DataError, match="'4' appears twice"):
        tf_record_writer.write_dataset(
            [4, 5, 4], build, CLASS_IDS, str(tmp_path / "x.record")
        )


def test_shards_of_another_count_are_refused(tmp_path):
    output = str(tmp_path / "x.record")
    tf_record_writer.write_dataset(
        [1, 2], build, CLASS_IDS, output, num_shards=2
    )
    # The same count replaces.
    tf_record_writer.write_dataset(
        [3, 4], build, CLASS_IDS, output, num_shards=2
    )
    with pytest.raises(errors.ConfigError, match="2 shards of an earlier run"):
        tf_record_writer.write_dataset(
            [1, 2, 3], build, CLASS_IDS, output, num_shards=3
        )


def test_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ResourceError, match="cannot write"):
        tf_record_writer.write_dataset(
            [1], build, CLASS_IDS, str(tmp_path / "file" / "x.record")
        )


def test_number_of_shards_must_be_positive():
    with pytest.raises(errors.ConfigError, match="--num_shards.*got 0"):
        tf_record_writer.shard_paths("x.record", 0)
