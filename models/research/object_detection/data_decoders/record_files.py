"""Finds TFRecord files and the records in them without reading the records.

A TFRecord is: length (uint64), masked CRC of the length (uint32), payload,
masked CRC of the payload (uint32), all little endian. So a file's records
can be counted by hopping from header to header.
"""

import concurrent.futures
import functools
import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from object_detection.core import errors

_HEADER = struct.Struct("<QI")
_FOOTER_BYTES = 4
_NUM_SCAN_THREADS = 16

# What a file that is no TFRecord may begin with, and its name.
_KNOWN_MAGIC = {
    b"\x1f\x8b": "a GZIP file",
    b"PK\x03\x04": "a ZIP file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"BZh": "a BZIP2 file",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
}


class RecordHeader(NamedTuple):
    """Where one record is.

    Attributes:
        index: which record of its file, from 0.
        offset: byte offset of its header.
        length: bytes of payload.
    """

    index: int
    offset: int
    length: int

    @property
    def payload_offset(self) -> int:
        """Byte offset of the record itself."""
        return self.offset + _HEADER.size


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """Returns the files that the patterns match, sorted within a pattern.

    A file that several patterns match is listed once.

    Raises:
        ConfigError: no pattern is given, or one of them matches no file.
    """
    if not patterns:
        raise errors.ConfigError(
            "input_path: is empty; give the record files or a pattern that "
            "matches them"
        )
    files: dict[str, None] = {}
    for pattern in patterns:
        matches = [
            path
            for path in sorted(tf.io.gfile.glob(pattern))
            if not tf.io.gfile.isdir(path)
        ]
        if not matches:
            raise errors.ConfigError(
                f"input_path: {pattern!r} matches no file (looked from "
                f"{os.getcwd()}); correct the path or create the records"
            )
        files.update(dict.fromkeys(matches))
    return list(files)


def scan(path: str) -> Iterator[RecordHeader]:
    """Yields the place of each record, hopping from header to header.

    Raises:
        DataError: the file is no TFRecord, is cut, or has a damaged length;
            the message names the file, the record and the byte offset.
    """
    num_file_bytes = tf.io.gfile.stat(path).length
    index = offset = 0
    # A bare descriptor reads just the 12 bytes that are asked for.
    with _open(path) as file:
        while offset < num_file_bytes:
            file.seek(offset)
            header = file.read(_HEADER.size)
            length = _checked_length(path, index, offset, header)
            end = offset + _HEADER.size + length + _FOOTER_BYTES
            if end > num_file_bytes:
                raise errors.DataError(
                    f"{path}: record {index} at byte {offset} is cut: it "
                    f"should end at byte {end}, the file ends at "
                    f"{num_file_bytes}; write or copy the file again"
                )
            yield RecordHeader(index, offset, length)
            index, offset = index + 1, end


def count_records(files: Sequence[str]) -> list[int]:
    """Returns the number of records in each file.

    A file is scanned once in a process as long as it is not changed.

    Raises:
        DataError: as `scan`.
    """
    with concurrent.futures.ThreadPoolExecutor(_NUM_SCAN_THREADS) as pool:
        return list(pool.map(_count_current, files))


def require_records(files: Sequence[str]) -> None:
    """Makes sure that there is at least one record, reading one header.

    Raises:
        DataError: all files are empty, or the first that is not is no
            TFRecord file.
    """
    for path in files:
        if next(scan(path), None) is not None:
            return
    raise errors.DataError(
        f"input_path: {len(files)} file(s) hold no record, first {files[0]}: "
        "create the records again"
    )


def describe_magic(content: bytes) -> str | None:
    """Says what a file is that begins like this, or None."""
    for magic, name in _KNOWN_MAGIC.items():
        if content.startswith(magic):
            return name
    return None


def _open(path: str):  # noqa: ANN202 - two file types with one interface
    if os.path.exists(path):
        return open(path, "rb", buffering=0)
    return tf.io.gfile.GFile(path, "rb")


def _count_current(path: str) -> int:
    status = tf.io.gfile.stat(path)
    return _count(path, status.length, status.mtime_nsec)


@functools.lru_cache(maxsize=65536)
def _count(path: str, num_bytes: int, modified_nsec: int) -> int:
    del num_bytes, modified_nsec  # Only keys of the cache.
    return sum(1 for _ in scan(path))


def _checked_length(path: str, index: int, offset: int, header: bytes) -> int:
    where = f"{path}: record {index} at byte {offset}"
    if len(header) < _HEADER.size:
        raise errors.DataError(
            f"{where} is cut inside its header: {_HEADER.size} bytes "
            f"expected, {len(header)} found; write or copy the file again"
        )
    length, length_crc = _HEADER.unpack(header)
    if _masked_crc32c(header[:8]) != length_crc:
        found = describe_magic(header) if index == 0 else None
        raise errors.DataError(
            f"{path}: not a TFRecord file but {found}: uncompress it or "
            "correct input_path"
            if found
            else f"{where} has a damaged length (checksum mismatch): this is "
            "no TFRecord file or it was changed; write or copy it again"
        )
    return length


def _crc32c_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C_TABLE = _crc32c_table()


def _masked_crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and offset as TFRecord files have it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
