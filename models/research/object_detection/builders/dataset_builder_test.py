import pytest
from google.protobuf import text_format

from object_detection.builders import dataset_builder
from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets
from object_detection.data_decoders.record_stream import RecordStream
from object_detection.data_decoders.sample_records import write_records
from object_detection.data_decoders.tf_example_decoder import (
    ClassRules,
    DecoderOptions,
    MaskType,
)
from object_detection.protos import input_reader_pb2


@pytest.fixture
def folder(tmp_path):
    for name in ("a-0", "a-1", "b"):
        write_records(tmp_path / name, [b"1"])
    (tmp_path / "map").write_text(
        'item { id: 1 name: "x" display_name: "cat" } item { id: 3 name: "y" }'
    )
    return tmp_path


def build(folder, text="", num_classes=3, **changes):
    config = text_format.Parse(
        f"""tf_record_input_reader {{
            input_path: "{folder}/b" input_path: "{folder}/a*" }} {text}""",
        input_reader_pb2.InputReader(),
    )
    arguments = {"seed": 4, "num_epochs": 0, **changes}
    return dataset_builder.build(
        config,
        path="eval_input_reader[1]",
        num_classes=num_classes,
        **arguments,
    )


def test_every_field_reaches_its_place(folder):
    stream, options = build(
        folder,
        f"""label_map_path: "{folder}/map" shuffle: false
            shuffle_buffer_size: 7 filenames_shuffle_buffer_size: 9
            sample_1_of_n_examples: 2 num_readers: 2 read_block_length: 5
            num_additional_channels: 1 num_keypoints: 6
            load_instance_masks: true mask_type: PNG_MASKS""",
        num_shards=2,
        shard_index=1,
    )
    assert stream == RecordStream(
        files=tuple(f"{folder}/{name}" for name in ("b", "a-0", "a-1")),
        num_readers=2,
        read_block_length=5,
        sample_1_of_n_examples=2,
        num_shards=2,
        shard_index=1,
        is_shuffled=False,
        filenames_shuffle_buffer_size=9,
        shuffle_buffer_size=7,
        seed=4,
        num_epochs=0,
    )
    assert options == DecoderOptions(
        ClassRules(3, {"x": 1, "cat": 1, "y": 3}), 1, 6, True, MaskType.PNG
    )


def test_defaults(folder):
    stream, options = build(folder)
    assert (stream.num_readers, stream.read_block_length) == (3, 32)
    assert stream.is_shuffled
    assert stream.shuffle_buffer_size == 2048
    assert stream.filenames_shuffle_buffer_size == 100
    assert options == DecoderOptions(ClassRules(3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sample_1_of_n_examples: 0", "must be at least 1, got 0"),
        ("num_readers: 0", "must be at least 1, got 0"),
        ("read_block_length: 0", "must be at least 1, got 0"),
        ("shuffle_buffer_size: 0", "must be at least 1, got 0"),
        ("filenames_shuffle_buffer_size: 0", "must be at least 1, got 0"),
        ("num_additional_channels: -1", "must be at least 0, got -1"),
        ("num_prefetch_batches: -2", "must be at least -1, got -2"),
        ("max_number_of_boxes: 0", "must be at least 1, got 0"),
        ('label_map_path: "/no/such"', "/no/such: cannot read the label map"),
    ],
)
def test_mistakes_name_the_field(folder, text, words):
    name = text.partition(":")[0]
    with pytest.raises(errors.ConfigError) as caught:
        build(folder, text)
    assert str(caught.value).startswith(f"eval_input_reader[1].{name}: {words}")


def test_a_shuffle_buffer_does_not_matter_without_shuffling(folder):
    stream, _ = build(folder, "shuffle: false shuffle_buffer_size: 0")
    assert not stream.is_shuffled


def test_other_readers_and_empty_patterns_are_refused(folder):
    path = r"^eval_input_reader\[1\]"
    with pytest.raises(
        errors.ConfigError,
        match=rf"{path}.tf_record_input_reader.input_path: .*/b' matches no",
    ):
        build(folder / "empty")

    def refusal(config):
        with pytest.raises(errors.ConfigError) as caught:
            dataset_builder.build(
                config,
                path="train_input_reader",
                num_classes=3,
                seed=0,
                num_epochs=0,
            )
        return str(caught.value)

    config = input_reader_pb2.InputReader()
    kinds = " or ".join(
        f"{kind}_input_reader" for kind in ("tf_record", "coco", "voc", "txt")
    )
    assert (
        refusal(config) == f"train_input_reader: expected {kinds}, got nothing"
    )
    config.external_input_reader.SetInParent()
    assert refusal(config) == (
        "train_input_reader.external_input_reader: is not supported; use "
        + kinds
    )
    config.tf_record_input_reader.SetInParent()
    assert refusal(config).startswith(
        "train_input_reader.tf_record_input_reader.input_path: is empty"
    )


def test_label_map_and_num_classes_must_agree(folder):
    with pytest.raises(errors.ConfigError, match="num_classes is 2"):
        build(folder, f'label_map_path: "{folder}/map"', num_classes=2)


def read(tmp_path, text, num_epochs=2, **changes):
    """Returns the records of a file of 4 and of one of 7, 0 to 10."""
    numbers = [str(number).encode() for number in range(11)]
    write_records(tmp_path / "a", numbers[:4])
    write_records(tmp_path / "b", numbers[4:])
    config = text_format.Parse(
        f"""tf_record_input_reader {{ input_path: "{tmp_path}/?" }} {text}""",
        input_reader_pb2.InputReader(),
    )
    source = dataset_builder.build(
        config,
        path="",
        num_classes=3,
        seed=4,
        num_epochs=num_epochs,
        **changes,
    )
    return [
        int(record.serialized.numpy()) for record in source.stream.dataset()
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("num_readers: 1", list(range(11))),
        ("num_readers: 64", list(range(11))),
        (
            "num_readers: 2 read_block_length: 2",
            [0, 1, 4, 5, 2, 3, *range(6, 11)],
        ),
        (
            "num_readers: 2 read_block_length: 3",
            [0, 1, 2, 4, 5, 6, 3, *range(7, 11)],
        ),
        ("num_readers: 1 read_block_length: 2", list(range(11))),
        ("sample_1_of_n_examples: 4", [0, 4, 8]),
    ],
)
def test_order_of_records_without_shuffling(tmp_path, text, expected):
    assert read(tmp_path, f"shuffle: false {text}") == expected * 2


def test_shuffle_buffers_bound_how_far_records_move(tmp_path):
    in_order = list(range(11))
    one_file = "num_readers: 1 filenames_shuffle_buffer_size: 1"
    assert read(tmp_path, f"{one_file} shuffle_buffer_size: 1") == in_order * 2
    near = read(tmp_path, f"{one_file} shuffle_buffer_size: 2")[:11]
    assert near != in_order
    # Of two in the buffer one leaves: none comes two places too early.
    assert all(number <= place + 1 for place, number in enumerate(near))
    assert sorted(near) == in_order
    only_files = read(
        tmp_path, "num_readers: 1 shuffle_buffer_size: 1", num_epochs=20
    )
    epochs = {tuple(only_files[i : i + 11]) for i in range(0, 220, 11)}
    assert epochs == {tuple(in_order), tuple(in_order[4:] + in_order[:4])}


def test_several_patterns_are_read_in_their_order(tmp_path):
    names = ["c", "a", "b"]
    for name in names:
        write_records(tmp_path / name, [name.encode()])
    patterns = " ".join(
        f'input_path: "{tmp_path}/{pattern}"' for pattern in ("c*", "[a]", "?")
    )
    config = text_format.Parse(
        f"shuffle: false tf_record_input_reader {{ {patterns} }}",
        input_reader_pb2.InputReader(),
    )
    stream, _ = dataset_builder.build(
        config, path="", num_classes=3, seed=0, num_epochs=1
    )
    found = [record.serialized.numpy().decode() for record in stream.dataset()]
    assert found == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'voc_input_reader { input_dir: "/nowhere" }',
            r"x.voc_input_reader.input_dir\[0\]: no such folder: /nowhere",
        ),
        ("voc_input_reader { }", "x.voc_input_reader.input_dir: is missing"),
        (
            'voc_input_reader { input_dir: "%(data)s" image_set: "trainval" }',
            "x.voc_input_reader.image_set: .*/trainval.txt, found val.txt",
        ),
        (
            'coco_input_reader { image_dir: "%(data)s" }',
            "x.coco_input_reader.annotations_path: is missing",
        ),
        (
            'txt_input_reader { image_dir: "/" annotations_path: "/no" }',
            "x.txt_input_reader.annotations_path: no such file: /no ",
        ),
        (
            'voc_input_reader { input_dir: "%(data)s" } num_keypoints: 2',
            "x.num_keypoints: voc_input_reader has no such data",
        ),
        (
            'voc_input_reader { input_dir: "%(data)s" } label_map_path: ""',
            "x.label_map_path: is missing; voc_input_reader",
        ),
        (
            'tf_record_input_reader { input_path: "%(data)s/*/*/*" } '
            'record_dir: "/r"',
            "x.record_dir: tf_record_input_reader reads records already",
        ),
        (
            'voc_input_reader { input_dir: "%(data)s" } record_dir: "/no/r"',
            "x.record_dir: /no/r has no records",
        ),
    ],
)
def test_refused_image_readers(tmp_path, text, words):
    data = sample_image_sets.write_voc(
        tmp_path / "data", sample_image_sets.make_images(1), set_name="val"
    )
    label_map = sample_image_sets.write_label_map(tmp_path)
    config = text_format.Parse(
        f'label_map_path: "{label_map}"', input_reader_pb2.InputReader()
    )
    config.MergeFrom(
        text_format.Parse(text % {"data": data}, input_reader_pb2.InputReader())
    )
    with pytest.raises(errors.ConfigError, match=f"^{words}"):
        dataset_builder.build(
            config, path="x", num_classes=3, seed=0, num_epochs=1
        )


def test_image_set_chooses_and_fields_reach_the_stream(tmp_path):
    images = sample_image_sets.make_images(5)
    sample_image_sets.write_voc(tmp_path / "a", images[:3])
    sample_image_sets.write_voc(tmp_path / "b", images[3:])
    for name in "ab":
        (tmp_path / name / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "a/ImageSets/Main/val.txt").write_text("000003\n000001\n")
    (tmp_path / "b/ImageSets/Main/val.txt").write_text("000005\n")
    label_map = sample_image_sets.write_label_map(tmp_path)
    config = text_format.Parse(
        f"""label_map_path: "{label_map}" shuffle: false
            sample_1_of_n_examples: 2
            voc_input_reader {{ image_set: "val"
                input_dir: "{tmp_path}/a" input_dir: "{tmp_path}/b" }}""",
        input_reader_pb2.InputReader(),
    )
    stream, options = dataset_builder.build(
        config, path="x", num_classes=3, seed=0, num_epochs=1
    )
    entries = stream.images.entries
    ids = [entry.item.image_id for entry in entries]
    assert ids == ["000003", "000001", "000005"]
    assert [entry.num_objects for entry in entries] == [0, 1, 2]
    paths = [record.path.numpy().decode() for record in stream.dataset()]
    assert paths == [entries[0].item.path, entries[2].item.path]
    assert options.class_rules.text_to_id["toothbrush"] == 3


def test_unknown_class_is_named(tmp_path):
    data = sample_image_sets.write_voc(
        tmp_path / "data", sample_image_sets.make_images(2)
    )
    (tmp_path / "map").write_text(
        'item { id: 1 name: "dog" } item { id: 2 name: "cat" }'
    )
    config = text_format.Parse(
        f"""label_map_path: "{tmp_path}/map"
            voc_input_reader {{ input_dir: "{data}" }}""",
        input_reader_pb2.InputReader(),
    )
    stream, _ = dataset_builder.build(
        config, path="x", num_classes=2, seed=0, num_epochs=1
    )
    expected = (
        "000002.xml: 000002.jpg: object 0 .toothbrush.: class 'toothbrush' is "
        "not in the label map, which has 'dog', 'cat'"
    )
    with pytest.raises(errors.DataError, match=expected):
        stream.require_records()
    stream.require_records(max_bad_records=1)
