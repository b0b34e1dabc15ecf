"""Tests of writing a file whole or not at all."""

import os

import pytest

from object_detection.core import errors
from object_detection.utils import atomic_file


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def test_the_file_appears_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "new" / "a.json"
    with atomic_file.replacing(str(path)) as temporary:
        assert temporary.endswith(".json")
        write(temporary, "old")
        assert not path.exists()
    with atomic_file.replacing(str(path)) as temporary:
        write(temporary, "new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a.json"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with (
        pytest.raises(KeyError),
        atomic_file.replacing(str(path)) as temporary,
    ):
        write(temporary, "half")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_disk_that_refuses_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "a.json")
    with (
        pytest.raises(errors.ResourceError, match="a.json: cannot be written"),
        atomic_file.replacing(path),
    ):
        pass
