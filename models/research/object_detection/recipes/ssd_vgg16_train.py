r"""Trains SSD300 or SSD512 on VGG-16, as the SSD-VGG for Ascend does.

    python -m object_detection.recipes.ssd_vgg16_train --name=ckpt \
        --data-dir=pascal-voc --vgg-dir=vgg_graph

Flags, log lines and checkpoints are those of its command train.py. Several
processes are started by horovodrun; they share the images of each epoch. The
scripts in examples/ssd_vgg16 give the flags of its recipes.
"""

import argparse
import functools
import os
import sys

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

import tensorflow as tf  # noqa: E402
from absl import logging  # noqa: E402

from object_detection import model_lib  # noqa: E402
from object_detection.builders import evaluator_builder  # noqa: E402
from object_detection.recipes import (  # noqa: E402
    epochs,
    jobs,
    ssd_vgg16_log,
    ssd_vgg16_overrides,
    ssd_vgg16_run,
)
from object_detection.recipes import ssd_vgg16_flags as flags  # noqa: E402
from object_detection.training import (  # noqa: E402
    checkpoints,
    distributed,
    listeners,
)
from object_detection.training.training_loop import TrainInputFn  # noqa: E402
from object_detection.utils import command, devices, exp_utils  # noqa: E402

_SECONDS_BETWEEN_STATES = 600.0
_NUM_STATES_KEPT = 2
_PROFILED_STEPS = (10, 20)
# Of the detections that count for the training mAP.
_MIN_SCORE = 0.5


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    flags.check(arguments)
    with distributed.processes():
        devices.set_up()
        _train(arguments)


def _train(arguments: argparse.Namespace) -> None:
    name = arguments.name
    start_step = 0
    if arguments.continue_training:
        start_step = ssd_vgg16_run.go_on(name)
    else:
        ssd_vgg16_run.begin(name)
    job = _create_job(arguments, start_step)
    steps_per_epoch = jobs.steps_per_epoch(job)
    _say_what_begins(arguments, job, steps_per_epoch, start_step)
    report = exp_utils.setup_dllogger(
        arguments.json_summary or "",
        is_main_process=distributed.is_main_process(),
        flag="--json-summary",
    )
    _look_on(arguments, job, report, steps_per_epoch, start_step)
    interval = arguments.eval_interval * steps_per_epoch
    model_lib.train_and_evaluate(
        job,
        ssd_vgg16_log.Evaluations(
            report, os.path.join(name, model_lib.VALIDATION), steps_per_epoch
        ),
        eval_every_n_steps=interval or None,
    )
    if distributed.is_main_process():
        final = os.path.join(name, ssd_vgg16_run.FINAL_NAME)
        epochs.name_checkpoint(checkpoints.latest_checkpoint(name), final)
        ssd_vgg16_log.say(f"[i] Checkpoint saved: {final}")


def _create_job(
    arguments: argparse.Namespace, start_step: int
) -> model_lib.EstimatorAndInputs:
    data = ssd_vgg16_overrides.find_data(arguments.data_dir, arguments.preset)
    compute_dtype = flags.COMPUTE_DTYPES[arguments.precision_mode]
    if compute_dtype == "float16" and not tf.config.get_visible_devices("GPU"):
        logging.warning(
            "--precision_mode %s: CPUs compute float16 very slowly, and there "
            "is no GPU",
            arguments.precision_mode,
        )
    job = jobs.create_job(
        data.config_path,
        arguments.name,
        {
            **data.overrides,
            **ssd_vgg16_overrides.make(arguments, is_new=not start_step),
        },
        arguments.hparams_overrides,
        compute_dtype=compute_dtype,
    )
    return job._replace(
        train_input_fn=_on_threads(job.train_input_fn, arguments.num_workers)
    )


def _on_threads(input_fn: TrainInputFn, num_threads: int) -> TrainInputFn:
    """Gives an input threads of its own, so many and no more."""

    def with_threads(start_step: int = 0) -> tf.data.Dataset:
        options = tf.data.Options()
        options.threading.private_threadpool_size = num_threads
        return input_fn(start_step).with_options(options)

    return with_threads


def _say_what_begins(
    arguments: argparse.Namespace,
    job: model_lib.EstimatorAndInputs,
    steps_per_epoch: int,
    start_step: int,
) -> None:
    train_config = job.configs["train_config"]
    size = distributed.size()
    ssd_vgg16_log.say_all(
        {
            "Project name": arguments.name,
            "Data directory": arguments.data_dir,
            "VGG weights": train_config.fine_tune_checkpoint or "none",
            "Epochs": arguments.epochs,
            "Batch size": train_config.batch_size,
            "Processes": f"{size}, {size * train_config.batch_size} images a "
            "step",
            "Training samples": train_config.examples_per_epoch,
            "Steps per epoch": steps_per_epoch,
            "Steps": f"{start_step} to {job.train_steps}",
            "Learning rates": arguments.lr_values,
            "Learning rate boundaries": arguments.lr_boundaries,
            "Momentum": arguments.momentum,
            "Weight decay": arguments.weight_decay,
            "Checkpoint interval": arguments.checkpoint_interval,
            "Continue training": arguments.continue_training,
            "Workers": arguments.num_workers,
            "Precision mode": f"{arguments.precision_mode}, "
            f"{flags.COMPUTE_DTYPES[arguments.precision_mode]}",
            "Tensorboard directory": arguments.tensorboard_dir,
        }
    )


def _look_on(
    arguments: argparse.Namespace,
    job: model_lib.EstimatorAndInputs,
    report: exp_utils.DLLogger,
    steps_per_epoch: int,
    start_step: int,
) -> None:
    """Adds what looks on, in the order in which it is told of a step."""
    looking_on: list[listeners.TrainingListener] = []
    accuracy = None
    if arguments.train_map_interval:
        accuracy = ssd_vgg16_log.TrainAccuracy(
            arguments.train_map_interval,
            _MIN_SCORE,
            lambda: evaluator_builder.build(
                job.configs["eval_config"], job.categories[model_lib.VALIDATION]
            )[0],
        )
    lines = ssd_vgg16_log.EpochLines(
        steps_per_epoch, report, accuracy, arguments.tensorboard_dir
    )
    looking_on.append(lines)
    if accuracy is not None:
        looking_on.append(accuracy)
    looking_on.append(_Checkpoints(arguments, steps_per_epoch))
    looking_on.append(ssd_vgg16_log.WeightHistograms(arguments.tensorboard_dir))
    if arguments.over_dump or arguments.data_dump:
        step = arguments.data_dump_step if arguments.data_dump else None
        looking_on.append(
            listeners.TensorDump(
                arguments.dump_path,
                at_step=step,
                at_overflow=arguments.over_dump,
            )
        )
    if arguments.profiling:
        first, last = (
            min(start_step + step, job.train_steps) for step in _PROFILED_STEPS
        )
        log_dir = os.path.join(arguments.tensorboard_dir, "train")
        looking_on.append(listeners.Profiler(log_dir, first, last))
    jobs.look_on(
        job,
        looking_on,
        save_checkpoints_secs=_SECONDS_BETWEEN_STATES,
        save_checkpoints_steps=arguments.checkpoint_interval * steps_per_epoch,
        keep_checkpoint_max=_NUM_STATES_KEPT,
        save_summary_steps=min(100, steps_per_epoch),
        summary_dir=arguments.tensorboard_dir,
        progress_label=functools.partial(
            _label_of_step, steps_per_epoch, arguments.epochs
        ),
    )


def _label_of_step(steps_per_epoch: int, num_epochs: int, step: int) -> str:
    return f"[i] Train {1 + (step - 1) // steps_per_epoch:>2}/{num_epochs}"


class _Checkpoints(epochs.EpochCheckpoints):
    """Names the checkpoints of epochs as the original does, and tells it."""

    def __init__(
        self, arguments: argparse.Namespace, steps_per_epoch: int
    ) -> None:
        super().__init__(
            steps_per_epoch,
            os.path.join(arguments.name, ssd_vgg16_run.EPOCH_PATTERN),
            every_epochs=arguments.checkpoint_interval,
            max_to_keep=ssd_vgg16_run.MAX_EPOCHS_KEPT,
        )

    def show_checkpoint(self, epoch: int, name: str) -> None:
        ssd_vgg16_log.say(f"[i] Checkpoint saved: {name}")


if __name__ == "__main__":
    command.run_with_arguments(flags.parser(__doc__), main)
