r"""Measures the speed of inference: images per second and latencies.

    python examples/SSD320_inference.py --checkpoint_dir=runs/ssd320 \
        --pipeline_config_path=configs/ssd320_full_1gpus.config

reads the records of the evaluation reader again and again, and prints
`Benchmark result: X img/s`: from the record to the detections, an iteration a
batch. What the network and post-processing alone reach is printed after it.
Without --checkpoint_dir the weights are random, and latencies a little longer:
nearly every box is a candidate then.
"""

import os
import sys

# Of the checkout that this file is in, whatever is installed.
sys.path[0] = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    "models",
    "research",
)

import object_detection  # noqa: E402, F401, I001 - it quietens TensorFlow
from absl import flags, logging  # noqa: E402

from object_detection import inputs, model_lib  # noqa: E402
from object_detection.inference import inference_speed  # noqa: E402
from object_detection.training import amp, checkpoints  # noqa: E402
from object_detection.training.training_loop import RunConfig  # noqa: E402
from object_detection.utils import command, devices, exp_utils  # noqa: E402

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "checkpoint_dir",
    None,
    "A checkpoint, or a directory for its newest; random weights without it.",
)
flags.DEFINE_string("pipeline_config_path", None, "The pipeline config.")
flags.DEFINE_string(
    "hparams_overrides", None, "Overrides of config values, as in training."
)
flags.DEFINE_string(
    "raport_file", "summary.json", "DLLogger report; empty for none."
)
flags.DEFINE_alias("report_file", "raport_file")
flags.DEFINE_integer(
    "warmup_iters", 100, "Iterations that are not counted.", lower_bound=1
)
flags.DEFINE_integer(
    "benchmark_iters", 300, "Iterations that are counted.", lower_bound=1
)
flags.DEFINE_integer("batch_size", 1, "Images an iteration.", lower_bound=1)
flags.DEFINE_list(
    "percentiles", ["90", "95", "99"], "Of the latency, to report."
)
flags.DEFINE_boolean("amp", False, "Compute in a 16-bit type where it gains.")
flags.DEFINE_enum(
    "amp_dtype", None, sorted(amp.POLICIES), "The type that --amp uses."
)
flags.DEFINE_boolean("allow_xla", False, "Compile the detector by XLA.")
flags.mark_flag_as_required("pipeline_config_path")


def main(_: list[str]) -> None:
    """Does what the flags say."""
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)
    devices.set_up()
    inference_speed.check_percentiles(FLAGS.percentiles)
    job = model_lib.create_estimator_and_inputs(
        RunConfig(model_dir=""),
        FLAGS.pipeline_config_path,
        is_training=False,
        hparams_overrides=FLAGS.hparams_overrides,
        compute_dtype=amp.compute_dtype(FLAGS.amp, FLAGS.amp_dtype),
    )
    input_fn = inputs.create_eval_input_fn(
        job.configs["eval_config"],
        job.configs["eval_input_configs"][0],
        job.configs["model"],
        batch_size=FLAGS.batch_size,
        reader_path="eval_input_reader[0]",
        repeat=True,
    )
    _restore(job)
    report = exp_utils.setup_dllogger(FLAGS.raport_file)
    with inputs.errors_explained():
        with_decoding, without_decoding = inference_speed.measure(
            inference_speed.make_detect_function(
                job.estimator.model, allow_xla=FLAGS.allow_xla
            ),
            input_fn(),
            num_warmup_iterations=FLAGS.warmup_iters,
            num_iterations=FLAGS.benchmark_iters,
        )
    _print(with_decoding, "Benchmark result", "Latency")
    _print(
        without_decoding,
        "Benchmark without decoding",
        "Latency without decoding",
    )
    report.log(
        {
            **with_decoding.report(FLAGS.percentiles),
            **without_decoding.report(
                FLAGS.percentiles, suffix="_without_decoding"
            ),
        }
    )


def _restore(job: model_lib.EstimatorAndInputs) -> None:
    if FLAGS.checkpoint_dir is None:
        logging.warning(
            "No --checkpoint_dir: the weights are random, with which nearly "
            "every box is a candidate, the slowest case for post-processing"
        )
        return
    path = checkpoints.resolve(FLAGS.checkpoint_dir)
    step = checkpoints.restore(
        job.estimator.model,
        path,
        use_moving_averages=job.configs["eval_config"].use_moving_averages,
    )
    logging.info("Restored %s, step %d", path, step)


def _print(
    speed: inference_speed.InferenceSpeed, title: str, latency: str
) -> None:
    print(f"{title}: {speed.images_per_second:.2f} img/s", flush=True)
    logging.info("%s avg: %.2f ms", latency, speed.mean_latency_ms)
    for text in FLAGS.percentiles:
        milliseconds = speed.latency_ms(float(text))
        logging.info("%s %s%%: %.2f ms", latency, text, milliseconds)


if __name__ == "__main__":
    command.run(main)
