r"""Reads the speed of a training from its log, as the benchmark scripts do.

    python -m object_detection.utils.training_speed --log=LOG \
        --model_dir=DIR --num_processes=8 --precision=FP16

prints the images per second and makes them the first line of the log. They are
the mean of the last quarter of the `global_step/sec` values, in which the speed
has settled, times the images of a step.
"""

import os
import re
import statistics
import tempfile
from collections.abc import Sequence

from absl import flags

from object_detection.core import errors
from object_detection.utils import command, config_util

PRECISIONS = {"FP16": "mixed precision", "FP32": "single precision"}

_SPEED = re.compile(r"global_step/sec: *([0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?)")


def steps_per_second(log: str) -> list[float]:
    """Returns the `global_step/sec` values of a log in order."""
    return [float(value) for value in _SPEED.findall(log)]


def settled_steps_per_second(values: Sequence[float]) -> float:
    """Returns the mean of the last quarter; of fewer than eight, the last.

    Raises:
        DataError: there is none.
    """
    if not values:
        raise errors.DataError(
            "holds no line with 'global_step/sec', expected one or more: "
            "training needs two steps at least, and starts none where the "
            "model directory holds a finished one: use a new directory"
        )
    return statistics.fmean(values[-max(1, len(values) // 4) :])


def performance_line(
    images_per_second: float, num_processes: int, precision: str
) -> str:
    """Returns the line that scripts look for.

    Args:
        images_per_second: over all processes.
        num_processes: one GPU each.
        precision: a key of PRECISIONS.
    """
    gpus = "Single GPU" if num_processes == 1 else f"{num_processes} GPUs"
    return (
        f"{gpus} {PRECISIONS[precision]} training performance: "
        f"{images_per_second:.2f} img/s"
    )


def write_performance(
    log_path: str, images_per_step: int, num_processes: int, precision: str
) -> str:
    """Puts the line of the performance before a log and returns it.

    Args:
        log_path: the log of one training.
        images_per_step: over all processes.
        num_processes: see `performance_line`.
        precision: see `performance_line`.

    Raises:
        DataError: the log says nothing about the speed.
    """
    with open(log_path, encoding="utf-8", errors="surrogateescape") as file:
        log = file.read()
    try:
        rate = settled_steps_per_second(steps_per_second(log))
    except errors.DataError as error:
        raise errors.DataError(f"{log_path}: {error}") from None
    line = performance_line(images_per_step * rate, num_processes, precision)
    # Beside the log, so that the replacement is one step.
    with tempfile.NamedTemporaryFile(
        "w",
        encoding="utf-8",
        errors="surrogateescape",
        dir=os.path.dirname(os.path.abspath(log_path)),
        delete=False,
    ) as new:
        new.write(f"{line}\n{log}")
    os.chmod(new.name, os.stat(log_path).st_mode)
    os.replace(new.name, log_path)
    return line


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_string("log", None, "Log of the training, changed.")
    flags.DEFINE_string("model_dir", None, "Of the training; tells its batch.")
    flags.DEFINE_integer("num_processes", 1, "Of the training.", lower_bound=1)
    flags.DEFINE_integer(
        "accumulate_steps", 1, "Batches of a step, as trained.", lower_bound=1
    )
    flags.DEFINE_enum("precision", "FP32", sorted(PRECISIONS), "As trained.")
    flags.mark_flags_as_required(["log", "model_dir"])


def main(_: list[str]) -> None:
    values = flags.FLAGS
    configs = config_util.get_configs_from_pipeline_file(
        os.path.join(values.model_dir, config_util.PIPELINE_CONFIG_NAME)
    )
    images_per_step = (
        configs["train_config"].batch_size
        * values.num_processes
        * values.accumulate_steps
    )
    line = write_performance(
        values.log, images_per_step, values.num_processes, values.precision
    )
    print(line)


if __name__ == "__main__":
    define_flags()
    command.run(main)
