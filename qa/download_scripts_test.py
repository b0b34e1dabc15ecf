"""Runs download_voc.sh and download_dataset.sh against a server here."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

from object_detection.dataset_tools import sample_archives, sample_server

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARS = {
    "voc2007/VOCtrainval_06-Nov-2007.tar": "VOC2007/JPEGImages/000005.jpg",
    "voc2012/VOCtrainval_11-May-2012.tar": "VOC2012/JPEGImages/2007_1.jpg",
    "voc2007/VOCtest_06-Nov-2007.tar": "VOC2007/JPEGImages/000001.jpg",
}
ZIPS = {
    "annotations/annotations_trainval2017.zip": "annotations/captions.json",
    "zips/train2017.zip": "train2017/000000000009.jpg",
    "zips/val2017.zip": "val2017/000000000139.jpg",
}


@pytest.fixture
def site(tmp_path):
    for name, member in {**TARS, **ZIPS}.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in TARS:
            files = {f"VOCdevkit/{member}": member.encode()}
            sample_archives.write_tar(path, files, mode="w")
        else:
            sample_archives.write_zip(path, {member: member.encode()})
    with sample_server.serve(tmp_path / "site") as server:
        yield server


def run(script, site, *arguments, cwd):
    return subprocess.run(
        ["bash", str(script), *map(str, arguments)],
        env={
            **os.environ,
            "COCO_URL": site.url,
            "VOC_URL": site.url,
            "PYTHON": sys.executable,
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def voc_script(tmp_path):
    """As shipped, with the MD5 of the small archives of this test."""
    text = (ROOT / "download_voc.sh").read_text()
    names = dict(re.findall(r"^(\w+)=(VOC.*tar)$", text, re.M))
    for variable, md5 in re.findall(r"\$(\w+):([0-9a-f]{32})", text):
        path = next((tmp_path / "site").rglob(names[variable]))
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False)
        text = text.replace(md5, found.hexdigest())
    script = tmp_path / "checkout/download_voc.sh"
    script.parent.mkdir()
    script.write_text(text)
    for name in ("examples", "models"):
        (script.parent / name).symlink_to(ROOT / name)
    return script


def test_voc_is_unpacked_and_a_second_call_downloads_nothing(
    site, tmp_path, voc_script
):
    site.cuts["/voc2012/VOCtrainval_11-May-2012.tar"] = [700]
    for _ in range(2):
        done = run(voc_script, site, "data", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(", as published") == 3
    for name, member in TARS.items():
        part = "test" if "test" in name else "trainval"
        path = tmp_path / "data" / part / "VOCdevkit" / member
        assert path.read_text() == member
    assert sum(verb == "GET" for verb, _, _ in site.requests) == 4


def test_voc_with_another_md5_is_refused(site, tmp_path):
    done = run(ROOT / "download_voc.sh", site, cwd=tmp_path)
    assert done.returncode == 3
    assert re.search("expected MD5 c52e2795.*was removed", done.stderr)
    assert list((tmp_path / "pascal-voc/trainval").iterdir()) == []


def test_coco_is_unpacked_in_place(site, tmp_path):
    done = run(ROOT / "download_dataset.sh", site, "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for member in ZIPS.values():
        assert (tmp_path / "data" / member).read_text() == member


@pytest.mark.parametrize("name", ["download_voc.sh", "download_dataset.sh"])
def test_dry_run_and_usage(site, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    shown = run(ROOT / name, site, "--dry_run", "data", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    archives = TARS if "voc" in name else ZIPS
    for archive in archives:
        assert f"--url={site.url}/{archive}" in shown.stdout
    assert f"--output_dir={tmp_path}/data" in shown.stdout
    assert sorted(tmp_path.rglob("*")) == before
    assert site.requests == []
    assert run(ROOT / name, site, "--help", cwd=tmp_path).returncode == 0
    for arguments, words in (
        (("--dry",), "unknown option --dry"),
        (("a", "b"), "got 2"),
    ):
        refused = run(ROOT / name, site, *arguments, cwd=tmp_path)
        assert refused.returncode == 2
        assert words in refused.stderr and refused.stderr.count("\n") == 1
