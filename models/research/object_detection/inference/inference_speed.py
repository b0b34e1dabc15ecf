"""Times a detector on the evaluation records of its config.

Two ways, on batches of one size:

    with decoding     records -> decode -> resize -> network -> NMS -> numpy
    without decoding  batches in memory -> network -> NMS -> numpy

An iteration ends when its detections are in numpy arrays. Reading and decoding
go on beside the network, as they do when a detector is used.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields
from object_detection.utils import detection_results

Tensor = Any
# Images float32 [B, H, W, 3] in 0..255, resized, and true_image_shapes [B, 3].
Batch = tuple[Tensor, Tensor]

# Enough that not every iteration has the same detections to sort out.
_NUM_BATCHES_IN_MEMORY = 4


class InferenceSpeed(NamedTuple):
    """How long the iterations of a benchmark took.

    Attributes:
        batch_size: images an iteration.
        seconds: float64 [iterations], one after another without a gap.
    """

    batch_size: int
    seconds: np.ndarray

    @property
    def images_per_second(self) -> float:
        """All images over all seconds."""
        return self.batch_size * len(self.seconds) / float(self.seconds.sum())

    @property
    def mean_latency_ms(self) -> float:
        return 1000 * float(self.seconds.mean())

    def latency_ms(self, percentile: float) -> float:
        """Returns what so many percent of the iterations did not exceed."""
        return 1000 * float(np.percentile(self.seconds, percentile))

    def report(
        self, percentiles: Sequence[str], suffix: str = ""
    ) -> dict[str, float]:
        """Returns the values of DLLogger's report.

        Args:
            percentiles: as written by the user, which is how keys have them.
            suffix: of each key.
        """
        latencies = {"avg": self.mean_latency_ms}
        for percentile in percentiles:
            latencies[f"{percentile}%"] = self.latency_ms(float(percentile))
        return {
            f"infer_throughput{suffix}": self.images_per_second,
            **{
                f"eval_{name}_latency{suffix}": latency_ms
                for name, latency_ms in latencies.items()
            },
        }


def check_percentiles(percentiles: Sequence[str]) -> None:
    """Makes sure that each text is a number in 0..100.

    Raises:
        ConfigError: one is not.
    """
    for text in percentiles:
        try:
            is_valid = 0 <= float(text) <= 100
        except ValueError:
            is_valid = False
        if not is_valid:
            raise errors.ConfigError(
                f"--percentiles: expected numbers from 0 to 100, got {text!r}"
            )


def make_detect_function(
    model: Any, *, allow_xla: bool = False
) -> Callable[[Tensor, Tensor], dict[str, np.ndarray]]:
    """Returns the function from a batch to its detections, compiled.

    Args:
        model: a detector.
        allow_xla: whether XLA compiles it.
    """
    detect = detection_results.make_predict_function(model, allow_xla=allow_xla)

    def detect_to_numpy(
        images_BHW3: Tensor, true_shapes_B3: Tensor
    ) -> dict[str, np.ndarray]:
        detections = detect(images_BHW3, true_shapes_B3)
        return {name: np.asarray(value) for name, value in detections.items()}

    return detect_to_numpy


def measure(
    detect: Callable[[Tensor, Tensor], Any],
    dataset: tf.data.Dataset,
    *,
    num_warmup_iterations: int,
    num_iterations: int,
) -> tuple[InferenceSpeed, InferenceSpeed]:
    """Times a detector with decoding and without it.

    Args:
        detect: from `make_detect_function`.
        dataset: (features, labels) without end, all batches of one size.
        num_warmup_iterations: not counted, before each of the two.
        num_iterations: counted.

    Returns:
        The speed with decoding, and the speed on batches in memory.
    """
    batches = (_images_and_shapes(features) for features, _ in dataset)
    with_decoding = _time_iterations(
        detect, batches, num_warmup_iterations, num_iterations
    )
    # Identity puts them where the network runs.
    in_memory = [
        tuple(tf.identity(tensor) for tensor in batch)
        for batch in itertools.islice(batches, _NUM_BATCHES_IN_MEMORY)
    ]
    without_decoding = _time_iterations(
        detect,
        itertools.cycle(in_memory),
        num_warmup_iterations,
        num_iterations,
    )
    return with_decoding, without_decoding


def _images_and_shapes(features: dict[str, Tensor]) -> Batch:
    return (
        features[InputDataFields.image],
        features[InputDataFields.true_image_shape],
    )


def _time_iterations(
    detect: Callable[[Tensor, Tensor], Any],
    batches: Iterator[Batch],
    num_warmup_iterations: int,
    num_iterations: int,
) -> InferenceSpeed:
    batch_size = 0
    ends_seconds = []
    for number in range(num_warmup_iterations + num_iterations):
        if number == num_warmup_iterations:
            ends_seconds.append(time.perf_counter())
        images_BHW3, true_shapes_B3 = next(batches)
        detect(images_BHW3, true_shapes_B3)
        batch_size = int(images_BHW3.shape[0])
        if number >= num_warmup_iterations:
            ends_seconds.append(time.perf_counter())
    return InferenceSpeed(batch_size, np.diff(ends_seconds))
