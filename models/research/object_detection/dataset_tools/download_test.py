import hashlib
import subprocess
import sys

import pytest

from object_detection.core import errors
from object_detection.dataset_tools import (
    download,
    http_file,
    sample_archives,
    sample_server,
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(http_file, "_FIRST_WAIT_SECONDS", 0.001)
    folder = tmp_path / "site"
    folder.mkdir()
    sample_archives.write_zip(folder / "x.zip")
    sample_archives.write_tar(folder / "y.tar.gz")
    (tmp_path / "raw").mkdir()
    with sample_server.serve(folder) as server:
        yield server


@pytest.fixture
def raw(tmp_path, site):
    return tmp_path / "raw"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(site, raw, name="x.zip"):
    download.fetch(download.make_plan(f"{site.url}/{name}", str(raw)))


def test_plan_counts_what_is_left(site, raw, tmp_path):
    url = f"{site.url}/x.zip"
    num_bytes = (tmp_path / "site/x.zip").stat().st_size
    plan = download.make_plan(url, str(raw))
    assert (plan.num_bytes, plan.num_download_bytes) == (num_bytes, num_bytes)
    assert plan.num_unpack_bytes == int(num_bytes * 1.1)

    (raw / "x.zip.part").write_bytes(b"x" * 1000)
    plan = download.make_plan(url, str(raw))
    assert plan.num_download_bytes == num_bytes - 1000

    (raw / "x.zip.part").unlink()
    fetch(site, raw)
    (raw / "a").mkdir()
    (raw / "a/two.txt").write_bytes(b"two")
    num_requests = len(site.requests)
    plan = download.make_plan(url, str(raw))
    assert plan.num_download_bytes == 0
    assert plan.num_unpack_bytes == len(sample_archives.NOISE)
    assert len(site.requests) == num_requests


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://a/b", "http://a/"]
)
def test_address_that_is_no_file_of_the_web(url):
    with pytest.raises(errors.ConfigError, match="--url: .*found " + url):
        download.make_plan(url, "raw")


def test_space(tmp_path, capsys):
    plan = download.Plan("http://a/b", "b", 4_000, 3_000, 2_000)
    free = 10**15
    with pytest.raises(errors.ResourceError, match="GB free; choose a"):
        download.require_space([plan], str(tmp_path), free)
    download.require_space([plan, plan], str(tmp_path), 1e6)
    assert "8.00 GB needed" in capsys.readouterr().out


def test_checksum_is_added_and_held_to(site, raw, capsys):
    fetch(site, raw)
    fetch(site, raw, "y.tar.gz")
    lines = (raw / "checksums.sha256").read_text().splitlines()
    assert lines == [
        f"{sha256(raw / name)}  {name}" for name in ("x.zip", "y.tar.gz")
    ]
    assert lines[0][:64] in capsys.readouterr().out
    checked = subprocess.run(
        ["sha256sum", "--check", "checksums.sha256"], cwd=raw, check=False
    )
    assert checked.returncode == 0

    fetch(site, raw)
    content = (raw / "x.zip").read_bytes()
    (raw / "x.zip").write_bytes(content[:99] + b"\0\1" + content[101:])
    with pytest.raises(errors.DataError, match="SHA-256.*remove it, and"):
        fetch(site, raw)
    assert (raw / "x.zip").exists()


def test_download_with_another_checksum_is_removed(site, raw):
    (raw / "checksums.sha256").write_text(f"{'0' * 64}  x.zip\n")
    with pytest.raises(
        errors.DataError, match="expected SHA-256 000.*download was removed"
    ):
        fetch(site, raw)
    assert [path.name for path in raw.iterdir()] == ["checksums.sha256"]


def test_bad_line_of_checksums_is_named_before_the_download(site, raw):
    (raw / "checksums.sha256").write_text(f"{'0' * 64}  y\n123 x.zip\n")
    with pytest.raises(errors.DataError, match="checksums.sha256:2: expected"):
        fetch(site, raw)
    assert not (raw / "x.zip.part").exists()


def test_page_in_place_of_the_archive_is_removed(site, raw, tmp_path):
    (tmp_path / "site/x.zip").write_text("<html>log in first</html>")
    with pytest.raises(errors.DataError, match="intact zip.*was removed"):
        fetch(site, raw)
    assert list(raw.iterdir()) == []


def test_command(site, raw):
    def run(*names):
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "object_detection.dataset_tools.download",
                *(f"--url={site.url}/{name}" for name in names),
                f"--output_dir={raw}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("x.zip", "y.tar.gz")
    assert done.returncode == 0, done.stderr
    assert "unpacked 3 files" in done.stdout
    for name, content in sample_archives.FILES.items():
        assert (raw / name).read_bytes() == content
    missing = run("z.zip")
    assert missing.returncode == 3
    assert missing.stderr == f"ERROR: {site.url}/z.zip: status 404 Not Found\n"


def test_published_md5(site, raw, capsys):
    content = (raw.parent / "site/x.zip").read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    entries = download.parse_md5([f"x.zip:{md5}", f"y.tar.gz:{'0' * 32}"])
    plan = download.make_plan(f"{site.url}/x.zip", str(raw))
    download.fetch(plan, entries["x.zip"])
    assert f"MD5 {md5}, as published" in capsys.readouterr().out
    plan = download.make_plan(f"{site.url}/y.tar.gz", str(raw))
    with pytest.raises(errors.DataError, match="MD5 000.*download was removed"):
        download.fetch(plan, entries["y.tar.gz"])
    assert not (raw / "y.tar.gz").exists()
    with pytest.raises(errors.ConfigError, match="--md5: expected NAME:MD5"):
        download.parse_md5(["x.zip:abc"])
