"""Settings that all tests share."""

import logging
import os
from collections.abc import Iterator

import pytest

# The suite runs in several processes on few cores.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Lets a test read the log, whatever level a command before it has set."""
    logging.getLogger("absl").setLevel(logging.NOTSET)
    yield
