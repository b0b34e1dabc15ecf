import os
import stat
import tarfile

import pytest

from object_detection.core import errors
from object_detection.dataset_tools import archives
from object_detection.dataset_tools.sample_archives import (
    FILES,
    NOISE,
    write_tar,
    write_zip,
)


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }


def plain_tar(path):
    return write_tar(path, mode="w")


@pytest.mark.parametrize("write", [write_zip, write_tar, plain_tar])
def test_unpack(tmp_path, write):
    path = write(tmp_path / "x")
    folder = tmp_path / "out"
    archives.check(path)
    assert not folder.exists()
    total = sum(map(len, FILES.values()))
    assert archives.count_missing_bytes(path, str(folder)) == total
    assert archives.unpack(path, str(folder)) == 3
    assert files_in(folder) == FILES
    assert archives.unpack(path, str(folder)) == 0


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_unpacking_goes_on_where_it_stopped(tmp_path, write):
    path = write(tmp_path / "x")
    folder = tmp_path / "out"
    archives.unpack(path, str(folder))
    (folder / "three").unlink()
    (folder / "a/b/one.bin").write_bytes(NOISE[:400])
    assert archives.count_missing_bytes(path, str(folder)) == len(NOISE)
    assert archives.unpack(path, str(folder)) == 2
    assert files_in(folder) == FILES


HOSTILE_NAMES = [
    "../out.txt",
    "a/../../out.txt",
    "/tmp/out.txt",
    "a//b",
    "..\\out.txt",
    "C:/out.txt",
    "new\nline",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_path_out_of_the_folder_is_refused(tmp_path, write, name):
    path = write(tmp_path / "x", {name: b"x"})
    for act in (archives.check, lambda p: archives.unpack(p, tmp_path / "o")):
        with pytest.raises(errors.DataError, match="leads out of the folder"):
            act(path)
    assert os.listdir(tmp_path) == ["x"]
    assert not os.path.exists("/tmp/out.txt")


def member(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("link", tarfile.SYMTYPE, "/etc/passwd")],
        [member("link", tarfile.LNKTYPE, "three")],
        [member("device", tarfile.CHRTYPE)],
        [member("pipe", tarfile.FIFOTYPE)],
    ],
)
def test_link_or_device_in_a_tar_is_refused(tmp_path, members):
    path = write_tar(tmp_path / "x", members=members)
    with pytest.raises(errors.DataError, match="is a link or a device"):
        archives.check(path)
    with pytest.raises(errors.DataError, match=f"member '{members[0].name}'"):
        archives.unpack(path, str(tmp_path / "out"))
    assert files_in(tmp_path / "out") == FILES


def test_link_in_a_zip_is_refused(tmp_path):
    path = write_zip(
        tmp_path / "x", {"link": b"/etc"}, {"link": stat.S_IFLNK | 0o777}
    )
    with pytest.raises(errors.DataError, match="'link' is a link"):
        archives.check(path)


def test_zip_with_unix_modes_is_unpacked_without_them(tmp_path):
    path = write_zip(
        tmp_path / "x", {"run": b"x"}, {"run": stat.S_IFREG | 0o4777}
    )
    archives.unpack(path, str(tmp_path / "out"))
    mode = (tmp_path / "out/run").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_IXUSR | stat.S_IWOTH)


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + b"\0\1\2" + content[middle + 3 :]


def cut_end(content):
    return content[:-6]


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("damage", [cut, flip, cut_end, lambda _: b"<html>"])
def test_damage_is_named(tmp_path, write, damage):
    path = tmp_path / "x"
    write(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        errors.DataError, match="x: expected an intact zip or"
    ) as e:
        archives.check(str(path))
    assert "\n" not in str(e.value)


def test_disk_that_refuses(tmp_path):
    path = write_zip(tmp_path / "x")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(errors.ResourceError, match="cannot write"):
        archives.unpack(path, str(tmp_path / "out"))
