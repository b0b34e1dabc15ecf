r"""Times the training input: read, decode, augment, resize, pad, batch.

    python qa/benchmarks/input_pipeline.py --config configs/ssd320_bench.config

reads drawn JPEGs of 640 x 480, or the records of `--input_path` and
`--label_map_path`. Images over seconds, after the buffers have been filled
and taken from once, so that no image counts that was ready before.
"""

import itertools
import tempfile
import time

import harness
import workload

from object_detection.core.standard_fields import InputDataFields

_MIN_WARM_UP_BATCHES = 20


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--config", default=workload.SSD320_CONFIG)
    parser.add_argument("--input_path", default="")
    parser.add_argument("--label_map_path", default="")
    parser.add_argument("--hparams_overrides", default="")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        configs = workload.load_configs(
            args.config,
            directory,
            input_path=args.input_path,
            label_map_path=args.label_map_path,
            overrides=args.hparams_overrides,
        )
        start = time.perf_counter()
        batches = iter(workload.train_input(configs, args.batch_size))
        next(batches)
        first_batch_seconds = time.perf_counter() - start
        for _ in itertools.islice(batches, _MIN_WARM_UP_BATCHES):
            pass
        num_images, num_boxes = 0, 0
        start = time.perf_counter()
        cpu_start = time.process_time()
        while time.perf_counter() - start < args.seconds:
            _, labels = next(batches)
            num_images += args.batch_size
            num_boxes += int(
                labels[InputDataFields.num_groundtruth_boxes].numpy().sum()
            )
        seconds = time.perf_counter() - start
        cpu_seconds = time.process_time() - cpu_start
    harness.report(
        "input_pipeline",
        config=args.config,
        batch_size=args.batch_size,
        images=num_images,
        boxes_per_image=round(num_boxes / num_images, 2),
        seconds=round(seconds, 2),
        images_per_second=round(num_images / seconds, 1),
        images_per_cpu_second=round(num_images / cpu_seconds, 1),
        first_batch_seconds=round(first_batch_seconds, 2),
        peak_memory_mb=harness.peak_memory_mb(),
    )


if __name__ == "__main__":
    main()
