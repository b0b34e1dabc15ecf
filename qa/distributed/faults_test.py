"""Tests of what becomes of a run when one of its processes has a fault."""

import numpy as np
import pytest
from launch import needs_horovod, train_tiny

from object_detection.training import checkpoints

pytestmark = [pytest.mark.distributed, needs_horovod]

_TIMEOUT_SECONDS = 15.0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train_tiny(2, tmp_path_factory.mktemp("undisturbed"))


def assert_goes_on_as(undisturbed, directory):
    """The same command trains to the end, to the very same values."""
    resumed = train_tiny(2, directory)
    assert resumed.codes == {0: 0, 1: 0}, resumed.output
    expected = undisturbed.variables()
    for rank in (0, 1):
        found = resumed.variables(rank)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, name)


@pytest.mark.parametrize(
    "fault, expected",
    [
        ("die", "died"),
        ("stop", "hangs: it has not answered for"),
        ("hang", "hangs: no progress for"),
        ("raise", "failed: a.record: record 3 is damaged"),
    ],
)
def test_a_lost_process_ends_all(tmp_path, undisturbed, fault, expected):
    run = train_tiny(
        3,
        tmp_path,
        fault=fault,
        fault_step=8,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    assert run.codes[0] == run.codes[2] == 6, run.output
    assert any(
        line.startswith("ERROR: rank 1 (") and expected in line
        for line in run.error_lines()
    ), run.output
    assert "<stderr>:Traceback" not in run.output
    latest = checkpoints.latest_checkpoint(str(tmp_path / "model"))
    assert checkpoints.step_of(latest) == 4
    assert checkpoints.Reader(latest).shapes


def test_a_killed_run_goes_on(tmp_path, undisturbed):
    killed = train_tiny(2, tmp_path, fault="die")
    assert killed.codes[0] == 6, killed.output
    assert_goes_on_as(undisturbed, tmp_path)


def test_an_elastic_run_goes_on_with_those_that_are_left(tmp_path):
    hosts = tmp_path / "hosts.sh"
    # Two names of this machine: a lost process costs its host.
    hosts.write_text("#!/bin/sh\necho localhost:1\necho 127.0.0.1:1\n")
    hosts.chmod(0o755)
    run = train_tiny(
        2,
        tmp_path,
        options=["--min-np", "1", "--host-discovery-script", str(hosts)],
        fault="die",
        fault_step=8,
    )
    assert run.codes[0] == 0, run.output
    (line,) = run.error_lines()
    assert "rank 1 (" in line and "those that are left go on" in line
    assert "Resuming from step 4 of 12" in run.output
    assert len(run.steps()) == 8
    latest = checkpoints.latest_checkpoint(str(tmp_path / "model"))
    assert checkpoints.step_of(latest) == 12


def test_a_signal_to_one_saves_once_and_ends_all(tmp_path, undisturbed):
    run = train_tiny(2, tmp_path, fault="terminate", seconds_per_step=0.05)
    assert run.codes == {0: 143, 1: 143}, run.output
    latest = checkpoints.latest_checkpoint(str(tmp_path / "model"))
    assert 4 <= checkpoints.step_of(latest) <= 6
    assert_goes_on_as(undisturbed, tmp_path)


def test_a_nan_of_one_is_named_and_ends_all(tmp_path):
    run = train_tiny(2, tmp_path, fault="nan")
    assert run.codes == {0: 5, 1: 5}, run.output
    (line,) = run.error_lines()
    assert "step 6: Loss/localization_loss is nan" in line
    # Of rank 1, whose batches are others.
    assert "'s1005-0', 's1005-1'" in line


def test_the_end_of_one_input_ends_all(tmp_path):
    run = train_tiny(2, tmp_path, num_batches=5)
    assert run.codes == {0: 0, 1: 0}, run.output
    assert "ends at step 5 of 12" in run.output
    for rank in (0, 1):
        assert len(run.steps(rank)) == 5
