"""Stopping a run by a signal without losing what it has done."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import TypeVar

from object_detection.training import distributed

_Item = TypeVar("_Item")

_NUM_SIGNALS_TO_KILL = 3
_SECONDS_BETWEEN_LOOKS = 0.2


class StopRequest:
    """Turns SIGTERM and SIGINT into a flag while its block runs.

    The training loop looks at the flag between steps, saves and leaves with
    the shell's exit code for the signal. A second signal changes nothing, so
    that impatience does not cost the checkpoint; the third ends the process
    at once.

    Attributes:
        signum: the first signal that came, or None.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._num_signals = 0
        self._previous = {}

    def __enter__(self) -> "StopRequest":
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def exit_if_requested(self) -> None:
        """Ends the process with 128 + signal if a signal came.

        Raises:
            SystemExit: 143 after SIGTERM, 130 after SIGINT.
        """
        if self.signum is not None:
            raise SystemExit(128 + self.signum)

    def agreed_signum(self) -> int | None:
        """Gives all processes the signal that came to the first of them."""
        found = distributed.gather_objects(self.signum)
        self.signum = next((s for s in found if s is not None), None)
        return self.signum

    def exit_together(self) -> None:
        """Ends all processes if a signal came to one of them.

        Raises:
            SystemExit: as `exit_if_requested`.
        """
        if self.agreed_signum() is not None:
            distributed.raise_together(SystemExit(128 + self.signum))

    def wait(self, seconds: float) -> None:
        """Waits, but not longer than until a signal comes."""
        end_seconds = time.monotonic() + seconds
        while self.signum is None and time.monotonic() < end_seconds:
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def watch(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yields the items until a signal comes."""
        for item in items:
            if self.signum is not None:
                return
            distributed.progressed()
            yield item

    def _note(self, signum: int, frame: FrameType | None) -> None:
        del frame
        self._num_signals += 1
        if self.signum is None:
            self.signum = signum
        if self._num_signals >= _NUM_SIGNALS_TO_KILL:
            os._exit(128 + signum)
