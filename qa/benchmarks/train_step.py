r"""Times the training step on one batch of the real input, kept in memory.

    python qa/benchmarks/train_step.py --config configs/ssd320_bench.config \
        --batch_size 8 [--amp]

Builds everything as `model_main` does and makes its step; the input pipeline
has its own benchmark. The share is of the machine's matrix-multiply rate in
float32 or, with --amp, of that in the type it chooses; both are measured in
this run, before and after the steps.
"""

import tempfile
import time

import gemm
import harness
import workload

from object_detection import inputs, model_lib
from object_detection.core.standard_fields import InputDataFields
from object_detection.training import amp, trainer
from object_detection.training.training_loop import RunConfig
from object_detection.utils import config_util


def build_job(
    configs: workload.Configs, directory: str, dtype: str, allow_xla: bool
) -> model_lib.EstimatorAndInputs:
    """Returns what `model_main` would train."""
    config_path = config_util.save_pipeline_config(
        config_util.create_pipeline_proto_from_configs(configs), directory
    )
    return model_lib.create_estimator_and_inputs(
        RunConfig(directory),
        config_path,
        compute_dtype=dtype,
        allow_xla=allow_xla,
    )


def time_steps(
    step: trainer.TrainStep,
    batch: workload.Batch,
    num_warm_up_steps: int,
    seconds: float,
) -> tuple[int, float, float]:
    """Runs steps for about `seconds`; each is waited for.

    Returns:
        How many steps, the seconds they took, and the last total loss.
    """
    features, labels = batch
    images = features[InputDataFields.image]
    true_shapes = features[InputDataFields.true_image_shape]
    groundtruth = inputs.groundtruth_from_labels(labels)
    for _ in range(num_warm_up_steps):
        bool(step(images, true_shapes, groundtruth).is_fatal)
    num_steps = 0
    start = time.perf_counter()
    while num_steps < 3 or time.perf_counter() - start < seconds:
        result = step(images, true_shapes, groundtruth)
        bool(result.is_fatal)
        num_steps += 1
    elapsed_seconds = time.perf_counter() - start
    return num_steps, elapsed_seconds, float(result.losses["Loss/total_loss"])


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--config", default=workload.SSD320_CONFIG)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--hparams_overrides", default="")
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--amp_dtype", choices=sorted(amp.POLICIES))
    parser.add_argument("--allow_xla", action="store_true")
    parser.add_argument("--warm_up_steps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    dtype = amp.compute_dtype(args.amp, args.amp_dtype)
    overrides = f"train_config.batch_size={args.batch_size}"
    if args.hparams_overrides:
        overrides += f",{args.hparams_overrides}"
    with tempfile.TemporaryDirectory() as directory:
        configs = workload.load_configs(
            args.config, directory, overrides=overrides
        )
        job = build_job(configs, directory, dtype, args.allow_xla)
        batch = workload.cached_batch(configs, args.batch_size)
    model = job.estimator.model
    state = trainer.TrainState(model, job.train_options)
    yardsticks = {name: gemm.measure(name) for name in gemm.DTYPES}
    num_steps, seconds, total_loss = time_steps(
        trainer.make_train_step(state), batch, args.warm_up_steps, args.seconds
    )
    peak_memory_mb = harness.peak_memory_mb()
    for name in gemm.DTYPES:
        yardsticks[name] = max(yardsticks[name], gemm.measure(name))
    forward = workload.forward_gflop(model, workload.image_shape(batch))
    gflop = workload.TRAIN_OVER_FORWARD * forward / args.batch_size
    images_per_second = num_steps * args.batch_size / seconds
    rate = gflop * images_per_second
    harness.report(
        "train_step",
        config=args.config,
        batch_size=args.batch_size,
        dtype=dtype,
        allow_xla=args.allow_xla,
        steps=num_steps,
        seconds=round(seconds, 2),
        images_per_second=round(images_per_second, 3),
        gflop_per_image=round(gflop, 1),
        gflop_per_second=round(rate, 1),
        gemm_gflop_per_second={k: round(v, 1) for k, v in yardsticks.items()},
        share_of_gemm={k: round(rate / v, 3) for k, v in yardsticks.items()},
        total_loss=round(total_loss, 4),
        peak_memory_mb=peak_memory_mb,
    )


if __name__ == "__main__":
    main()
