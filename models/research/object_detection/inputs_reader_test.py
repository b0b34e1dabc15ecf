"""Tests of what a reader's fields do to batches."""

import numpy as np
import pytest
import tensorflow as tf

from object_detection import inputs, sample_inputs
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders import reading_report
from object_detection.data_decoders.sample_records import (
    encode,
    make_pixels,
    write_records,
)
from object_detection.sample_inputs import NUM_RECORDS, make_record

IN_ORDER = "shuffle: false num_readers: 1"


@pytest.fixture
def folder(tmp_path):
    return sample_inputs.write_folder(tmp_path)


def pipeline(folder, reader="", train=""):
    return sample_inputs.make_pipeline(folder, f"{IN_ORDER} {reader}", train)


def train_batches(config, batch_size=3, num_batches=None):
    dataset = inputs.create_train_input_fn(
        config.train_config,
        config.train_input_reader,
        config.model,
        batch_size=batch_size,
        seed=5,
    )()
    return dataset if num_batches is None else list(dataset.take(num_batches))


def eval_batches(config, batch_size=NUM_RECORDS):
    return list(
        inputs.create_eval_input_fn(
            config.eval_config,
            config.eval_input_reader[0],
            config.model,
            batch_size=batch_size,
        )()
    )


def num_images(batches):
    return sum(len(features[Fields.image]) for features, _ in batches)


def explained(dataset):
    with pytest.raises(errors.DataError) as caught, inputs.errors_explained():
        for _ in dataset:
            pass
    return str(caught.value)


def test_num_epochs_of_training_and_not_of_evaluation(folder):
    config = pipeline(folder, reader="num_epochs: 3")
    assert num_images(train_batches(config, batch_size=4)) == 32
    assert num_images(eval_batches(config)) == 11
    endless = train_batches(pipeline(folder), batch_size=11, num_batches=5)
    assert num_images(endless) == 55


def test_num_prefetch_batches_sizes_the_last_buffer(folder):
    def buffer_sizes(number):
        config = pipeline(folder, reader=f"num_prefetch_batches: {number}")
        dataset = train_batches(config)
        graph = tf.compat.v1.GraphDef.FromString(
            tf.raw_ops.DatasetToGraphV2(
                input_dataset=tf.data.experimental.to_variant(dataset)
            ).numpy()
        )
        nodes = {node.name: node for node in graph.node}
        return [
            int(tf.make_ndarray(nodes[node.input[1]].attr["value"].tensor))
            for node in graph.node
            if node.op == "PrefetchDataset"
        ]

    assert buffer_sizes(5) == [5]
    assert buffer_sizes(-1) == [tf.data.AUTOTUNE]


def test_max_number_of_boxes_cuts_and_counts(folder):
    config = pipeline(folder)
    config.eval_input_reader[0].max_number_of_boxes = 1
    # The one batch of all records, which have 0, 1 or 2 boxes in turn.
    (batch,) = eval_batches(config)
    labels = batch[1]
    assert labels[Fields.groundtruth_boxes].shape == (11, 1, 4)
    assert list(labels[Fields.num_groundtruth_boxes]) == [
        min(n % 3, 1) for n in range(11)
    ]
    assert list(labels[Fields.num_truncated_boxes]) == [
        max(n % 3 - 1, 0) for n in range(11)
    ]


def write_extras(folder, pixels=None):
    """Replaces the records by some with a channel, masks and keypoints."""
    records = []
    for number in range(NUM_RECORDS):
        num_boxes = number % 3
        size_px = (20 + number, 30)
        channel = make_pixels(*size_px)[:, :, 0] if pixels is None else pixels
        changes = {
            "image__additional_channels__encoded": [encode(channel, "PNG")],
            "image__object__mask": [
                encode(np.full(size_px, 255, np.uint8), "PNG")
            ]
            * num_boxes,
            "image__object__keypoint__y": [0.25, 0.5] * num_boxes,
            "image__object__keypoint__x": [0.375, 0.625] * num_boxes,
        }
        records.append(make_record(number, **changes))
    write_records(folder / "a.record", records[:4])
    write_records(folder / "b.record", records[4:])


def test_additional_channels_come_after_the_colours(folder):
    write_extras(folder)
    config = pipeline(folder, reader="num_additional_channels: 1")
    ((features, _),) = eval_batches(config)
    plain = pipeline(folder)
    ((plain_features, _),) = eval_batches(plain)
    image = features[Fields.image]
    assert image.shape == (11, 12, 10, 4)
    np.testing.assert_array_equal(image[..., :3], plain_features[Fields.image])
    channel = tf.cast(make_pixels(27, 30)[np.newaxis, :, :, :1], tf.float32)
    np.testing.assert_array_equal(
        image[7, ..., 3:],
        tf.raw_ops.ResizeBilinear(images=channel, size=[12, 10])[0],
    )
    assert list(features[Fields.true_image_shape][0]) == [12, 10, 4]
    assert features[Fields.original_image].shape == (11, 12, 10, 4)
    for spec in train_batches(config).element_spec[0].values():
        assert spec.shape.is_fully_defined()


def test_a_channel_of_another_size_names_its_record(folder):
    write_extras(folder, pixels=make_pixels(25, 30)[:, :, 0])
    config = pipeline(folder, reader="num_additional_channels: 1")
    message = explained(train_batches(config))
    assert message.startswith(f"{folder}/a.record: record 0 (source id '100')")
    assert "25 pixels high and 30 wide, expected the image's 20" in message


def test_masks_and_keypoints_are_read_when_asked_for(folder):
    write_extras(folder)
    plain = pipeline(folder)
    ((_, labels),) = eval_batches(plain)
    extras = {Fields.groundtruth_instance_masks, Fields.groundtruth_keypoints}
    assert not extras & set(labels)
    config = pipeline(
        folder,
        reader="load_instance_masks: true mask_type: PNG_MASKS "
        "num_keypoints: 2",
    )
    ((_, labels),) = eval_batches(config)
    assert labels[Fields.groundtruth_instance_masks].shape == (11, 3, 12, 10)
    assert list(
        np.sum(labels[Fields.groundtruth_instance_masks], axis=(1, 2, 3))
    ) == [120 * (n % 3) for n in range(11)]
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_keypoints][1],
        [[[0.25, 0.375], [0.5, 0.625]], [[0, 0]] * 2, [[0, 0]] * 2],
    )
    _, train_labels = train_batches(config, num_batches=1)[0]
    groundtruth = inputs.groundtruth_from_labels(train_labels)
    assert groundtruth.keypoints.shape == (3, 3, 2, 2)
    numerical = pipeline(folder, reader="load_instance_masks: true")
    message = explained(train_batches(numerical))
    assert "image/object/mask holds bytes values, expected float" in message


def test_image_labels_reach_a_batch(folder):
    write_records(
        folder / "b.record",
        [make_record(0, image__class__text=["dog"]), make_record(1)],
    )
    config = pipeline(folder)
    ((_, labels),) = eval_batches(config, 6)
    np.testing.assert_array_equal(
        labels[Fields.groundtruth_image_classes],
        [[0, 0]] * 4 + [[0, 1], [0, 0]],
    )


def test_numbered_classes_need_no_label_map(folder):
    numbered = make_record(
        2,
        image__object__class__text=None,
        image__object__class__label=[2, 1],
    )
    write_records(folder / "a.record", [numbered])
    (folder / "b.record").unlink()
    config = pipeline(folder)
    config.train_input_reader.ClearField("label_map_path")
    _, labels = train_batches(config, 1, 1)[0]
    rows = labels[Fields.groundtruth_classes][0, :2]
    assert sorted(map(list, rows.numpy())) == [[0, 1], [1, 0]]
    write_records(folder / "a.record", [make_record(2)])
    message = explained(train_batches(config))
    assert message.endswith("to read the class texts, set label_map_path")


def test_errors_in_a_block_become_one_line(folder):
    write_records(folder / "c.record", [b"\xff\xfe rubbish"])
    with (
        pytest.raises(errors.DataError, match="c.record: record 0"),
        inputs.errors_explained(),
    ):
        eval_batches(pipeline(folder))
    with pytest.raises(KeyError), inputs.errors_explained():
        raise KeyError("not of the input")


def test_bad_records_are_skipped_when_allowed(folder, caplog):
    bad = make_record(1, image__encoded=[encode(make_pixels(40, 60))[:900]])
    write_records(folder / "b.record", [make_record(4), bad, make_record(6)])
    config = pipeline(folder)

    def batches(max_bad_records):
        report = reading_report.ReadingReport(max_bad_records)
        input_fn = inputs.create_eval_input_fn(
            config.eval_config,
            config.eval_input_reader[0],
            config.model,
            batch_size=4,
            report=report,
        )
        with inputs.errors_explained(report):
            return list(input_fn())

    source_ids = [
        name
        for features, _ in batches(1)
        for name in features[Fields.source_id].numpy()
    ]
    assert source_ids == [b"100", b"101", b"102", b"103", b"104", b"106"]
    assert f"1 bad records were skipped ({folder}/b.record: 1)" in caplog.text
    write_records(folder / "b.record", [bad, bad])
    with pytest.raises(errors.DataError, match="found 2 bad records"):
        batches(1)


def test_wrong_sizes_are_counted_and_told_once(folder, caplog):
    records = [
        make_record(n, image__height=[n], image__width=[1]) for n in range(5)
    ]
    write_records(folder / "a.record", [*records, make_record(20)])
    (folder / "b.record").unlink()
    config = pipeline(folder)
    report = reading_report.ReadingReport()
    input_fn = inputs.create_eval_input_fn(
        config.eval_config,
        config.eval_input_reader[0],
        config.model,
        batch_size=2,
        report=report,
    )
    with inputs.errors_explained(report):
        for features, _ in input_fn():
            assert features[Fields.image].shape == (2, 12, 10, 3)
    # A height of 1 says nothing.
    assert int(report.num_missized.numpy()) == 4
    (message,) = [entry.getMessage() for entry in caplog.records]
    assert message.startswith("4 images that were read have another size")
