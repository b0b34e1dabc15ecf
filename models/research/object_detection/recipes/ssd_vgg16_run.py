"""The folder of a run of SSD-VGG: its checkpoints, by epoch and by number.

<name>/e<epoch>.ckpt         every --checkpoint-interval epochs
<name>/final.ckpt            at the end
<name>/model.ckpt-<step>     the newest state, to go on from
<name>/pipeline.config       what the run consists of
"""

import os
import re
import sys
from typing import NoReturn

from object_detection.core import errors
from object_detection.recipes import jobs
from object_detection.training import checkpoints, distributed

EPOCH_PATTERN = "e{epoch}.ckpt"
FINAL_NAME = "final.ckpt"
MAX_EPOCHS_KEPT = 20

_EPOCH_INDEX = re.compile(r"e(\d+)\.ckpt\.index")


def begin(name: str) -> None:
    """Makes sure that a new run has a folder of its own.

    Raises:
        SystemExit: with 1, the folder is there.
    """
    if distributed.from_main(lambda: os.path.exists(name)):
        _refuse(
            f"--name: {name} is there already; go on with its run by "
            "--continue-training true, or give another name"
        )


def go_on(name: str) -> int:
    """Makes a run go on from its newest state, else from its last epoch.

    Returns:
        Number of steps made so far.

    Raises:
        SystemExit: with 1, there is neither.
        CheckpointError: the checkpoint is damaged.
    """
    newest = distributed.from_main(lambda: checkpoints.latest_checkpoint(name))
    if newest is None:
        epochs = distributed.from_main(lambda: _checkpoints_of_epochs(name))
        if not epochs:
            _refuse(
                f"--continue-training: {name} has no checkpoint to go on from"
            )
        newest = epochs[-1]
        jobs.adopt_checkpoint(newest, name)
    return distributed.from_main(
        lambda: checkpoints.global_step(checkpoints.Reader(newest))
    )


def named_checkpoints(name: str) -> list[str]:
    """Returns the checkpoints of epochs, and the final one behind them.

    A run that has none of them yet has those of steps.
    """
    found = _checkpoints_of_epochs(name)
    final = os.path.join(name, FINAL_NAME)
    if checkpoints.exists(final):
        found.append(final)
    return found or checkpoints.checkpoints_in(name)


def find(name: str, which: str) -> str:
    """Returns the checkpoint that --checkpoint means.

    Args:
        name: folder of the run.
        which: place among `named_checkpoints`, -1 for the last one; or a path.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    if not re.fullmatch(r"-?\d+", which):
        return checkpoints.resolve(which)
    found = named_checkpoints(name)
    try:
        return found[int(which)]
    except IndexError:
        raise errors.CheckpointError(
            f"--checkpoint {which}: {name} has {len(found)} checkpoints; "
            "expected a place among them, from 0, or from -1 for the last one"
        ) from None


def _checkpoints_of_epochs(name: str) -> list[str]:
    """Returns those of a folder, which may be missing, by rising epochs."""
    if not os.path.isdir(name):
        return []
    found = sorted(
        int(match.group(1))
        for match in map(_EPOCH_INDEX.fullmatch, os.listdir(name))
        if match
    )
    return [
        os.path.join(name, EPOCH_PATTERN.format(epoch=epoch)) for epoch in found
    ]


def _refuse(message: str) -> NoReturn:
    """Ends all processes with the exit code that the original has."""
    if distributed.is_main_process():
        print(f"ERROR: {message}", file=sys.stderr)
    distributed.raise_together(SystemExit(1))
