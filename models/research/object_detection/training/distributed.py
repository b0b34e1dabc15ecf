"""This process's place among the processes of a run.

The only module that knows how processes find each other and add up their
gradients. A run has one process; being started as one of several is refused,
because several processes that do not know of each other would all train the
same model into the same directory.
"""

import os
from collections.abc import Mapping
from typing import Any

from object_detection.core import errors

Tensor = Any

# What the launchers (horovodrun, mpirun, srun, torchrun) tell each process.
_SIZE_VARIABLES = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def initialize() -> None:
    """Joins the other processes of the run.

    Raises:
        DistributedError: a launcher started this process as one of several.
    """
    for variable in _SIZE_VARIABLES:
        num_started = os.environ.get(variable, "1")
        if num_started != "1":
            raise errors.DistributedError(
                f"this process was started as one of {num_started} "
                f"({variable}); training on several processes is not "
                "supported yet: start one process"
            )


def rank() -> int:
    """Returns this process's number among all, from 0."""
    return 0


def local_rank() -> int:
    """Returns this process's number on its machine, from 0."""
    return 0


def size() -> int:
    """Returns the number of processes."""
    return 1


def is_main_process() -> bool:
    """Returns whether this is the one process that writes files."""
    return rank() == 0


def average_gradients(gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the mean over processes of each gradient."""
    return dict(gradients)
