"""Which checkpoints a training run writes into its directory and keeps."""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from object_detection.core import errors
from object_detection.training import checkpoints, signals

_SECONDS_BETWEEN_ATTEMPTS = (1.0, 5.0)
_SECONDS_BETWEEN_LOOKS = 5.0


class CheckpointManager:
    """Saves `model.ckpt-<step>` and removes the oldest beyond a number.

    Keeps the newest `max_to_keep` and, of those that leave that list, one
    every `keep_every_n_hours`. The `checkpoint` file is written after the
    checkpoint itself, so it never names one that is not there.

    Args:
        model_dir: an existing directory, owned by this process.
        max_to_keep: positive.
        keep_every_n_hours: positive.
    """

    def __init__(
        self,
        model_dir: str,
        *,
        max_to_keep: int = 5,
        keep_every_n_hours: float = 10_000.0,
    ) -> None:
        self._model_dir = model_dir
        self._max_to_keep = max_to_keep
        self._keep_every_seconds = keep_every_n_hours * 3600.0
        self._kept: list[tuple[str, float]] = []
        self._next_preserved_time = time.time() + self._keep_every_seconds
        for path in checkpoints.sweep(model_dir):
            logging.info("Removed %s, left by a killed process", path)
        self._adopt_earlier_run()

    @property
    def latest(self) -> str | None:
        """The newest complete checkpoint of the directory."""
        return checkpoints.latest_checkpoint(self._model_dir)

    def save(self, step: int, variables: Mapping[str, Any]) -> str:
        """Writes a checkpoint and returns its path.

        A failed write is tried again, because a full disk may be emptied;
        the checkpoints before it stay.

        Raises:
            ResourceError: every attempt failed.
        """
        prefix = os.path.join(self._model_dir, f"{checkpoints.PREFIX}-{step}")
        for pause_seconds in (*_SECONDS_BETWEEN_ATTEMPTS, None):
            try:
                checkpoints.save(prefix, variables)
                self._record(prefix)
                return prefix
            except (OSError, tf.errors.OpError) as error:
                reason = str(error).split("\n")[0]
                if pause_seconds is None:
                    raise errors.ResourceError(
                        f"{prefix}: cannot be written ({reason}); the "
                        f"checkpoints before it are whole: {self.latest}. "
                        "Make room or repair the disk, and start again"
                    ) from error
                logging.warning(
                    "%s: cannot be written (%s); trying again in %g s",
                    prefix,
                    reason,
                    pause_seconds,
                )
                time.sleep(pause_seconds)
        raise AssertionError("the loop returns or raises")

    def _record(self, prefix: str) -> None:
        now = time.time()
        kept = [entry for entry in self._kept if entry[0] != prefix]
        kept.append((prefix, now))
        dropped = kept[: -self._max_to_keep]
        kept = kept[-self._max_to_keep :]
        checkpoints.write_text(
            os.path.join(self._model_dir, checkpoints.STATE_FILE),
            checkpoints.state_text(
                prefix, [p for p, _ in kept], [t for _, t in kept]
            ),
        )
        self._kept = kept
        for old_prefix, saved_time in dropped:
            if saved_time > self._next_preserved_time:
                self._next_preserved_time += self._keep_every_seconds
            else:
                checkpoints.delete(old_prefix)

    def _adopt_earlier_run(self) -> None:
        """Counts the checkpoints of an earlier run among those to remove."""
        state = checkpoints.read_state(self._model_dir)
        if state is None:
            return
        paths = list(state.all_model_checkpoint_paths)
        times = list(state.all_model_checkpoint_timestamps)
        times += [time.time()] * (len(paths) - len(times))
        self._kept = [
            (path, seconds)
            for path, seconds in zip(paths, times, strict=False)
            if os.path.exists(path + ".index")
        ]


def new_checkpoints(
    directory: str, min_seconds: float, stop: signals.StopRequest
) -> Iterator[str]:
    """Yields the newest checkpoint of a directory whenever it is another.

    Args:
        directory: may be empty or missing at first.
        min_seconds: between two of them.
        stop: looked at while there is none.

    Raises:
        SystemExit: after a signal; there is no other end.
    """
    last, earliest_seconds = None, 0.0
    logging.info("Waiting for checkpoints in %s", directory)
    while True:
        stop.exit_if_requested()
        newest = checkpoints.latest_checkpoint(directory)
        now = time.monotonic()
        if newest not in (None, last) and now >= earliest_seconds:
            last, earliest_seconds = newest, now + min_seconds
            yield newest
        else:
            stop.wait(_SECONDS_BETWEEN_LOOKS)
