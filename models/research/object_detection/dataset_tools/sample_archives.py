"""Small archives for tests."""

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Mapping

import numpy as np

NOISE = np.random.default_rng(0).bytes(70_000)
FILES = {"a/b/one.bin": NOISE, "a/two.txt": b"two", "three": b""}


def write_zip(
    path: os.PathLike,
    files: Mapping[str, bytes] = FILES,
    modes: Mapping[str, int] | None = None,
) -> str:
    """Writes a zip with a folder `a/`, and returns its path.

    Args:
        path: where to write.
        files: name -> content.
        modes: name -> file type and permissions.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/", b"")
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0) << 16
            archive.writestr(info, content)
    return str(path)


def write_tar(
    path: os.PathLike,
    files: Mapping[str, bytes] = FILES,
    members: Iterable[tarfile.TarInfo] = (),
    mode: str = "w:gz",
) -> str:
    """Writes a tar and returns its path.

    Args:
        path: where to write.
        files: name -> content.
        members: more, without a content.
        mode: of tarfile, which has the compression.
    """
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return str(path)
