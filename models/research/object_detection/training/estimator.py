"""Trains, evaluates and runs a detector whose training lives in a directory.

estimator = Estimator(model, RunConfig(model_dir), groundtruth_from_labels)
estimator.train(train_input_fn, options, max_steps=1000)
evaluation = estimator.evaluate(eval_input_fn, evaluators, categories)
for detections in estimator.predict(input_fn): ...
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection import eval_util
from object_detection.core import errors
from object_detection.core.containers import Groundtruth
from object_detection.core.standard_fields import InputDataFields
from object_detection.training import (
    checkpoints,
    distributed,
    optimizers,
    signals,
    training_loop,
)
from object_detection.training.options import TrainOptions
from object_detection.utils import detection_results

Tensor = Any

# Gives a finite dataset of (features, labels).
InputFn = Callable[[], tf.data.Dataset]


class Estimator:
    """A detector and the directory that holds its training.

    Args:
        model: a detector.
        config: the directory, and how often it is written to.
        groundtruth_from_labels: turns the labels of a batch into the
            detector's Groundtruth.
    """

    def __init__(
        self,
        model: Any,
        config: training_loop.RunConfig,
        groundtruth_from_labels: Callable[[Mapping[str, Tensor]], Groundtruth],
    ) -> None:
        self.model = model
        self.config = config
        self._groundtruth_from_labels = groundtruth_from_labels
        self._loop: training_loop.TrainingLoop | None = None

    def prepare_training(self, options: TrainOptions) -> int:
        """Takes the weights and slots of the newest checkpoint of model_dir.

        Returns:
            Number of steps made so far.

        Raises:
            CheckpointError: the run cannot be continued, or not be started
                from `options.fine_tune`.
            ConfigError: no variable is left to train, or `options.fine_tune`
                lies in model_dir.
        """
        if self._loop is None or self._loop.state.options is not options:
            self._loop = training_loop.TrainingLoop(
                self.model, options, self.config, self._groundtruth_from_labels
            )
        return self._loop.step

    def train(
        self,
        input_fn: training_loop.TrainInputFn,
        options: TrainOptions,
        max_steps: int,
        stop: signals.StopRequest | None = None,
        *,
        total_steps: int | None = None,
    ) -> int:
        """Trains until `max_steps` steps were made, those of before included.

        Saves a checkpoint at the start of a new run and at the end, which a
        stop by a signal also is.

        Args:
            input_fn: gives the dataset that begins at the batch of a step.
            options: how to train.
            max_steps: the step to reach.
            stop: looked at between steps.
            total_steps: the step to reach in the end, for the progress shown;
                None for `max_steps`.

        Returns:
            Number of steps made; fewer than `max_steps` after a stop or when
            the input ends.

        Raises:
            NumericsError: a loss or gradient is NaN or infinite.
            ResourceError: a checkpoint cannot be written.
            And those of `prepare_training`.
        """
        self.prepare_training(options)
        return self._loop.run(
            input_fn, max_steps, stop or signals.StopRequest(), total_steps
        )

    @property
    def train_images_per_second(self) -> float:
        """Images over seconds of training so far, 0 before its warm-up ends."""
        return self._loop.throughput.images_per_second if self._loop else 0.0

    def evaluate(
        self,
        input_fn: InputFn,
        evaluators: Sequence[Any],
        categories: Sequence[Mapping[str, Any]],
        *,
        checkpoint_path: str | None = None,
        name: str = "eval",
        use_moving_averages: bool = False,
        **settings: Any,
    ) -> eval_util.Evaluation | None:
        """Measures the detector and writes the result to `model_dir/<name>`.

        Of several processes, each has its share of the examples and the main
        one has and writes the result.

        Args:
            input_fn: gives every example once.
            evaluators: empty ones, see `eval_util.evaluate`.
            categories: the label map.
            checkpoint_path: a checkpoint or a directory; None for the weights
                in training, or else the newest of model_dir.
            name: directory in model_dir.
            use_moving_averages: whether to measure the running means of the
                weights instead of the weights.
            **settings: passed on to `eval_util.evaluate`.

        Raises:
            CheckpointError: there is no checkpoint, or it does not fit.
            ConfigError: the training keeps no moving averages.
            DataError: a record cannot be read or there is none.
        """
        with self._weights(checkpoint_path, use_moving_averages) as step:
            evaluation = eval_util.evaluate(
                self.model,
                input_fn(),
                evaluators,
                categories,
                self._groundtruth_from_labels,
                **settings,
            )
        if evaluation is not None:
            summary_dir = self.config.summary_dir or self.config.model_dir
            eval_util.write(
                evaluation,
                os.path.join(self.config.model_dir, name),
                step,
                os.path.join(summary_dir, name),
            )
        return evaluation

    def predict(
        self,
        input_fn: InputFn,
        *,
        checkpoint_path: str | None = None,
        use_moving_averages: bool = False,
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields the detections of each image of a dataset.

        Args:
            input_fn: gives `features`, or pairs of them and labels.
            checkpoint_path: see `evaluate`.
            use_moving_averages: see `evaluate`.

        Yields:
            What `postprocess` returns, of one image: `detection_boxes` [D, 4]
            normalised yxyx, `_scores` [D], `_classes` [D] from 0, and
            `num_detections`.
        """
        detect = detection_results.make_predict_function(self.model)
        with self._weights(checkpoint_path, use_moving_averages):
            for batch in input_fn():
                features = batch[0] if isinstance(batch, tuple) else batch
                detections = detect(
                    features[InputDataFields.image],
                    features[InputDataFields.true_image_shape],
                )
                arrays = {n: np.asarray(v) for n, v in detections.items()}
                for row in range(len(features[InputDataFields.image])):
                    yield {name: v[row] for name, v in arrays.items()}

    @contextlib.contextmanager
    def _weights(
        self, checkpoint_path: str | None, use_moving_averages: bool
    ) -> Iterator[int]:
        """Puts the wanted weights into the model; gives their step."""
        if checkpoint_path is None and self._loop is not None:
            with self._averages_in_training(use_moving_averages):
                yield self._loop.step
            return
        # Training goes on from the newest checkpoint, not from these weights.
        self._loop = None

        def restored_step() -> int:
            path = checkpoints.resolve(checkpoint_path or self.config.model_dir)
            step = checkpoints.restore(
                self.model, path, use_moving_averages=use_moving_averages
            )
            logging.info("Restored %s, step %d", path, step)
            return step

        step = distributed.from_main(restored_step)
        distributed.broadcast(self.model.checkpoint_variables().values())
        yield step

    def _averages_in_training(
        self, use_moving_averages: bool
    ) -> contextlib.AbstractContextManager[None]:
        if not use_moving_averages:
            return contextlib.nullcontext()
        optimizer = self._loop.state.optimizer
        if not isinstance(optimizer, optimizers.MovingAverage):
            raise errors.ConfigError(
                "eval_config.use_moving_averages: there are none, because the "
                "model is trained with train_config.optimizer."
                "use_moving_average: false"
            )
        return optimizer.averaged_weights()
