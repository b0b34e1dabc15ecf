"""Checks and unpacks zip and tar archives, trusting nothing in them."""

import contextlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from object_detection.core import errors

_CHUNK_BYTES = 2**20

# What the readers raise for bytes that are cut or changed.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # a password is needed
    ValueError,  # a number in a header that is none
)


class _File(NamedTuple):
    name: str
    num_bytes: int
    open: Callable[[], IO[bytes]]


def check(path: str) -> None:
    """Reads the whole archive, checksums included, and writes nothing.

    Raises:
        DataError: not a zip or tar archive, a damaged one, or one that holds
            a path out of its folder, a link or a device.
    """
    for file in _files(path):
        for _ in _chunks(path, file):
            pass


def count_missing_bytes(path: str, folder: str) -> int:
    """Returns how many bytes `unpack` would write."""
    return sum(
        file.num_bytes for file in _files(path) if _is_missing(file, folder)
    )


def unpack(path: str, folder: str) -> int:
    """Writes the files of an archive that are not in `folder` yet.

    A file of the right name and size stays, so an unpacking that was stopped
    goes on where it was.

    Returns:
        The number of files written.

    Raises:
        DataError: see `check`.
        ResourceError: the disk refuses.
    """
    num_written = 0
    for file in _files(path):
        if _is_missing(file, folder):
            _write(os.path.join(folder, file.name), _chunks(path, file))
            num_written += 1
    return num_written


def _files(path: str) -> Iterator[_File]:
    """Yields the files in their order; read each before the next."""
    with _damage_named(path):
        if zipfile.is_zipfile(path):
            yield from _zip_files(path)
        else:
            yield from _tar_files(path)


def _zip_files(path: str) -> Iterator[_File]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            _check_member(
                path, info.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR)
            )
            if not info.is_dir():
                yield _File(
                    info.filename,
                    info.file_size,
                    lambda info=info: archive.open(info),
                )


def _tar_files(path: str) -> Iterator[_File]:
    with tarfile.open(path) as archive:
        for info in archive:
            _check_member(path, info.name, info.isreg() or info.isdir())
            if info.isreg():
                yield _File(
                    info.name,
                    info.size,
                    lambda info=info: archive.extractfile(info),
                )
        # What follows the last file holds gzip's checksum.
        while archive.fileobj.read(_CHUNK_BYTES):
            pass


def _check_member(path: str, name: str, is_file_or_folder: bool) -> None:
    if not is_file_or_folder:
        raise errors.DataError(
            f"{path}: member {name!r} is a link or a device; only files and"
            " folders are unpacked"
        )
    parts = name.rstrip("/").split("/")
    if (
        not name.isprintable()
        or "\\" in name
        or ":" in parts[0]
        or "" in parts
        or ".." in parts
    ):
        raise errors.DataError(
            f"{path}: member {name!r} leads out of the folder that it is"
            " unpacked to"
        )


def _is_missing(file: _File, folder: str) -> bool:
    target = os.path.join(folder, file.name)
    return (
        not os.path.isfile(target) or os.path.getsize(target) != file.num_bytes
    )


def _chunks(path: str, file: _File) -> Iterator[bytes]:
    with _damage_named(path), file.open() as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _write(target: str, chunks: Iterable[bytes]) -> None:
    temporary_path = f"{target}.part"
    try:
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        with open(temporary_path, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.replace(temporary_path, target)
    except OSError as error:
        raise errors.ResourceError(
            f"{target}: cannot write: {error.strerror}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary_path)


@contextlib.contextmanager
def _damage_named(path: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise errors.DataError(
            f"{path}: expected an intact zip or tar archive:"
            f" {' '.join(str(error).split())}"
        ) from error
