r"""Times training in one process on one core, and in several on one core each.

    python qa/benchmarks/weak_scaling.py --processes 2 --batch_size 2

The efficiency is what a process makes of its core beside others, as a share
of what it makes of it alone: the exchange of gradients, and whatever the
cores share, such as memory bandwidth and clock, are the rest.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import harness

_WORKER = "WEAK_SCALING_WORKER"


def measure(args: argparse.Namespace) -> None:
    """Trains as one of several processes; the first one prints its rate."""
    cores = sorted(os.sched_getaffinity(0))
    local_rank = int(os.environ.get("HOROVOD_LOCAL_RANK", "0"))
    # Before TensorFlow counts the cores for its threads.
    os.sched_setaffinity(0, {cores[local_rank % len(cores)]})

    import train_step
    import workload

    from object_detection.training import distributed, trainer

    with distributed.processes(), tempfile.TemporaryDirectory() as directory:
        configs = workload.load_configs(
            args.config,
            directory,
            overrides=f"train_config.batch_size={args.batch_size}",
        )
        job = train_step.build_job(configs, directory, "float32", False)
        batch = workload.cached_batch(configs, args.batch_size)
        step = trainer.make_train_step(
            trainer.TrainState(job.estimator.model, job.train_options)
        )
        # As many steps in every process: each waits for all.
        train_step.time_steps(step, batch, 2, 0.0)
        distributed.gather_objects(None)
        num_steps, seconds = 0, 0.0
        for _ in range(args.rounds):
            more_steps, more_seconds, _ = train_step.time_steps(
                step, batch, 0, 0.0
            )
            num_steps, seconds = num_steps + more_steps, seconds + more_seconds
        if distributed.is_main_process():
            num_images = num_steps * args.batch_size * distributed.size()
            path = pathlib.Path(os.environ[_WORKER])
            path.write_text(json.dumps(num_images / seconds))


def images_per_second(num_processes: int) -> float:
    """Runs this script in so many processes; returns their rate together."""
    command = [sys.executable, *sys.argv]
    if num_processes > 1:
        horovodrun = pathlib.Path(sys.executable).parent / "horovodrun"
        command = [
            str(horovodrun),
            "--gloo",
            "-np",
            str(num_processes),
            *command,
        ]
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "rate.json"
        subprocess.run(
            command,
            env={**os.environ, _WORKER: str(path)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return json.loads(path.read_text())


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--config", default="configs/ssd320_bench.config")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument(
        "--rounds", type=int, default=3, help="of three steps each"
    )
    args = parser.parse_args()
    if _WORKER in os.environ:
        measure(args)
        return
    alone = images_per_second(1)
    together = images_per_second(args.processes)
    harness.report(
        "weak_scaling",
        config=args.config,
        processes=args.processes,
        batch_size=args.batch_size,
        images_per_second_alone=round(alone, 3),
        images_per_second_together=round(together, 3),
        efficiency=round(together / (args.processes * alone), 3),
    )


if __name__ == "__main__":
    main()
