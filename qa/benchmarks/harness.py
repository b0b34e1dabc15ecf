"""What the benchmarks share: arguments, clocks, memory, the line of JSON."""

import argparse
import json
import os
import platform
import resource
from typing import Any


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser whose help is the module's docstring."""
    return argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def report(benchmark: str, **values: Any) -> None:
    """Prints one line of JSON: the values, then the machine."""
    print(
        json.dumps({"benchmark": benchmark, **values, "machine": machine()}),
        flush=True,
    )


def machine() -> dict[str, Any]:
    """Returns processor, number of usable cores, GPUs and versions."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load_1min": round(os.getloadavg()[0], 2),
        "gpus": [
            tf.config.experimental.get_device_details(gpu).get("device_name")
            for gpu in gpus
        ],
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }


def peak_memory_mb() -> int:
    """Returns this process's largest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _cpu_name() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
