"""Trains, evaluates and times NVIDIA's SSD300 with ResNet-50.

    python object_detection/recipes/ssd300_resnet50.py --data /coco \\
        --batch-size 64 --warmup 300 --amp --save models

Flags, log lines and checkpoints are those of its command main.py. Several
processes are started by horovodrun. The scripts in examples/ssd300_resnet50
give the flags of its recipes.
"""

import argparse
import os
import secrets
import sys
import tempfile
from typing import Any

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

import tensorflow as tf  # noqa: E402
from absl import logging  # noqa: E402

from object_detection import inputs, model_lib  # noqa: E402
from object_detection.core import errors  # noqa: E402
from object_detection.inference import inference_speed  # noqa: E402
from object_detection.recipes import (  # noqa: E402
    jobs,
    ssd300_resnet50_log,
    ssd300_resnet50_overrides,
    step_times,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_resnet50_flags as flags,
)
from object_detection.training import (  # noqa: E402
    amp,
    checkpoints,
    distributed,
    listeners,
)
from object_detection.utils import command, devices  # noqa: E402

Tensor = Any


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    with distributed.processes():
        _set_up_process(arguments)
        try:
            flags.check(arguments, distributed.size())
        except errors.ConfigError as error:
            distributed.raise_together(error)
        log = ssd300_resnet50_log.RunLog(
            arguments.json_summary, distributed.is_main_process()
        )
        {
            flags.TRAINING: _train,
            flags.EVALUATION: _evaluate,
            flags.BENCHMARK_TRAINING: _time_training,
            flags.BENCHMARK_INFERENCE: _time_inference,
        }[arguments.mode](arguments, log)


def _set_up_process(arguments: argparse.Namespace) -> None:
    devices.set_up(uses_gpus=not arguments.no_cuda)
    tf.config.experimental.enable_tensor_float_32_execution(
        arguments.allow_tf32
    )
    if arguments.data_layout:
        tf.config.optimizer.set_experimental_options(
            {"layout_optimizer": arguments.data_layout == flags.CHANNELS_FIRST}
        )


def _create_job(
    arguments: argparse.Namespace,
    log: ssd300_resnet50_log.RunLog,
    model_dir: str,
    **settings: Any,
) -> model_lib.EstimatorAndInputs:
    size = distributed.size()
    seed = arguments.seed
    if seed is None:
        seed = distributed.from_main(lambda: secrets.randbelow(2**31))
    compute_dtype = amp.compute_dtype(arguments.amp, arguments.amp_dtype)
    job = jobs.create_job(
        arguments.config,
        model_dir,
        ssd300_resnet50_overrides.make(arguments, size),
        arguments.hparams_overrides,
        seed=seed,
        compute_dtype=compute_dtype,
        **settings,
    )
    total_rate = ssd300_resnet50_overrides.total_learning_rate(arguments, size)
    log.log_flags(
        arguments,
        seed=seed,
        precision=compute_dtype,
        processes=size,
        total_learning_rate=total_rate,
    )
    return job


def _train(
    arguments: argparse.Namespace, log: ssd300_resnet50_log.RunLog
) -> None:
    directory = arguments.save
    if arguments.checkpoint is not None:
        _require_checkpoint(arguments.checkpoint)
        jobs.adopt_checkpoint(arguments.checkpoint, directory)
    job = _create_job(arguments, log, directory)
    _require_first_weights(job)
    num_steps = jobs.steps_per_epoch(job)
    lines = ssd300_resnet50_log.EpochLines(
        log, num_steps, arguments.log_interval
    )
    looking_on: list[listeners.TrainingListener] = []
    if distributed.is_main_process():
        label_map_path = job.configs["train_input_config"].label_map_path
        looking_on = [
            lines,
            ssd300_resnet50_log.Checkpoints(
                log, directory, num_steps, label_map_path
            ),
        ]
    jobs.look_on(
        job,
        looking_on,
        log_steps=arguments.log_interval,
        save_summary_steps=arguments.log_interval,
        save_checkpoints_steps=num_steps,
    )

    def epoch() -> int:
        steps_made = job.estimator.prepare_training(job.train_options)
        return steps_made // num_steps - 1

    model_lib.train_and_evaluate(
        job,
        ssd300_resnet50_log.Evaluations(log, epoch),
        eval_count=0,
        eval_steps=[(e + 1) * num_steps for e in arguments.evaluation],
        look_at=log.log_prediction,
    )
    log.log({"total time": lines.total_seconds})


def _evaluate(
    arguments: argparse.Namespace, log: ssd300_resnet50_log.RunLog
) -> None:
    _require_checkpoint(arguments.checkpoint)
    job = _create_job(arguments, log, arguments.save, is_training=False)
    evaluations = ssd300_resnet50_log.Evaluations(log)
    model_lib.evaluate_once(
        job, arguments.checkpoint, evaluations, look_at=log.log_prediction
    )
    log.say(f"Model precision {evaluations.precision} mAP")


def _time_training(
    arguments: argparse.Namespace, log: ssd300_resnet50_log.RunLog
) -> None:
    num_warmup = arguments.benchmark_warmup
    with tempfile.TemporaryDirectory() as model_dir:
        job = _create_job(
            arguments,
            log,
            model_dir,
            train_steps=num_warmup + arguments.benchmark_iterations,
        )
        times = step_times.StepTimes(num_warmup)
        jobs.look_on(job, [times])
        model_lib.train_and_evaluate(
            job, ssd300_resnet50_log.Evaluations(log), eval_count=0
        )
    log.log_speed(times.speed)
    log.say(f"Training performance = {times.speed.average:.3f} FPS")


def _time_inference(
    arguments: argparse.Namespace, log: ssd300_resnet50_log.RunLog
) -> None:
    """Times the network alone, on images in memory, as NVIDIA does."""
    job = _create_job(arguments, log, model_dir="", is_training=False)
    if arguments.checkpoint is not None:
        _require_checkpoint(arguments.checkpoint)
        checkpoints.restore(
            job.estimator.model, checkpoints.resolve(arguments.checkpoint)
        )
    input_fn = inputs.create_eval_input_fn(
        job.configs["eval_config"],
        job.configs["eval_input_configs"][0],
        job.configs["model"],
        batch_size=arguments.eval_batch_size,
        reader_path="eval_input_reader[0]",
        repeat=True,
    )
    with inputs.errors_explained():
        with_input, alone = inference_speed.measure(
            _network_alone(job.estimator.model),
            input_fn(),
            num_warmup_iterations=arguments.benchmark_warmup,
            num_iterations=arguments.benchmark_iterations,
        )
    log.log_speed(step_times.speed_of(alone.batch_size, alone.seconds.tolist()))
    log.say(f"Images/sec with input: {with_input.images_per_second:.3f}")


def _network_alone(model: Any) -> Any:
    """Returns the function from images to predictions, without suppression."""

    @tf.function(autograph=False)
    def predict(images_BHW3: Tensor, true_shapes_B3: Tensor) -> dict:
        return model.predict(
            model.normalize(images_BHW3), true_shapes_B3, training=False
        )

    def wait_for_predictions(
        images_BHW3: Tensor, true_shapes_B3: Tensor
    ) -> None:
        for value in predict(images_BHW3, true_shapes_B3).values():
            value.numpy()

    return wait_for_predictions


def _require_checkpoint(path: str) -> None:
    def look() -> None:
        try:
            checkpoints.resolve(path)
        except errors.CheckpointError as error:
            raise errors.CheckpointError(
                f"Provided checkpoint is not path to a file: {error}"
            ) from error

    distributed.from_main(look)


def _require_first_weights(job: model_lib.EstimatorAndInputs) -> None:
    """Says how to get the weights that a new run begins with."""
    path = job.configs["train_config"].fine_tune_checkpoint

    def look() -> None:
        model_dir = job.estimator.config.model_dir
        is_new = checkpoints.latest_checkpoint(model_dir) is None
        if (
            is_new
            and path
            and not (os.path.exists(path) or checkpoints.exists(path))
        ):
            raise errors.CheckpointError(
                f"--backbone-path: {path} is not there; expected torchvision's "
                "ImageNet weights as .safetensors or .npz (where PyTorch is: "
                "safetensors.torch.save_file(torchvision.models.resnet50("
                "weights='IMAGENET1K_V1').state_dict(), PATH)), or "
                f"'{flags.RANDOM_WEIGHTS}' to begin with random ones"
            )

    distributed.from_main(look)


if __name__ == "__main__":
    command.run_with_arguments(flags.parser(__doc__), main)
