"""Tests of a process that is alone; `qa/distributed_test.py` starts several."""

import sys

import keras
import pytest

from object_detection.core import errors
from object_detection.training import distributed


def test_one_process_is_the_main_one():
    with distributed.processes():
        assert (distributed.rank(), distributed.size()) == (0, 1)
        assert distributed.is_main_process()
        assert distributed.average({"w": 3.0}) == {"w": 3.0}
        assert distributed.gather_objects("mine") == ["mine"]
        assert distributed.from_main(lambda: 5) == 5
        assert list(distributed.each_from_main(iter("ab"))) == ["a", "b"]
        variable = keras.Variable(2.0)
        distributed.broadcast([variable])
        assert float(variable) == 2.0


def test_an_error_of_the_start_is_raised_as_it_is():
    distributed.require_agreement({"a": "1"})
    with pytest.raises(errors.ConfigError, match="no such"):
        distributed.require_agreement({}, errors.ConfigError("no such"))


@pytest.mark.parametrize(
    "variable", ["HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
)
def test_one_of_several_needs_horovod(monkeypatch, variable):
    monkeypatch.setitem(sys.modules, "horovod.tensorflow", None)
    monkeypatch.setenv(variable, "1")
    with distributed.processes():
        pass
    monkeypatch.setenv(variable, "4")
    with (
        pytest.raises(errors.DistributedError, match="of 4.*make horovod"),
        distributed.processes(),
    ):
        pass


def test_the_first_difference_is_named():
    found = distributed._first_difference(
        {"config": "a: 1\nb: 2\nc: 3", "x": "1"},
        {"config": "a: 1\nb: 4\nc: 5", "x": "1"},
    )
    assert found == "its config is 'b: 4', not 'b: 2'"
    found = distributed._first_difference({"v": "a"}, {"v": "a\nb"})
    assert "2 lines long" in found
    assert distributed._first_difference({"v": "a"}, {"v": "a"}) is None
