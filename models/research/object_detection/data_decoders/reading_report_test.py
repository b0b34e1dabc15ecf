import functools
import logging

import numpy as np
import pytest
import tensorflow as tf

from object_detection.core import errors
from object_detection.data_decoders import record_files
from object_detection.data_decoders.reading_report import ReadingReport
from object_detection.data_decoders.record_stream import DAMAGED, RecordStream
from object_detection.data_decoders.sample_records import (
    make_example,
    write_records,
)
from object_detection.data_decoders.tf_example_decoder import (
    ClassRules,
    DecoderOptions,
    TfExampleDecoder,
)

OPTIONS = DecoderOptions(ClassRules(3))
BAD_IMAGE = make_example(changes={"image/encoded": ["text"]}, source_id="5")
NO_EXAMPLE = b"\xff\xfe rubbish"


def example(number):
    return make_example(source_id=str(number))


def damage(path, number, offset):
    """Changes a byte of one record; offset -12 is in its length."""
    header = list(record_files.scan(str(path)))[number]
    content = bytearray(path.read_bytes())
    content[header.payload_offset + offset] ^= 4
    path.write_bytes(content)


@pytest.fixture
def files(tmp_path):
    """Ten records, of which 1 and 5 have no image and 7 has a bit flipped."""
    a, b = tmp_path / "a", tmp_path / "b"
    write_records(a, [example(0), BAD_IMAGE, example(2), example(3)])
    write_records(
        b, [example(4), NO_EXAMPLE, example(6), *map(example, (7, 8, 9))]
    )
    damage(b, 3, 20)
    return str(a), str(b)


def describe(stream):
    return functools.partial(stream.describe_fault, options=OPTIONS)


def read(files, report, start=0, **settings):
    decoder = TfExampleDecoder(OPTIONS)

    def to_row(record):
        decoded = decoder.decode(record.serialized)
        return record.position, decoded["source_id"]

    stream = RecordStream(
        files,
        reads_past_damage=report.max_bad_records > 0,
        **settings,
    )
    return [
        (int(position), int(source_id))
        for position, source_id in report.rows(
            stream.dataset(start), to_row, describe(stream)
        ).as_numpy_iterator()
    ]


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


def test_bad_records_are_left_out_and_counted(files, caplog):
    report = ReadingReport(max_bad_records=3)
    good = [0, 2, 3, 4, 6, 8, 9]
    assert read(files, report) == [(n, n) for n in good]
    image, other, damaged = messages(caplog)
    a, b = files
    assert image.startswith("Skipped bad record 1 of at most 3: ")
    assert f"{a}: record 1 (source id '5'): image/encoded (4 bytes" in image
    assert f"{b}: record 1: 10 bytes that are no tf.Example" in other
    assert damaged.endswith(f"{b}: record 3: is damaged (checksum mismatch)")
    caplog.clear()
    report.log()
    (summary,) = messages(caplog)
    assert summary.startswith(f"3 bad records were skipped ({a}: 1, {b}: 2); ")


def test_a_record_counts_once_in_all_epochs_and_passes(files):
    report = ReadingReport(max_bad_records=3)
    assert len(read(files, report, num_epochs=3)) == 21
    assert read(files, report, start=3) == [(n, n) for n in (3, 4, 6, 8, 9)]
    assert report.refusal is None


def test_one_too_many_is_named(files):
    report = ReadingReport(max_bad_records=2)
    with pytest.raises(tf.errors.OpError):
        read(files, report)
    assert isinstance(report.refusal, errors.DataError)
    assert str(report.refusal) == (
        f"{files[1]}: record 3: is damaged (checksum mismatch); found 3 bad "
        "records, --max_bad_records is 2: mend the records, or allow more"
    )


def test_records_of_which_none_is_good_end(tmp_path):
    path = write_records(tmp_path / "a", [BAD_IMAGE, NO_EXAMPLE])
    report = ReadingReport(max_bad_records=5)
    with pytest.raises(tf.errors.OpError):
        read((path,), report, num_epochs=0)
    assert str(report.refusal).startswith(
        f"{path}: none of the records is good; found 2 bad records"
    )


def test_bad_ends_of_two_epochs_are_passed(tmp_path):
    records = [BAD_IMAGE, NO_EXAMPLE, example(2), NO_EXAMPLE]
    path = write_records(tmp_path / "a", records)
    found = read((path,), ReadingReport(max_bad_records=3), num_epochs=3)
    assert found == [(2, 2), (6, 2), (10, 2)]


def test_without_leave_the_first_one_stops(files, caplog):
    with pytest.raises((tf.errors.OpError, UnicodeDecodeError)):
        read(files, ReadingReport())
    assert not caplog.records


@pytest.mark.parametrize(
    "settings",
    [
        {"num_readers": 2, "read_block_length": 2},
        {"is_shuffled": True, "seed": 4},
        {"sample_1_of_n_examples": 3},
        {"num_shards": 3, "shard_index": 1},
        {"num_shards": 2, "shard_index": 1},
    ],
)
def test_the_order_is_that_of_reading_straight_on(tmp_path, settings):
    whole = tuple(
        write_records(tmp_path / name, map(example, numbers))
        for name, numbers in (("a", range(4)), ("b", range(4, 11)))
    )
    expected = read(whole, ReadingReport(), num_epochs=2, **settings)
    found = read(whole, ReadingReport(5), num_epochs=2, **settings)
    assert len(expected) > 5
    assert found == expected


def test_files_that_cannot_be_followed_are_refused(files):
    stream = RecordStream(files, reads_past_damage=True)
    content = bytearray(open(files[1], "rb").read())
    with open(files[1], "wb") as file:
        file.write(content[:-3])
    with pytest.raises(errors.DataError, match="record 5 at byte .* is cut"):
        stream.dataset()


def test_damage_is_told_from_what_a_record_may_hold(tmp_path):
    path = write_records(tmp_path / "a", [b"", DAMAGED[:-1], example(2)])
    stream = RecordStream((path,), reads_past_damage=True)
    found = [record.serialized.numpy() for record in stream.dataset()]
    assert found == [b"", DAMAGED[:-1], example(2)]


@pytest.mark.parametrize(
    ("num_missized", "words"), [(0, None), (3, "3 images that were read have")]
)
def test_sizes_that_were_stated_wrong(num_missized, words, caplog):
    caplog.set_level(logging.WARNING)
    report = ReadingReport()
    report.num_missized.assign_add(num_missized)
    report.log()
    assert [m.startswith(words) for m in messages(caplog)] == (
        [True] if words else []
    )


def test_rows_keep_their_shapes(files):
    stream = RecordStream(files, reads_past_damage=True)

    def to_row(record):
        pixels = tf.zeros([2, tf.strings.length(record.serialized), 3])
        return {"image": pixels, "name": record.path, "none": tf.zeros([0, 4])}

    plain = ReadingReport().rows(stream.dataset(), to_row, describe(stream))
    skipping = ReadingReport(1).rows(stream.dataset(), to_row, describe(stream))
    assert skipping.element_spec == plain.element_spec
    row = next(iter(skipping))
    assert row["none"].shape == (0, 4)
    np.testing.assert_array_equal(row["image"][0, 0], [0, 0, 0])
