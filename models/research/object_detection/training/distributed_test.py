"""Tests of a process that is alone."""

import pytest

from object_detection.core import errors
from object_detection.training import distributed


def test_one_process_is_the_main_one():
    distributed.initialize()
    assert (distributed.rank(), distributed.size()) == (0, 1)
    assert distributed.is_main_process()
    assert distributed.average_gradients({"w": 3.0}) == {"w": 3.0}


@pytest.mark.parametrize(
    "variable", ["HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
)
def test_one_of_several_is_refused(monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    distributed.initialize()
    monkeypatch.setenv(variable, "4")
    with pytest.raises(errors.DistributedError, match=f"one of 4 .{variable}"):
        distributed.initialize()
