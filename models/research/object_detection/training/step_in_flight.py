"""Training steps on their way: the batches to come, the results to wait for."""

import collections
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from absl import logging

from object_detection.core.standard_fields import InputDataFields
from object_detection.training import distributed, trainer

Tensor = Any
Batch = tuple[dict[str, Tensor], dict[str, Tensor]]


class StepInFlight(NamedTuple):
    """A step that was launched and may still run on the device."""

    step: int
    features: dict[str, Tensor]
    labels: dict[str, Tensor]
    result: trainer.StepResult

    @property
    def num_images(self) -> int:
        """How many images the step took, over all processes."""
        num_here = int(self.features[InputDataFields.image].shape[0])
        return num_here * distributed.size()

    def read(self) -> tuple[dict[str, float], float]:
        """Waits for the step; returns its losses and its learning rate."""
        with distributed.waiting():
            losses = {n: float(v) for n, v in self.result.losses.items()}
        return losses, float(self.result.learning_rate)

    def wants_stop(self) -> bool:
        """Waits for the step; returns whether any process wants to stop.

        Raises:
            NumericsError: its loss or a gradient is NaN or infinite.
        """
        with distributed.waiting():
            is_fatal = bool(self.result.is_fatal)
        if is_fatal:
            source_ids = self.features[InputDataFields.source_id].numpy()
            trainer.raise_numerics_error(
                self.step,
                self.result,
                [i.decode(errors="backslashreplace") for i in source_ids],
            )
        return bool(self.result.wants_stop)

    def finish(self) -> bool:
        """Does `wants_stop`, and warns of a loss scale that was too high."""
        wants_stop = self.wants_stop()
        scale = self.result.loss_scale
        if scale is None or not distributed.is_main_process():
            return wants_stop
        if not bool(self.result.is_applied):
            logging.warning(
                "Step %d made no update: its gradients overflowed at a loss "
                "scale of %g",
                self.step,
                float(scale),
            )
        return wants_stop


def upcoming(
    batches: Iterator[Batch], num_batches: int
) -> Iterator[tuple[Batch, bool]]:
    """Yields batches, and whether the next one is the input's last.

    Only several processes look ahead, because they have to end together: a
    step tells whether there will be one after the next, which is on its way
    already when this is read.
    """
    batches = itertools.islice(batches, num_batches)
    if distributed.size() == 1:
        yield from ((batch, False) for batch in batches)
        return
    ahead = collections.deque(itertools.islice(batches, 2))
    num_common = min(distributed.gather_objects(len(ahead)))
    if num_common < 2:
        yield from ((ahead.popleft(), True) for _ in range(num_common))
        return
    while ahead:
        batch = ahead.popleft()
        ahead.extend(itertools.islice(batches, 1))
        yield batch, len(ahead) < 2
