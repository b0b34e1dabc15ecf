"""How fast single steps are, for the benchmark modes of the recipes."""

import statistics
import time
from typing import NamedTuple

from object_detection.training import listeners, step_in_flight


class Speed(NamedTuple):
    """Images per second, over all processes, of steps measured one by one.

    Attributes:
        num_images: in all steps measured.
        seconds: of all of them.
        average: `num_images / seconds`.
        median: of the rates of the steps.
        least: of the same.
        greatest: of the same.
    """

    num_images: int
    seconds: float
    average: float
    median: float
    least: float
    greatest: float


def speed_of(images_per_step: int, seconds: list[float]) -> Speed:
    """Returns the speed of steps of equal size.

    Args:
        images_per_step: over all processes.
        seconds: of each step, one or more.
    """
    rates = [images_per_step / one for one in seconds]
    num_images = images_per_step * len(seconds)
    return Speed(
        num_images,
        sum(seconds),
        num_images / sum(seconds),
        statistics.median(rates),
        min(rates),
        max(rates),
    )


class StepTimes(listeners.TrainingListener):
    """Times each step, the wait for its input included.

    Args:
        num_warmup_steps: steps that are not counted.
    """

    def __init__(self, num_warmup_steps: int) -> None:
        self._num_left = num_warmup_steps
        self._end_seconds = time.perf_counter()
        self._images_per_step = 0
        self._seconds: list[float] = []

    def after_step(self, current: step_in_flight.StepInFlight) -> None:
        """Waits for the step; see `TrainingListener`."""
        current.read()
        now = time.perf_counter()
        if self._num_left:
            self._num_left -= 1
        else:
            self._seconds.append(now - self._end_seconds)
            self._images_per_step = current.num_images
        self._end_seconds = now

    @property
    def speed(self) -> Speed | None:
        """What was measured; None when every step was a warm-up."""
        if not self._seconds:
            return None
        return speed_of(self._images_per_step, self._seconds)
