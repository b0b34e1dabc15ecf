"""TensorBoard events of a run: scalars, pictures, distributions by step."""

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf


class SummaryWriter:
    """Writes into one directory, which is made at the first value.

    Args:
        directory: `<model_dir>/train` or `<model_dir>/eval`.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._writer = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one point to each curve."""
        with self._opened().as_default(step=step):
            for tag, value in values.items():
                tf.summary.scalar(tag, value)

    def images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Adds pictures by tag, each uint8 [H, W, 3]."""
        with self._opened().as_default(step=step):
            for tag, image in images.items():
                tf.summary.image(tag, image[np.newaxis])

    def histograms(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Adds the distribution of an array of any shape to each tag."""
        with self._opened().as_default(step=step):
            for tag, value in values.items():
                tf.summary.histogram(tag, value)

    def flush(self) -> None:
        """Makes what was added visible to readers."""
        if self._writer is not None:
            self._writer.flush()

    def _opened(self) -> tf.summary.SummaryWriter:
        if self._writer is None:
            os.makedirs(self._directory, exist_ok=True)
            self._writer = tf.summary.create_file_writer(self._directory)
        return self._writer
