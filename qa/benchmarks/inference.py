r"""Times inference: the network, with post-processing, and from the JPEG on.

    python qa/benchmarks/inference.py --config configs/ssd320_bench.config

For each batch size, the median and the tail of the latency in ms, and images
over seconds, of:

    predict      resized images in, raw predictions out
    detect       the same, and post-processing
    end_to_end   from the bytes of 640 x 480 JPEGs: decode, resize, normalise,
                 predict, post-process

The weights are those of `--checkpoint`. Without one they are random, with
which nearly every (anchor, class) pair is a candidate of the same score: the
slowest case for post-processing.
"""

import time
from collections.abc import Callable
from typing import Any

import gemm
import harness
import numpy as np
import tensorflow as tf
import workload

from object_detection.builders import model_builder
from object_detection.inference import inference_speed
from object_detection.training import checkpoints

_WARM_UP_RUNS = 3


def end_to_end(model: Any) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the function from JPEGs (string [B]) of one size to detections.

    The whole is one graph, as in an exported model.
    """

    @tf.function(reduce_retracing=True)
    def run(encoded_B: tf.Tensor) -> dict[str, tf.Tensor]:
        images = tf.map_fn(
            lambda encoded: tf.io.decode_jpeg(encoded, channels=3),
            encoded_B,
            fn_output_signature=tf.TensorSpec((480, 640, 3), tf.uint8),
        )
        images, true_shapes = model.preprocess(images)
        predictions = model.predict(images, true_shapes, training=False)
        return model.postprocess(predictions, true_shapes)

    return run


def detect(model: Any, is_postprocessed: bool) -> Callable[..., Any]:
    """Returns the function from preprocessed images on."""

    @tf.function
    def run(images: tf.Tensor, true_shapes: tf.Tensor) -> Any:
        predictions = model.predict(images, true_shapes, training=False)
        if is_postprocessed:
            return model.postprocess(predictions, true_shapes)
        return predictions

    return run


def measure(
    run: Callable[[], Any], seconds: float, batch_size: int
) -> dict[str, Any]:
    """Runs for about `seconds`; returns latencies and images per second."""
    for _ in range(_WARM_UP_RUNS):
        _wait(run())
    latencies: list[float] = []
    while sum(latencies) < seconds or len(latencies) < 3:
        start = time.perf_counter()
        _wait(run())
        latencies.append(time.perf_counter() - start)
    speed = inference_speed.InferenceSpeed(batch_size, np.array(latencies))
    return {
        "latency_ms": {
            "mean": round(speed.mean_latency_ms, 2),
            **{
                f"p{percent}": round(speed.latency_ms(percent), 2)
                for percent in (50, 90, 95, 99)
            },
        },
        "images_per_second": round(speed.images_per_second, 3),
    }


def _wait(outputs: Any) -> None:
    for output in outputs.values():
        output.numpy()


def measure_batch(
    model: Any, batch_size: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Measures the three ways for one batch size."""
    jpegs = tf.constant([workload.draw_jpeg(i)[0] for i in range(batch_size)])
    decoded = tf.stack([tf.io.decode_jpeg(jpeg) for jpeg in jpegs])
    images, true_shapes = model.preprocess(decoded)
    whole = end_to_end(model)
    predict, postprocess = detect(model, False), detect(model, True)
    return {
        "predict": measure(
            lambda: predict(images, true_shapes), seconds, batch_size
        ),
        "detect": measure(
            lambda: postprocess(images, true_shapes), seconds, batch_size
        ),
        "end_to_end": measure(lambda: whole(jpegs), seconds, batch_size),
    }


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--config", default=workload.SSD320_CONFIG)
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--amp", action="store_true", help="in bfloat16")
    parser.add_argument("--seconds", type=float, default=8.0)
    args = parser.parse_args()
    policy = "mixed_bfloat16" if args.amp else "float32"
    configs = workload.config_util.get_configs_from_pipeline_file(args.config)
    model = model_builder.build(
        configs["model"], is_training=False, dtype_policy=policy
    )
    if args.checkpoint:
        checkpoints.restore(model, args.checkpoint)
    results = {
        f"batch_{batch_size}": measure_batch(model, batch_size, args.seconds)
        for batch_size in args.batch_sizes
    }
    resized, _ = model.preprocess(tf.zeros((1, 480, 640, 3), tf.uint8))
    gflop = workload.forward_gflop(model, tuple(resized.shape))
    yardstick = gemm.measure("bfloat16" if args.amp else "float32")
    for result in results.values():
        for way in result.values():
            rate = gflop * way["images_per_second"]
            way["share_of_gemm"] = round(rate / yardstick, 3)
    harness.report(
        "inference",
        config=args.config,
        policy=policy,
        gflop_per_image=round(gflop, 2),
        gemm_gflop_per_second=round(yardstick, 1),
        peak_memory_mb=harness.peak_memory_mb(),
        **results,
    )


if __name__ == "__main__":
    main()
