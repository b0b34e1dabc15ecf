r"""One process of a run that trains a tiny detector, with a fault if asked for.

    WORKER_SETTINGS='{"model_dir": "/tmp/m"}' horovodrun -np 2 \
        python qa/distributed/worker.py

`final-<rank>.npz` in the working directory gets the variables at the end,
`steps-<rank>.json` the losses of each step and whether it was applied.
"""

import dataclasses
import functools
import json
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from object_detection.core import errors
from object_detection.core.standard_fields import InputDataFields
from object_detection.training import (
    distributed,
    estimator,
    learning_schedules,
    optimizers,
    options,
    signals,
    tiny_detector,
    training_loop,
)
from object_detection.utils import command


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a test asks for.

    Attributes:
        model_dir: checkpoints.
        num_steps: the step to reach.
        seconds_per_step: a pause before each batch.
        timeout_seconds: see `distributed.processes`.
        fault: die, hang, stop, raise, nan, overflow, terminate or nothing.
        fault_rank: the process that has it.
        fault_step: at which batch, from 1.
        late_seconds: after which `fault_rank` looks for the others.
        num_batches: after which the input of `fault_rank` ends.
        num_joined: so many processes' batches are joined in each batch of this
            one, and taken in as many parts.
        use_loss_scale: see `TrainOptions`.
        jit_compile: see `TrainOptions`.
        compress_gradients: see `TrainOptions`.
    """

    model_dir: str
    num_steps: int = 12
    seconds_per_step: float = 0.0
    timeout_seconds: float = 600.0
    fault: str = ""
    fault_rank: int = 1
    fault_step: int = 6
    late_seconds: float = 0.0
    num_batches: int | None = None
    num_joined: int = 1
    use_loss_scale: bool = False
    jit_compile: bool = False
    compress_gradients: bool = False


def batches(settings: Settings, start_step: int) -> Iterator[tuple]:
    """Yields the batches of this process, other ones in each."""
    is_faulty = distributed.rank() == settings.fault_rank
    ranks = range(distributed.rank(), distributed.rank() + settings.num_joined)
    streams = [
        tiny_detector.input_fn_with()(start_step + 1000 * rank)
        for rank in ranks
    ]
    for step, parts in enumerate(zip(*streams, strict=True), start_step + 1):
        features, labels = tf.nest.map_structure(
            lambda *tensors: tf.concat(tensors, 0), *parts
        )
        time.sleep(settings.seconds_per_step)
        if is_faulty and settings.num_batches == step - 1:
            return
        if is_faulty and settings.fault and step == settings.fault_step:
            factor = _fault(settings.fault)
            image = features[InputDataFields.image]
            features = {**features, InputDataFields.image: image * factor}
        yield features, labels


def _fault(kind: str) -> float:
    """Has a fault, or returns what to multiply the images by."""
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
    if kind == "hang":
        time.sleep(1000.0)
    if kind == "raise":
        raise errors.DataError("a.record: record 3 is damaged")
    return {"nan": float("nan"), "overflow": 1e12}.get(kind, 1.0)


class Recorder(estimator.Estimator):
    """Keeps what each step reports."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            # First weights differ from process to process, on purpose.
            tiny_detector.TinyDetector(seed=distributed.rank()),
            training_loop.RunConfig(
                settings.model_dir,
                save_checkpoints_steps=4,
                keep_checkpoint_max=100,
                log_steps=1,
                save_summary_steps=1,
            ),
            tiny_detector.groundtruth_from_labels,
        )
        self.steps: list[dict[str, float]] = []

    def record(self, train_options: options.TrainOptions) -> None:
        """Begins to keep them."""
        self.prepare_training(train_options)
        loop = self._loop
        step_fn = loop._step_fn

        def recording(*batch: object) -> object:
            result = step_fn(*batch)
            self.steps.append(
                {
                    **{n: float(v) for n, v in result.losses.items()},
                    "is_applied": bool(result.is_applied),
                }
            )
            return result

        loop._step_fn = recording

    def variables(self) -> dict[str, np.ndarray]:
        """Returns all that a checkpoint holds."""
        named = self._loop.state.checkpoint_variables()
        return {name: np.asarray(v) for name, v in named.items()}


def make_options(settings: Settings) -> options.TrainOptions:
    """Returns how the tiny detector is trained."""
    return options.TrainOptions(
        make_optimizer=functools.partial(optimizers.Momentum, momentum=0.9),
        learning_rate=functools.partial(
            learning_schedules.cosine_decay_with_warmup,
            learning_rate_base=0.02,
            total_steps=settings.num_steps,
            warmup_steps=4,
        ),
        num_parts=settings.num_joined,
        use_loss_scale=settings.use_loss_scale,
        jit_compile=settings.jit_compile,
        compress_gradients=settings.compress_gradients,
    )


def main(_: list[str]) -> None:
    settings = Settings(**json.loads(os.environ["WORKER_SETTINGS"]))
    if os.environ.get("HOROVOD_RANK") == str(settings.fault_rank):
        time.sleep(settings.late_seconds)
    with (
        distributed.processes(settings.timeout_seconds),
        signals.StopRequest() as stop,
    ):
        worker = Recorder(settings)
        train_options = make_options(settings)
        worker.record(train_options)
        try:
            worker.train(
                functools.partial(batches, settings),
                train_options,
                settings.num_steps,
                stop,
            )
        finally:
            rank = distributed.rank()
            with open(f"steps-{rank}.json", "w", encoding="utf-8") as file:
                json.dump(worker.steps, file)
        np.savez(f"final-{rank}.npz", **worker.variables())
        stop.exit_together()


if __name__ == "__main__":
    command.run(main)
