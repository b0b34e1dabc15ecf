"""Runs download_all.sh against a server on this machine."""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from object_detection.dataset_tools import (
    sample_archives,
    sample_coco,
    sample_server,
)

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "download_all.sh"
CHECKPOINT = np.random.default_rng(0).bytes(9_000)
TAR = "resnet_v1_50_2016_08_28.tar.gz"


def make_site(folder):
    """Writes what the script downloads, with the names of COCO's host."""
    sample_coco.write_set(folder / "set")
    images = {
        path.name: path.read_bytes()
        for path in (folder / "set/images").iterdir()
    }
    site = folder / "site"
    for part in ("zips", "annotations"):
        (site / part).mkdir(parents=True)
    for name in ("train2017", "val2017", "test2017"):
        with zipfile.ZipFile(site / f"zips/{name}.zip", "w") as archive:
            for filename, content in images.items():
                archive.writestr(f"{name}/{filename}", content)
    content = sample_coco.make_content()
    annotations = {
        f"annotations/instances_{name}2017.json": json.dumps(content)
        for name in ("train", "val")
    }
    sample_archives.write_zip(
        site / "annotations/annotations_trainval2017.zip",
        {name: text.encode() for name, text in annotations.items()},
    )
    del content["annotations"]
    sample_archives.write_zip(
        site / "annotations/image_info_test2017.zip",
        {
            "annotations/image_info_test-dev2017.json": json.dumps(
                content
            ).encode()
        },
    )
    sample_archives.write_tar(site / TAR, {"resnet_v1_50.ckpt": CHECKPOINT})
    return site


@pytest.fixture
def site(tmp_path):
    with sample_server.serve(make_site(tmp_path)) as server:
        yield server


def run(site, *arguments, cwd=None):
    return subprocess.run(
        ["bash", str(SCRIPT), *map(str, arguments)],
        env={
            **os.environ,
            "COCO_URL": site.url,
            "RESNET_URL": site.url,
            "PYTHON": sys.executable,
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_is_there_after_a_cut_download(site, tmp_path):
    site.cuts["/zips/train2017.zip"] = [700]
    done = run(
        site,
        "--with_test",
        "--num_workers=1",
        "-",
        "data",
        "checkpoints",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    ranges = [r for _, path, r in site.requests if "train2017.zip" in path]
    assert ranges == ["", "", "bytes=700-"]

    model = tmp_path / "checkpoints/resnet_v1_50/model.ckpt"
    assert model.read_bytes() == CHECKPOINT
    names = sorted(path.name for path in (tmp_path / "data").glob("*record*"))
    assert len(names) == 210
    assert names[0] == "coco_testdev.record-00000-of-00100"
    assert names[-1] == "coco_val.record-00009-of-00010"
    assert done.stdout.count("3 images, 3 objects (car 1, ") == 2
    raw = tmp_path / "data/raw-data"
    assert (raw / "val2017/000042.jpg").exists()
    mode = (raw / "val2017/000042.jpg").stat().st_mode
    assert not mode & 0o002
    assert len((raw / "checksums.sha256").read_text().splitlines()) == 5


def test_wrong_checksum_and_hostile_archive(site, tmp_path):
    folder = tmp_path / "checkpoints/resnet_v1_50"
    folder.mkdir(parents=True)
    (folder / "checksums.sha256").write_text(f"{'0' * 64}  {TAR}\n")
    arguments = ("-", tmp_path / "data", tmp_path / "checkpoints")
    refused = run(site, *arguments)
    assert refused.returncode == 3
    assert f"expected SHA-256 {'0' * 64}" in refused.stderr
    assert refused.stderr.startswith("ERROR: ")
    assert refused.stderr.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["checksums.sha256"]

    (folder / "checksums.sha256").unlink()
    sample_archives.write_tar(
        tmp_path / "site" / TAR, {"../../out.ckpt": CHECKPOINT}
    )
    refused = run(site, *arguments)
    assert refused.returncode == 3
    assert "'../../out.ckpt' leads out of the folder" in refused.stderr
    assert list(tmp_path.rglob("out.ckpt")) == []
    assert list(folder.iterdir()) == []


def test_second_call_asks_for_nothing_twice(site, tmp_path):
    (tmp_path / "site/zips/val2017.zip").unlink()
    arguments = ("-", tmp_path / "data", tmp_path / "checkpoints")
    for _ in range(2):
        stopped = run(site, *arguments)
        assert stopped.returncode == 3
        assert "val2017.zip: status 404" in stopped.stderr
    assert [path for verb, path, _ in site.requests if verb == "GET"] == [
        f"/{TAR}"
    ]


@pytest.mark.parametrize("image", ["-", "", "example/ssd:1"])
def test_dry_run_prints_every_step_and_does_none(site, tmp_path, image):
    before = sorted(tmp_path.rglob("*"))
    shown = run(
        site, "--dry_run", "--include_masks", image, "d", "c", cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert site.requests == []
    steps = shown.stdout.splitlines()
    assert all(step.startswith("+ ") for step in steps)
    make, resnet, move, coco, convert = steps
    assert make.endswith(f"{tmp_path}/d/raw-data {tmp_path}/c/resnet_v1_50")
    assert f"--url={site.url}/{TAR}" in resnet
    assert move.endswith(f"{tmp_path}/c/resnet_v1_50/model.ckpt")
    for name in ("zips/train2017", "zips/val2017", "annotations_trainval2017"):
        assert f"{name}.zip" in coco
    assert "test2017" not in coco
    assert f"--output_dir={tmp_path}/d --include_masks " in convert
    uses_docker = "docker run --rm " in convert
    assert uses_docker == (image == "example/ssd:1")
    if uses_docker:
        mount = f"--volume {tmp_path}/d:{tmp_path}/d"
        assert all(mount in step for step in (resnet, coco, convert))
        assert " example/ssd:1 python -m " in convert


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "got 0 arguments"),
        (("-", "a", "b", "c"), "got 4 arguments"),
        (("--dryrun", "-"), "unknown option --dryrun"),
    ],
)
def test_usage(site, arguments, words):
    refused = run(site, *arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert words in refused.stderr and refused.stderr.count("\n") == 1


def test_help(site):
    shown = run(site, "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("usage: download_all.sh ")
