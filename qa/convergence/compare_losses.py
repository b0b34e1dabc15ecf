"""Draws the loss of a run beside that of a recorded one.

    python qa/convergence/compare_losses.py \
        --recorded losses.csv --model_dir runs/bccd --output losses.png

`losses.csv` has a line `step,total_loss` a recorded step, under that heading.
A single step's loss depends on its batch: the recorded points are to lie
around the run's running mean, and in the band of its single losses where the
run was logged often enough to have one (`--log_steps=10`).
"""

import argparse
import csv
import pathlib
import sys

import numpy as np
from matplotlib import figure

from object_detection.core.standard_fields import LossFields
from object_detection.utils import report, report_figures

_BAND_STEPS = 50
_MIN_BAND_POINTS = 5


def read_recorded(path: pathlib.Path) -> dict[int, float]:
    """Returns step -> total loss."""
    with path.open(newline="") as lines:
        return {
            int(row["step"]): float(row["total_loss"])
            for row in csv.DictReader(lines)
        }


def draw(
    recorded: dict[int, float], own: dict[int, float], path: pathlib.Path
) -> None:
    """Writes the picture of both curves."""
    drawing = figure.Figure(figsize=(9, 4.5), layout="constrained", dpi=120)
    axes = drawing.add_subplot()
    steps = np.array(sorted(own))
    losses = np.array([own[step] for step in steps])
    axes.plot(steps, losses, color="#0072b2", alpha=0.25, linewidth=0.8)
    axes.plot(
        steps,
        report_figures.smoothed(losses),
        color="#0072b2",
        label="here, running mean over single steps",
    )
    axes.plot(
        list(recorded),
        list(recorded.values()),
        "o-",
        color="#d55e00",
        markersize=5,
        linewidth=1,
        label="recorded, single steps",
    )
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("total loss")
    axes.grid(which="both", color="#e4e8ee", linewidth=0.7)
    axes.legend(frameon=False)
    drawing.savefig(path)


def print_table(recorded: dict[int, float], own: dict[int, float]) -> None:
    """Prints each recorded loss beside the run's losses around its step."""
    print(f"{'step':>6} {'recorded':>9} {'here: mean':>11} {'10-90 %':>15}")
    inside: list[bool] = []
    ratios: list[float] = []
    for step, loss in recorded.items():
        near = [v for s, v in own.items() if abs(s - step) <= _BAND_STEPS]
        if not near:
            continue
        ratios.append(loss / np.mean(near))
        band = ""
        if len(near) >= _MIN_BAND_POINTS:
            low, high = np.percentile(near, [10, 90])
            inside.append(low <= loss <= high)
            band = f"{low:7.4f}-{high:.4f}"
        print(f"{step:6d} {loss:9.4f} {np.mean(near):11.4f} {band}")
    print(f"recorded / here: median {np.median(ratios):.3f}")
    if inside:
        print(f"{sum(inside)} of {len(inside)} recorded losses in the band")


def main() -> int:
    """Draws and prints; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("recorded", "model_dir", "output"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options = parser.parse_args()
    tag = LossFields.total_loss
    points = report.read_scalars(str(options.model_dir / "train"), [tag])
    if tag not in points:
        print(
            f"error: {options.model_dir}/train: expected TensorBoard events "
            f"of {tag}, found none",
            file=sys.stderr,
        )
        return 2
    recorded = read_recorded(options.recorded)
    print_table(recorded, points[tag])
    draw(recorded, points[tag], options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
