import os
import re

import numpy as np
import pytest
import tensorflow as tf

from object_detection import inputs, sample_inputs
from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields as Fields
from object_detection.data_decoders.sample_records import (
    encode,
    make_pixels,
    write_records,
)
from object_detection.sample_inputs import NUM_RECORDS, make_record

AUGMENTATION = """
    data_augmentation_options { random_horizontal_flip {} }
    data_augmentation_options { random_crop_image {
        min_object_covered: 0 min_aspect_ratio: 0.75 max_aspect_ratio: 3
        min_area: 0.75 max_area: 1 overlap_thresh: 0 } }
"""


@pytest.fixture
def folder(tmp_path):
    return sample_inputs.write_folder(tmp_path)


def pipeline(folder, reader="", train="", **others):
    return sample_inputs.make_pipeline(
        folder, reader, f"{AUGMENTATION} {train}", **others
    )


def train_input_fn(config, batch_size=3, seed=5, **options):
    return inputs.create_train_input_fn(
        config.train_config,
        config.train_input_reader,
        config.model,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def eval_input_fn(config, batch_size=3, **options):
    return inputs.create_eval_input_fn(
        config.eval_config,
        config.eval_input_reader[0],
        config.model,
        batch_size=batch_size,
        **options,
    )


def eval_batches(config, batch_size=3, **options):
    return list(eval_input_fn(config, batch_size, **options)())


def ids(batches):
    return [
        int(name)
        for features, _ in batches
        for name in features[Fields.source_id].numpy()
    ]


def assert_same_batches(found, expected):
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, other)


def test_what_a_training_batch_holds(folder):
    features, labels = next(iter(train_input_fn(pipeline(folder))()))
    float32, int32 = tf.float32, tf.int32
    expected_features = {
        Fields.image: (float32, [3, 12, 10, 3]),
        Fields.true_image_shape: (int32, [3, 3]),
        Fields.original_image_spatial_shape: (int32, [3, 2]),
        Fields.source_id: (tf.string, [3]),
        Fields.hash: (int32, [3]),
    }
    expected_labels = {
        Fields.num_groundtruth_boxes: (int32, [3]),
        Fields.num_truncated_boxes: (int32, [3]),
        Fields.num_crowd_boxes: (int32, [3]),
        Fields.groundtruth_boxes: (float32, [3, 3, 4]),
        Fields.groundtruth_classes: (float32, [3, 3, 2]),
        Fields.groundtruth_confidences: (float32, [3, 3, 2]),
        Fields.groundtruth_weights: (float32, [3, 3]),
        Fields.groundtruth_area: (float32, [3, 3]),
        Fields.groundtruth_is_crowd: (tf.bool, [3, 3]),
        Fields.groundtruth_difficult: (tf.bool, [3, 3]),
        Fields.groundtruth_group_of: (tf.bool, [3, 3]),
        Fields.groundtruth_image_classes: (float32, [3, 2]),
    }
    for found, expected in (
        (features, expected_features),
        (labels, expected_labels),
    ):
        assert {
            key: (value.dtype, value.shape.as_list())
            for key, value in found.items()
        } == expected
    assert 0 <= np.min(features[Fields.image])
    assert 100 < np.max(features[Fields.image]) <= 255


def test_static_shapes_are_known_before_running(folder):
    dataset = train_input_fn(pipeline(folder))()
    features, labels = dataset.element_spec
    for spec in (*features.values(), *labels.values()):
        assert spec.shape.is_fully_defined()


@pytest.mark.parametrize("start_step", [1, 4])
def test_a_stream_taken_up_equals_the_uninterrupted_one(folder, start_step):
    config = pipeline(folder, reader="num_readers: 2")
    whole = list(train_input_fn(config)().take(10))
    rest = list(train_input_fn(config)(start_step).take(10 - start_step))
    assert_same_batches(rest, whole[start_step:])
    again = train_input_fn(config, start_step=start_step)()
    assert_same_batches(list(again.take(10 - start_step)), whole[start_step:])


def test_seeds_and_epochs_differ(folder):
    config = pipeline(folder)
    first = ids(train_input_fn(config, batch_size=11)().take(3))
    assert sorted(first[:11]) == sorted(first[11:22]) == list(range(100, 111))
    assert first[:11] != first[11:22] != first[22:]
    other = ids(train_input_fn(config, batch_size=11, seed=6)().take(3))
    assert other != first


def test_augmentation_is_drawn_anew_in_each_epoch(folder):
    config = pipeline(folder, reader="shuffle: false num_readers: 1")
    first, second = train_input_fn(config, batch_size=11)().take(2)
    np.testing.assert_array_equal(
        first[0][Fields.source_id], second[0][Fields.source_id]
    )
    changed = np.any(
        first[0][Fields.image] != second[0][Fields.image], axis=(1, 2, 3)
    )
    assert changed.sum() > 6


def test_training_ends_after_num_epochs_with_full_batches(folder):
    config = pipeline(folder, reader="num_epochs: 2")
    batches = list(train_input_fn(config, batch_size=4)())
    assert [len(ids([batch])) for batch in batches] == [4] * 5


def test_shards_of_training_are_disjoint(folder):
    config = pipeline(folder, reader="num_epochs: 1")
    shards = [
        ids(train_input_fn(config, batch_size=1, num_shards=3, shard_index=i)())
        for i in range(3)
    ]
    assert sorted(sum(shards, [])) == list(range(100, 111))


@pytest.mark.parametrize(
    ("batch_size", "num_shards"), [(1, 1), (4, 2), (20, 1), (2, 3)]
)
def test_evaluation_sees_every_record_once(folder, batch_size, num_shards):
    config = pipeline(folder)
    found = []
    for index in range(num_shards):
        found += ids(
            eval_batches(
                config, batch_size, num_shards=num_shards, shard_index=index
            )
        )
    assert sorted(found) == list(range(100, 111))


def test_evaluation_neither_augments_nor_loses_the_image(folder):
    config = pipeline(folder, reader="shuffle: false num_readers: 1")
    (batch,) = eval_batches(config, 11)
    assert ids([batch]) == list(range(100, 111))
    features, labels = batch
    image = tf.io.decode_image(encode(make_pixels(23, 30)))
    expected = tf.raw_ops.ResizeBilinear(
        images=tf.cast(image[tf.newaxis], tf.float32), size=[12, 10]
    )[0]
    np.testing.assert_array_equal(features[Fields.image][3], expected)
    np.testing.assert_array_equal(
        features[Fields.original_image][3], tf.cast(expected, tf.uint8)
    )
    np.testing.assert_array_equal(
        features[Fields.original_image_spatial_shape][3], [23, 30]
    )
    np.testing.assert_array_equal(
        labels[Fields.num_groundtruth_boxes], np.arange(11) % 3
    )


def test_one_of_n_and_repeat(folder):
    config = pipeline(
        folder, reader="shuffle: false num_readers: 1 sample_1_of_n_examples: 4"
    )
    assert ids(eval_batches(config, 2)) == [100, 104, 108]
    input_fn = eval_input_fn(config, 2, repeat=True)
    assert ids(input_fn().take(3)) == [100, 104, 108, 100, 104, 108]


def test_groundtruth_is_taken_from_the_labels(folder):
    _, labels = next(iter(train_input_fn(pipeline(folder))()))
    groundtruth = inputs.groundtruth_from_labels(labels)
    assert groundtruth.boxes is labels[Fields.groundtruth_boxes]
    assert groundtruth.classes is labels[Fields.groundtruth_classes]
    assert groundtruth.weights is labels[Fields.groundtruth_weights]
    assert groundtruth.num_boxes is labels[Fields.num_groundtruth_boxes]
    assert groundtruth.confidences is labels[Fields.groundtruth_confidences]
    assert groundtruth.keypoints is None


def test_images_of_differing_size_make_no_batch(folder):
    config = pipeline(folder, resizer="keep_aspect_ratio_resizer {}")
    with pytest.raises(errors.ConfigError, match="pad_to_max_dimension"):
        train_input_fn(config)
    batches = eval_batches(config, 1)
    assert len(batches) == NUM_RECORDS


def explained(dataset):
    with pytest.raises((tf.errors.OpError, UnicodeDecodeError)) as caught:
        for _ in dataset:
            pass
    found = inputs.explain_failure(caught.value)
    assert isinstance(found, errors.DataError), caught.value
    assert "\n" not in str(found)
    return str(found)


BAD_RECORDS = {
    "corrupt jpeg": (
        make_record(1, image__encoded=[encode(make_pixels(40, 60))[:900]]),
        "image/encoded",
    ),
    "unknown class": (
        make_record(1, image__object__class__text=["zebra"]),
        "unknown class 'zebra'.*cat.*dog",
    ),
    "box outside": (
        make_record(1, image__object__bbox__xmax=[7.5]),
        "outside the image",
    ),
    "no image": (
        make_record(1, image__encoded=None),
        "image/encoded is missing",
    ),
}


@pytest.mark.parametrize(
    ("bad", "words"), BAD_RECORDS.values(), ids=BAD_RECORDS
)
def test_a_bad_record_is_named(folder, bad, words):
    good = [make_record(number) for number in range(9)]
    write_records(folder / "c.record", [*good[:5], bad, *good[5:]])
    config = pipeline(folder)
    dataset = train_input_fn(config, batch_size=2)()
    message = explained(dataset)
    assert message.startswith(f"{folder}/c.record: record 5 (source id '101')")
    assert re.search(words, message), message


def test_a_bad_record_of_an_evaluation_is_named_in_every_pass(folder):
    bad, words = BAD_RECORDS["unknown class"]
    write_records(folder / "c.record", [make_record(0), make_record(1), bad])
    dataset = eval_input_fn(pipeline(folder), 4)()
    for _ in range(2):
        message = explained(dataset)
        assert f"{folder}/c.record: record 2" in message
        assert re.search(words, message), message


def test_no_iterator_waits_for_a_thread_that_tunes(folder):
    config = pipeline(folder)
    for input_fn in (train_input_fn(config), eval_input_fn(config)):
        assert input_fn().options().autotune.enabled is False


def test_a_record_that_is_no_example_is_named(folder):
    write_records(folder / "c.record", [make_record(0), b"\xff\xfe rubbish"])
    message = explained(train_input_fn(pipeline(folder))())
    assert "c.record: record 1: 10 bytes that are no tf.Example" in message


def test_a_cut_file_is_named(folder):
    path = folder / "b.record"
    os.truncate(path, os.path.getsize(path) - 10)
    message = explained(train_input_fn(pipeline(folder))())
    assert f"{path}: record 6 at byte" in message
    assert "is cut" in message


def test_a_flipped_bit_is_named(folder):
    path = folder / "b.record"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    message = explained(train_input_fn(pipeline(folder))())
    assert f"{path}: record 3 at byte" in message
    assert "checksum" in message


def test_a_file_that_vanishes_is_named(folder):
    input_fn = train_input_fn(pipeline(folder))
    os.remove(folder / "b.record")
    assert "b.record" in explained(input_fn())


def test_no_file_and_no_record_are_told_at_once(folder):
    config = pipeline(folder)
    paths = config.train_input_reader.tf_record_input_reader.input_path
    paths[:] = [f"{folder}/*.tfrecord"]
    with pytest.raises(errors.ConfigError, match=r"\*.tfrecord.*no file"):
        train_input_fn(config)
    paths[:] = [write_records(folder / "none", [])]
    with pytest.raises(errors.DataError, match="hold no record.*none"):
        train_input_fn(config)
    (folder / "none").write_bytes(b"\x1f\x8b\x08" + b"0" * 50)
    with pytest.raises(errors.DataError, match="a GZIP file"):
        train_input_fn(config)


def test_too_many_processes_for_the_records_are_refused(folder):
    with pytest.raises(errors.DataError, match="too few records for 20"):
        train_input_fn(pipeline(folder), num_shards=20, shard_index=15)


def test_other_errors_are_not_explained(folder):
    next(iter(train_input_fn(pipeline(folder))()))
    assert inputs.explain_failure(ValueError("x")) is None
    model_error = tf.errors.InvalidArgumentError(None, None, "in the model")
    assert inputs.explain_failure(model_error) is None
    config_error = errors.ConfigError("as it is")
    assert inputs.explain_failure(config_error) is config_error
