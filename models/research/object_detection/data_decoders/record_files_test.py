import gzip
import os

import pytest

from object_detection.core import errors
from object_detection.data_decoders import record_files
from object_detection.data_decoders.sample_records import write_records


@pytest.fixture
def three_records(tmp_path):
    return write_records(tmp_path / "a.record", [b"x" * 5, b"", b"y" * 70])


def damage(path, offset, *, keep=None):
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        if keep is not None:
            file.truncate(keep)
            return
        content[offset] ^= 4
        file.seek(0)
        file.write(content)


def test_scan_hops_from_record_to_record(three_records):
    headers = list(record_files.scan(three_records))
    assert headers == [(0, 0, 5), (1, 21, 0), (2, 37, 70)]
    assert os.path.getsize(three_records) == 37 + 16 + 70


def test_count_follows_changes_of_the_file(tmp_path):
    path = write_records(tmp_path / "a.record", [b"1", b"2"])
    empty = write_records(tmp_path / "b.record", [])
    assert record_files.count_records([path, empty]) == [2, 0]
    write_records(path, [b"1", b"2", b"3"])
    assert record_files.count_records([path]) == [3]


@pytest.mark.parametrize("keep", [36, 30, 122])
def test_a_cut_file_names_record_and_byte(three_records, keep):
    damage(three_records, 0, keep=keep)
    index, offset = (1, 21) if keep < 37 else (2, 37)
    with pytest.raises(
        errors.DataError, match=f"a.record: record {index} at byte {offset}"
    ):
        list(record_files.scan(three_records))


def test_a_damaged_length_is_noticed(three_records):
    damage(three_records, 21)
    with pytest.raises(errors.DataError, match="record 1 at byte 21 .*length"):
        list(record_files.scan(three_records))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(b"x" * 100, mtime=0), "a GZIP file"),
        (b"PK\x03\x04" + b"0" * 40, "a ZIP file"),
        (b"\xff\xd8\xff\xe0" + b"0" * 40, "a JPEG image"),
    ],
)
def test_other_files_are_recognised(tmp_path, content, name):
    path = tmp_path / "a.record"
    path.write_bytes(content)
    with pytest.raises(errors.DataError, match=f"a.record: .*{name}"):
        record_files.require_records([str(path)])


def test_patterns_keep_their_order_and_sort_within(tmp_path):
    for name in ("b1", "a2", "a1", "c"):
        write_records(tmp_path / name, [])
    (tmp_path / "a_folder").mkdir()
    found = record_files.expand_patterns(
        [f"{tmp_path}/b*", f"{tmp_path}/a*", f"{tmp_path}/a1"]
    )
    assert [os.path.basename(path) for path in found] == ["b1", "a1", "a2"]


def test_a_pattern_without_a_file_is_named(tmp_path):
    with pytest.raises(errors.ConfigError, match=r"nothing-\*.*no file"):
        record_files.expand_patterns([f"{tmp_path}/nothing-*"])
    with pytest.raises(errors.ConfigError, match="input_path: is empty"):
        record_files.expand_patterns([])


@pytest.mark.parametrize(
    ("pattern", "num_matches"),
    [
        ("train.record-?????-of-00100", 2),
        ("train.record-*-of-00100", 2),
        ("train.record-0000[01]-of-*", 3),
        ("train.record-00001-of-00100", 1),
        ("train*", 4),
    ],
)
def test_patterns_of_sharded_files(tmp_path, pattern, num_matches):
    for name in (
        "train.record-00000-of-00100",
        "train.record-00001-of-00100",
        "train.record-00000-of-00002",
        "train_notes.txt",
    ):
        write_records(tmp_path / name, [])
    found = record_files.expand_patterns([f"{tmp_path}/{pattern}"])
    assert len(found) == num_matches
    assert found == sorted(found)


def test_files_without_a_record_are_an_error(tmp_path):
    empty = write_records(tmp_path / "empty.record", [])
    full = write_records(tmp_path / "full.record", [b"1"])
    record_files.require_records([empty, full])
    with pytest.raises(errors.DataError, match="1 file.*empty.record"):
        record_files.require_records([empty])
