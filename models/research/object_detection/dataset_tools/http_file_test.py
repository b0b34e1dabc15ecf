import http.client
import urllib.request

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.dataset_tools import http_file, sample_server

CONTENT = np.random.default_rng(0).bytes(100_000)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(http_file, "_FIRST_WAIT_SECONDS", 0.001)
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "x.bin").write_bytes(CONTENT)
    with sample_server.serve(folder) as server:
        yield server


def test_size(site):
    assert http_file.ask_size(f"{site.url}/x.bin") == len(CONTENT)
    assert site.requests == [("HEAD", "/x.bin", "")]


@pytest.mark.parametrize("num_bytes", [len(CONTENT), None])
def test_whole_file(site, tmp_path, num_bytes):
    path = tmp_path / "part"
    http_file.download(f"{site.url}/x.bin", str(path), num_bytes)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("num_present", "ranges"),
    [
        (30_000, ["bytes=30000-"]),
        (len(CONTENT), []),
        # More than there is: another file, so from the start.
        (len(CONTENT) + 1, [""]),
    ],
)
def test_only_what_is_missing_is_asked_for(site, tmp_path, num_present, ranges):
    path = tmp_path / "part"
    path.write_bytes((CONTENT + b"more")[:num_present])
    http_file.download(f"{site.url}/x.bin", str(path), len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert [wanted for _, _, wanted in site.requests] == ranges


def test_cut_connection_is_resumed(site, tmp_path, capsys):
    site.cuts["/x.bin"] = [40_000, 1, 0, 20_000]
    path = tmp_path / "part"
    http_file.download(f"{site.url}/x.bin", str(path), len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert [wanted for _, _, wanted in site.requests] == [
        "",
        "bytes=40000-",
        "bytes=40001-",
        "bytes=40001-",
        "bytes=60001-",
    ]
    assert "closed at 40000 of 100000 bytes" in capsys.readouterr().err


def test_server_without_ranges_starts_over(tmp_path):
    (tmp_path / "x.bin").write_bytes(CONTENT)
    path = tmp_path / "part"
    path.write_bytes(b"old" * 100)
    with sample_server.serve(tmp_path, ranges=False) as server:
        http_file.download(f"{server.url}/x.bin", str(path), len(CONTENT))
    assert path.read_bytes() == CONTENT


def test_server_without_ranges_that_always_cuts_is_given_up(site, tmp_path):
    folder = tmp_path / "site"
    with sample_server.serve(folder, ranges=False) as server:
        server.cuts["/x.bin"] = [900, 10, 800, 20, 700, 30] * 100
        with pytest.raises(errors.DataError, match="connection closed"):
            http_file.download(
                f"{server.url}/x.bin", str(tmp_path / "part"), len(CONTENT)
            )
        assert len(server.requests) == 5


def test_gives_up_and_keeps_what_it_has(site, tmp_path):
    site.cuts["/x.bin"] = [700] + [0] * 100
    path = tmp_path / "part"
    with pytest.raises(
        errors.DataError, match="closed at 700 of.*part keeps 700 bytes"
    ):
        http_file.download(f"{site.url}/x.bin", str(path), len(CONTENT))
    assert path.read_bytes() == CONTENT[:700]
    assert len(site.requests) == 5


def test_file_that_the_server_does_not_have(site, tmp_path):
    with pytest.raises(errors.DataError, match="y.bin: status 404"):
        http_file.ask_size(f"{site.url}/y.bin")
    with pytest.raises(errors.DataError, match="y.bin: status 404"):
        http_file.download(f"{site.url}/y.bin", str(tmp_path / "part"), None)
    assert len(site.requests) == 2


def test_no_server(site, tmp_path):
    # Port 9 of this machine answers to nobody.
    with pytest.raises(errors.DataError, match="Connection refused"):
        http_file.ask_size("http://127.0.0.1:9/x.bin")
    with pytest.raises(errors.DataError, match="part keeps 0 bytes"):
        http_file.download(
            "http://127.0.0.1:9/x.bin", str(tmp_path / "part"), None
        )


def test_disk_that_refuses(site, tmp_path):
    with pytest.raises(errors.ResourceError, match="cannot write"):
        http_file.download(
            f"{site.url}/x.bin", str(tmp_path / "no/part"), len(CONTENT)
        )


@pytest.mark.parametrize("target", ["http://b/x", "file:///etc/passwd"])
def test_https_is_not_left_by_a_redirect(target):
    request = urllib.request.Request("https://a/x")
    follow = http_file._NoDowngrade().redirect_request
    headers = http.client.HTTPMessage()
    with pytest.raises(errors.DataError, match="a/x: expected https, redir"):
        follow(request, None, 302, "Found", headers, target)
    followed = follow(request, None, 302, "Found", headers, "https://b/x")
    assert followed.full_url == "https://b/x"
