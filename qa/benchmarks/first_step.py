r"""Times a training from the start of the process to its first finished step.

    python qa/benchmarks/first_step.py --config configs/ssd320_bench.config \
        --batch_size 8

Starts `object_detection.model_main` on drawn records, and stops it when the
first step is reported: imports, checks, building the network, the first
checkpoint, the first batch, tracing and the step itself all count.
"""

import subprocess
import sys
import tempfile
import time

import harness
import workload

from object_detection.core import errors
from object_detection.utils import config_util

_FIRST_STEP = "step 1/"


def seconds_to_first_step(command: list[str]) -> float:
    """Runs the command until it reports its first step.

    Raises:
        ResourceError: it ended before; with the end of its output.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if _FIRST_STEP in line:
                seconds = time.perf_counter() - start
                process.kill()
                return seconds
    raise errors.ResourceError(
        f"{' '.join(command)} ended without a step:\n{''.join(lines[-20:])}"
    )


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--config", default=workload.SSD320_CONFIG)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--allow_xla", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        configs = workload.load_configs(
            args.config,
            directory,
            overrides=f"train_config.batch_size={args.batch_size}",
        )
        config_path = config_util.save_pipeline_config(
            config_util.create_pipeline_proto_from_configs(configs), directory
        )
        seconds = [
            seconds_to_first_step(
                [
                    *(sys.executable, "-m", "object_detection.model_main"),
                    f"--pipeline_config_path={config_path}",
                    f"--model_dir={directory}/model_{run}",
                    f"--amp={args.amp}",
                    f"--allow_xla={args.allow_xla}",
                ]
            )
            for run in range(args.runs)
        ]
    harness.report(
        "first_step",
        config=args.config,
        batch_size=args.batch_size,
        amp=args.amp,
        allow_xla=args.allow_xla,
        seconds=[round(value, 2) for value in seconds],
        best_seconds=round(min(seconds), 2),
    )


if __name__ == "__main__":
    main()
