import dataclasses

import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import dataset_builder
from object_detection.core import errors
from object_detection.data_decoders import (
    coco_annotations,
    image_stream,
    record_stream,
    sample_image_sets,
    tf_record_writer,
    txt_annotations,
    voc_annotations,
)
from object_detection.protos import input_reader_pb2

READ = {
    "coco": coco_annotations.read_item,
    "txt": txt_annotations.read_item,
    "voc": voc_annotations.read_item,
}


def build(folder, kind, text="shuffle: false num_readers: 1", **settings):
    label_map = sample_image_sets.write_label_map(folder)
    reader = sample_image_sets.reader_text(kind, folder / "data")
    return dataset_builder.build(
        text_format.Parse(
            f'label_map_path: "{label_map}" {text} {reader}',
            input_reader_pb2.InputReader(),
        ),
        path="x",
        num_classes=3,
        **{"seed": 3, "num_epochs": 1, **settings},
    )


def write(folder, kind, count=7):
    images = sample_image_sets.make_images(count)
    return sample_image_sets.WRITERS[kind](folder / "data", images)


def features(serialized):
    return tf.train.Example.FromString(serialized.numpy()).features.feature


@pytest.mark.parametrize("kind", list(sample_image_sets.WRITERS))
def test_payloads_are_those_of_records_without_the_hash(tmp_path, kind):
    write(tmp_path, kind)
    stream, _ = build(tmp_path, kind)
    images = [entry.item for entry in stream.images.entries]
    class_ids = {"cat": 1, "dog": 2, "toothbrush": 3}
    path = str(tmp_path / "a.record")
    tf_record_writer.write_dataset(images, READ[kind], class_ids, path)
    expected = [features(record) for record in tf.data.TFRecordDataset(path)]
    found = list(stream.dataset())
    assert len(found) == len(expected) == 7
    for number, (record, wanted) in enumerate(
        zip(found, expected, strict=True)
    ):
        del wanted["image/key/sha256"]
        assert dict(features(record.serialized)) == dict(wanted)
        assert int(record.position) == int(record.index) == number
        assert record.path.numpy().decode() == images[number].path


def order(stream, **arguments):
    return [int(record.index) for record in stream.dataset(**arguments)]


def test_order_is_that_of_as_many_record_files(tmp_path, monkeypatch):
    monkeypatch.setattr(image_stream, "_MAX_IMAGES_PER_FILE", 3)
    write(tmp_path, "coco", 11)
    paths = tf_record_writer.shard_paths(str(tmp_path / "r"), 4)
    for shard, path in enumerate(paths):
        with tf.io.TFRecordWriter(path) as writer:
            for number in range(shard, 11, 4):
                writer.write(str(number))
    for text, settings in (
        ("shuffle_buffer_size: 4 num_readers: 2", {"num_epochs": 2}),
        ("sample_1_of_n_examples: 2 read_block_length: 1", {"num_shards": 2}),
    ):
        stream, _ = build(tmp_path, "coco", text, **settings)
        of_records = record_stream.RecordStream(
            **{
                field.name: getattr(stream, field.name)
                for field in dataclasses.fields(record_stream.RecordStream)
                if field.name != "files"
            },
            files=tuple(paths),
        )
        expected = [
            int(record.serialized.numpy()) for record in of_records.dataset()
        ]
        assert order(stream) == expected
        assert order(stream, start=3, every=2, offset=1) == expected[4::2]
        assert stream.num_records() == of_records.num_records()


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def remove(path):
    path.unlink()


def replace_by_text(path):
    path.write_bytes(b"text")


def make_larger(path):
    larger = sample_image_sets.SampleImage(1, (50, 60), ())
    path.write_bytes(sample_image_sets.encode(larger))


@pytest.mark.parametrize(
    ("kind", "damage", "words"),
    [
        ("coco", cut, " ({data}/boxes.json: images[4]): image/encoded ("),
        ("voc", cut, " ({data}/Annotations/000005.xml): image/encoded ("),
        ("txt", cut, " ({data}/boxes.txt:5): image/encoded ("),
        ("coco", remove, " ({data}/boxes.json: images[4]): cannot read the im"),
        ("voc", remove, ": cannot read the image: No such file"),
        ("txt", replace_by_text, ": expected a JPEG or PNG image, but the 4 "),
        (
            "coco",
            make_larger,
            " ({data}/boxes.json: images[4]): expected height 25 and width 41, "
            "found 50 and 60",
        ),
    ],
)
def test_fault_names_image_and_annotation(tmp_path, kind, damage, words):
    data = write(tmp_path, kind)
    image = next(data.rglob("000005.jpg"))
    damage(image)
    stream, options = build(tmp_path, kind)
    fault = stream.describe_fault(str(image), 4, b"", options)
    assert fault.startswith(f"{image}{words.format(data=data)}")
    assert "\n" not in fault
    paths, numbers, _ = zip(*stream.all_records(), strict=True)
    assert numbers == tuple(range(7))
    assert stream.describe_fault(paths[3], 3, b"", options) is None


def test_known_faults_stop_before_reading(tmp_path):
    data = write(tmp_path, "voc")
    for number in (2, 5):
        (data / f"Annotations/00000{number}.xml").write_text("<a>")
    stream, _ = build(tmp_path, "voc")
    stream.require_records(max_bad_records=2)
    with pytest.raises(errors.DataError, match="002.xml: not XML.*; 2 images"):
        stream.require_records(max_bad_records=1)


def test_fewer_images_than_processes(tmp_path):
    write(tmp_path, "txt", 2)
    for shard in range(3):
        stream, _ = build(tmp_path, "txt", num_shards=3, shard_index=shard)
        if len(list(stream.dataset())) == 0:
            with pytest.raises(errors.DataError, match="3 processes: start f"):
                stream.require_records()
            break
    else:
        pytest.fail("every shard has an image")


def test_source_ids_that_repeat(tmp_path):
    data = write(tmp_path, "voc", 2)
    label_map = sample_image_sets.write_label_map(tmp_path)
    config = text_format.Parse(
        f"""label_map_path: "{label_map}" voc_input_reader {{
            input_dir: "{data}" input_dir: "{data}/." }}""",
        input_reader_pb2.InputReader(),
    )
    with pytest.raises(errors.DataError, match="source id '000001.jpg' is als"):
        dataset_builder.build(
            config, path="x", num_classes=3, seed=0, num_epochs=1
        )
