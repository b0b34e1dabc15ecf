r"""Trains MindSpore's SSD300 with MobileNet v2.

    python object_detection/recipes/ssd300_mobilenet_v2_train.py \
        --dataset coco --coco_root /data/coco2017 --lr 0.05

Flags, log lines and checkpoints are those of its command train.py. Several
processes are started by horovodrun. The scripts in
examples/ssd300_mobilenet_v2 give the flags of its recipes.
"""

import argparse
import os
import sys
from typing import Any

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

from absl import logging  # noqa: E402

from object_detection import model_lib  # noqa: E402
from object_detection.recipes import epochs, jobs  # noqa: E402
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_flags as flags,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_log as log,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_overrides as overrides,
)
from object_detection.recipes import (  # noqa: E402
    ssd300_mobilenet_v2_setup as setup,
)
from object_detection.training import (  # noqa: E402
    checkpoints,
    distributed,
    learning_schedules,
    listeners,
    trainer,
)
from object_detection.utils import command  # noqa: E402


class _FirstRate(listeners.TrainingListener):
    """Says at which step and learning rate a training begins."""

    def __init__(
        self, learning_rate: learning_schedules.Schedule, steps_per_epoch: int
    ) -> None:
        self._learning_rate = learning_rate
        self._steps_per_epoch = steps_per_epoch

    def begin(self, state: trainer.TrainState) -> None:
        step = int(state.global_step.value)
        log.say(
            f"after {step} steps ({step / self._steps_per_epoch:g} epochs) "
            f"the learning rate is {float(self._learning_rate(step)):.6g}"
        )


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    with distributed.processes():
        flags.check(arguments, distributed.size())
        compute_dtype = setup.set_up_process(arguments)
        values = overrides.for_training(arguments)
        configs = jobs.read_configs(
            arguments.config_path, values, arguments.hparams_overrides
        )
        if arguments.print_config:
            setup.show_config(arguments, configs)
            return
        reader = configs["train_input_config"]
        setup.make_records(reader, "train_input_reader")
        if arguments.only_create_dataset:
            return
        num_steps = jobs.steps_per_epoch_of(configs, distributed.size())
        train_config = configs["train_config"]
        log.say("Create dataset done!")
        log.say(
            f"{num_steps} steps per epoch: {train_config.examples_per_epoch} "
            f"images / ({train_config.batch_size} per device * "
            f"{distributed.size()} devices), rounded down"
        )
        values["train_config.examples_per_epoch"] = (
            train_config.examples_per_epoch
        )
        _train(arguments, values, compute_dtype, num_steps)


def _train(
    arguments: argparse.Namespace,
    values: dict[str, Any],
    compute_dtype: str,
    num_steps: int,
) -> None:
    """Trains.

    Args:
        arguments: of the command.
        values: what they give to fields of the config.
        compute_dtype: the type to compute in.
        num_steps: of an epoch.
    """
    report = log.setup_report(arguments.json_summary)
    first_weights, looking_on = _first_weights(arguments, num_steps)
    job = jobs.create_job(
        arguments.config_path,
        arguments.model_dir,
        values | first_weights,
        arguments.hparams_overrides,
        # Nothing is evaluated, and so no image of an evaluation needed.
        eval_sets=(),
        seed=arguments.seed,
        compute_dtype=compute_dtype,
    )
    options = job.train_options
    if options.use_loss_scale:
        log.say(f"{compute_dtype}, loss scale {options.loss_scale.initial:g}")
    else:
        log.say(f"{compute_dtype}, without a loss scale")
    jobs.look_on(
        job,
        [
            *looking_on,
            _FirstRate(options.learning_rate, num_steps),
            log.EpochLines(num_steps, arguments.mode == flags.NORMAL),
            epochs.EpochCheckpoints(
                num_steps,
                os.path.join(
                    arguments.model_dir, "ssd-{epoch}_{steps_per_epoch}.ckpt"
                ),
                every_epochs=arguments.save_checkpoint_epochs,
                also_epochs=[job.train_steps / num_steps],
            ),
        ],
        save_checkpoints_steps=num_steps * arguments.save_checkpoint_epochs,
    )
    model_lib.train_and_evaluate(job, report, eval_count=0)


def _first_weights(
    arguments: argparse.Namespace, num_steps: int
) -> tuple[dict[str, Any], list[listeners.TrainingListener]]:
    """Returns where first weights come from, and who sets the first step."""
    path = arguments.pre_trained
    if not path:
        return {}, []
    first_step = num_steps * arguments.pre_trained_epoch_size
    if first_step and not arguments.filter_weight:
        step = distributed.from_main(
            lambda: checkpoints.global_step(checkpoints.Reader(path))
        )
        if step == first_step:
            log.say(f"Going on from {path}, of step {step}")
            jobs.adopt_checkpoint(path, arguments.model_dir)
            return {}, []
    log.say(
        f"Taking the weights of {path}"
        + (", without those of the heads" if arguments.filter_weight else "")
    )
    return {
        "train_config.fine_tune_checkpoint": path,
        "train_config.fine_tune_checkpoint_type": "detection",
        "train_config.load_all_detection_checkpoint_vars": (
            not arguments.filter_weight
        ),
    }, [epochs.StartAtStep(first_step)]


if __name__ == "__main__":
    command.run_with_arguments(flags.training_parser(__doc__), main)
