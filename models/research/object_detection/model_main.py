"""Trains and evaluates the detector that a pipeline config describes.

    python object_detection/model_main.py --pipeline_config_path=ssd.config \
        --model_dir=/tmp/ssd [--num_train_steps=1000] [--eval_count=4]

With --checkpoint_dir it only evaluates. A run that was stopped goes on where
it was when the same command is given again. --help lists the flags.
"""

import os
import platform
import sys

if not __package__:
    # Run as a file: imports begin one directory up, and not in this one,
    # whose modules would hide others of the same name.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from absl import flags, logging  # noqa: E402

from object_detection import model_lib  # noqa: E402
from object_detection.core import errors  # noqa: E402
from object_detection.training import (  # noqa: E402
    amp,
    distributed,
    listeners,
)
from object_detection.training.training_loop import RunConfig  # noqa: E402
from object_detection.utils import (  # noqa: E402
    command,
    config_util,
    devices,
    exp_utils,
)

FLAGS = flags.FLAGS

# Paths may differ from machine to machine.
_FLAGS_OF_ONE_PROCESS = {
    "pipeline_config_path",
    "model_dir",
    "raport_file",
    "dump_dir",
}

# What is written and read.
flags.DEFINE_string("pipeline_config_path", None, "The pipeline config.")
flags.DEFINE_string(
    "model_dir", None, "Directory of checkpoints and events, made if missing."
)
flags.DEFINE_string(
    "hparams_overrides",
    None,
    "Overrides of config values: 'batch_size=16,learning_rate=0.01,"
    "model.ssd.loss.localization_weight=2'.",
)
flags.DEFINE_string(
    "raport_file", "summary.json", "DLLogger report; empty for none."
)
flags.DEFINE_alias("report_file", "raport_file")

# Input.
flags.DEFINE_integer(
    "max_bad_records",
    0,
    "Skip so many records that cannot be read, by name, before giving up.",
    lower_bound=0,
)

# Training.
flags.DEFINE_integer(
    "num_train_steps",
    None,
    "Step to reach, in place of train_config.num_steps.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "save_checkpoints_secs", 600, "0 for none by time.", lower_bound=0
)
flags.DEFINE_integer(
    "save_checkpoints_steps", None, "Also every so many steps.", lower_bound=1
)
flags.DEFINE_integer(
    "log_steps",
    100,
    "Steps between two lines of progress and between two points of a curve.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "seed", 0, "Of weights, order and augmentation.", lower_bound=0
)
flags.DEFINE_boolean(
    "deterministic", False, "Two runs give equal numbers, more slowly."
)
flags.DEFINE_boolean("amp", False, "Compute in a 16-bit type where it gains.")
flags.DEFINE_enum(
    "amp_dtype", None, sorted(amp.POLICIES), "The type that --amp uses."
)
flags.DEFINE_boolean("allow_xla", False, "Compile the training step by XLA.")
flags.DEFINE_integer(
    "accumulate_steps",
    1,
    "Batches that make one update, as on so many GPUs.",
    lower_bound=1,
)
flags.DEFINE_boolean(
    "scale_lr",
    False,
    "Multiply learning rates by processes times --accumulate_steps.",
)
flags.DEFINE_list(
    "profile_steps", None, "FIRST,LAST step to trace for TensorBoard."
)
flags.DEFINE_integer(
    "dump_step", None, "Write the tensors of this step.", lower_bound=1
)
flags.DEFINE_boolean(
    "dump_overflow",
    False,
    "Write those of the first step with NaN or infinity.",
)
flags.DEFINE_string("dump_dir", None, "Where to; MODEL_DIR/dump without it.")

# Several processes.
flags.DEFINE_boolean(
    "fp16_allreduce", False, "Send gradients between processes as float16."
)
flags.DEFINE_float(
    "rank_timeout_secs",
    600.0,
    "Seconds without progress after which a process counts as hanging, and "
    "that processes wait for each other at the start (a minute or more).",
    lower_bound=1.0,
)

# Evaluation.
flags.DEFINE_integer(
    "eval_count", 1, "Evaluations in training, at equal steps.", lower_bound=0
)
flags.DEFINE_integer(
    "eval_every_n_steps", None, "Also at these steps.", lower_bound=1
)
flags.DEFINE_string(
    "checkpoint_dir", None, "Only evaluate the checkpoints of this directory."
)
flags.DEFINE_boolean(
    "run_once", False, "With --checkpoint_dir: the newest only, then end."
)
flags.DEFINE_boolean(
    "eval_training_data", False, "With --checkpoint_dir: on the training set."
)
flags.DEFINE_integer(
    "sample_1_of_n_eval_examples",
    None,
    "In place of the evaluation reader's sample_1_of_n_examples.",
    lower_bound=1,
)
flags.DEFINE_integer(
    "sample_1_of_n_eval_on_train_examples",
    5,
    "With --eval_training_data: measure every n-th example.",
    lower_bound=1,
)
flags.DEFINE_boolean(
    "alsologtostder", True, "Without effect: logs go to standard error."
)
flags.mark_flags_as_required(["pipeline_config_path", "model_dir"])


def main(_: list[str]) -> None:
    """Does what the flags say."""
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)
    with distributed.processes(FLAGS.rank_timeout_secs):
        _set_up_process()
        _run()


def _run() -> None:
    eval_set = (
        model_lib.TRAINING
        if FLAGS.checkpoint_dir and FLAGS.eval_training_data
        else model_lib.VALIDATION
    )
    error = job = None
    try:
        job = _create_job(eval_set)
    except errors.DetectionError as caught:
        error = caught
    distributed.require_agreement(_facts(job), error)
    report = exp_utils.setup_dllogger(
        FLAGS.raport_file, is_main_process=distributed.is_main_process()
    )
    if not FLAGS.checkpoint_dir:
        model_lib.train_and_evaluate(
            job,
            report,
            eval_count=FLAGS.eval_count,
            eval_every_n_steps=FLAGS.eval_every_n_steps,
        )
        return
    evaluate = (
        model_lib.evaluate_once if FLAGS.run_once else model_lib.continuous_eval
    )
    evaluate(job, FLAGS.checkpoint_dir, report, name=eval_set)


def _create_job(eval_set: str) -> model_lib.EstimatorAndInputs:
    return model_lib.create_estimator_and_inputs(
        RunConfig(
            FLAGS.model_dir,
            save_checkpoints_secs=FLAGS.save_checkpoints_secs,
            save_checkpoints_steps=FLAGS.save_checkpoints_steps,
            log_steps=FLAGS.log_steps,
            save_summary_steps=FLAGS.log_steps,
            listeners=_listeners(),
        ),
        FLAGS.pipeline_config_path,
        is_training=not FLAGS.checkpoint_dir,
        hparams_overrides=FLAGS.hparams_overrides,
        train_steps=FLAGS.num_train_steps,
        sample_1_of_n_eval_examples=FLAGS.sample_1_of_n_eval_examples,
        sample_1_of_n_eval_on_train_examples=(
            FLAGS.sample_1_of_n_eval_on_train_examples
        ),
        eval_sets=[eval_set],
        seed=FLAGS.seed,
        compute_dtype=amp.compute_dtype(FLAGS.amp, FLAGS.amp_dtype),
        allow_xla=FLAGS.allow_xla,
        max_bad_records=FLAGS.max_bad_records,
        accumulate_steps=FLAGS.accumulate_steps,
        scale_lr=FLAGS.scale_lr,
        compress_gradients=FLAGS.fp16_allreduce,
    )


def _listeners() -> tuple[listeners.TrainingListener, ...]:
    found = []
    if FLAGS.profile_steps:
        try:
            first_step, last_step = map(int, FLAGS.profile_steps)
        except ValueError:
            raise errors.ConfigError(
                "--profile_steps: expected two numbers, FIRST,LAST, got "
                f"{','.join(FLAGS.profile_steps)}"
            ) from None
        log_dir = os.path.join(FLAGS.model_dir, "train")
        found.append(listeners.Profiler(log_dir, first_step, last_step))
    if FLAGS.dump_step or FLAGS.dump_overflow:
        found.append(
            listeners.TensorDump(
                FLAGS.dump_dir or os.path.join(FLAGS.model_dir, "dump"),
                at_step=FLAGS.dump_step,
                at_overflow=FLAGS.dump_overflow,
            )
        )
    return tuple(found)


def _facts(job: model_lib.EstimatorAndInputs | None) -> dict[str, str]:
    """Returns what has to be the same in all processes of a run."""
    facts = {
        "Python version": ".".join(platform.python_version_tuple()[:2]),
        "TensorFlow version": tf.__version__,
        "Keras version": keras.__version__,
    }
    if job is not None:
        facts["config"] = str(
            config_util.create_pipeline_proto_from_configs(job.configs)
        )
    for flag in FLAGS.get_flags_for_module(sys.modules[__name__]):
        if flag.name not in _FLAGS_OF_ONE_PROCESS:
            facts[f"--{flag.name}"] = str(flag.value)
    return facts


def _set_up_process() -> None:
    devices.set_up()
    if FLAGS.deterministic:
        tf.config.experimental.enable_op_determinism()


if __name__ == "__main__":
    command.run(main)
