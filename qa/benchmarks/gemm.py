r"""Measures how fast this machine multiplies matrices: the yardstick.

    python qa/benchmarks/gemm.py

Every other benchmark that gives a share of the GEMM rate measures it in its
own run by `measure`, because machines are shared and clocks move.
"""

import time
from collections.abc import Callable

import harness
import tensorflow as tf

DTYPES = ("float32", "bfloat16")


def measure(
    dtype: str, size: int = 2048, seconds: float = 1.0, rounds: int = 3
) -> float:
    """Returns the best rate of `rounds`, in GFLOP/s.

    The best, as the yardstick is what the machine can do: a neighbour's load
    only ever lowers a round.

    Args:
        dtype: of the factors.
        size: rows and columns of both factors.
        seconds: about how long a round takes.
        rounds: how often to measure.
    """
    left = tf.random.stateless_normal((size, size), (1, 2))
    # This spread keeps the size of the numbers however often it multiplies.
    right = tf.random.stateless_normal((size, size), (3, 4), stddev=size**-0.5)
    left, right = tf.cast(left, dtype), tf.cast(right, dtype)

    @tf.function
    def multiply(count: tf.Tensor) -> tf.Tensor:
        product = left
        for _ in tf.range(count):
            product = tf.matmul(product, right)
        return tf.reduce_sum(tf.cast(product[:1, :1], tf.float32))

    _seconds_of(multiply, 1)
    count = max(1, int(seconds / _seconds_of(multiply, 1)))
    best_seconds = min(_seconds_of(multiply, count) for _ in range(rounds))
    return 2 * size**3 * count / best_seconds / 1e9


def _seconds_of(
    multiply: Callable[[tf.Tensor], tf.Tensor], count: int
) -> float:
    start = time.perf_counter()
    multiply(tf.constant(count)).numpy()
    return time.perf_counter() - start


def main() -> None:
    arguments = harness.parser(__doc__)
    arguments.add_argument("--size", type=int, default=2048)
    args = arguments.parse_args()
    harness.report(
        "gemm",
        size=args.size,
        **{
            f"{dtype}_gflop_per_second": round(measure(dtype, args.size), 1)
            for dtype in DTYPES
        },
    )


if __name__ == "__main__":
    main()
