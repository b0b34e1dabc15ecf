"""The curves of a report, drawn as SVG that goes into an HTML file."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib import figure, ticker

from object_detection.metrics.evaluator import CategoryResult

_HEIGHT_INCHES = 3.1
_WIDTH_INCHES = 5.2
_WIDE_INCHES = 10.4
_TEXT_COLOR = "#3c4654"
_GRID_COLOR = "#e4e8ee"
# Okabe and Ito's colours, which most colour-blind people tell apart.
_COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a5195",
    "#5f6b7a",
)
# A curve of more points is drawn faint, with its running mean on top.
_NUM_POINTS_TO_SMOOTH = 60
# The running mean reaches over this share of the curve to each side.
_SMOOTHED_SHARE = 0.02
_RECALL_PERCENT = np.arange(101)


class Curve(NamedTuple):
    """Values by step.

    Attributes:
        name: in the legend.
        steps: int [N], rising.
        values: float [N].
        is_measured_rarely: drawn as dots on a line.
    """

    name: str
    steps: np.ndarray
    values: np.ndarray
    is_measured_rarely: bool = False


def curves_svg(
    curves: Sequence[Curve],
    y_label: str,
    *,
    is_log: bool = False,
    is_wide: bool = False,
    is_noisy: bool = False,
) -> str:
    """Draws values over steps.

    Args:
        curves: at most eight, so that each has its own colour.
        y_label: what the values are.
        is_log: whether the scale is logarithmic; values that are not above 0
            are left out then.
        is_wide: twice as wide, with the legend beside it.
        is_noisy: whether a running mean is drawn over long curves.
    """
    drawing, axes = _figure("step", y_label, is_wide)
    for color, curve in zip(_COLORS, curves, strict=False):
        is_shown = np.isfinite(curve.values)
        if is_log:
            is_shown &= curve.values > 0
        steps, values = curve.steps[is_shown], curve.values[is_shown]
        if curve.is_measured_rarely or len(steps) == 1:
            style = {"marker": "o", "markersize": 4.5, "linewidth": 1.2}
            axes.plot(
                steps,
                values,
                color=color,
                label=_legend_name(curve.name),
                **style,
            )
        elif is_noisy and len(steps) > _NUM_POINTS_TO_SMOOTH:
            axes.plot(steps, values, color=color, alpha=0.22, linewidth=0.8)
            smooth = smoothed(values)
            axes.plot(
                steps, smooth, color=color, label=_legend_name(curve.name)
            )
        else:
            axes.plot(
                steps, values, color=color, label=_legend_name(curve.name)
            )
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(_plain_number))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(7, integer=True))
    return _svg(drawing, axes)


def precision_recall_svg(categories: Sequence[CategoryResult]) -> str:
    """Draws precision over recall at IoU .50, the classes with most boxes.

    Args:
        categories: those with groundtruth are drawn, eight at most.
    """
    drawing, axes = _figure("recall, %", "precision, %", is_wide=True)
    measured = [item for item in categories if item.precision_50]
    measured.sort(key=lambda item: -item.num_groundtruth)
    for color, item in zip(_COLORS, measured, strict=False):
        axes.plot(
            _RECALL_PERCENT,
            np.array(item.precision_50) * 100,
            color=color,
            label=_legend_name(item.name),
        )
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 103)
    return _svg(drawing, axes)


def smoothed(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each value and its neighbours on both sides.

    Towards the ends it takes fewer on both sides, so that the curve neither
    lags nor bends.

    Args:
        values: float [N], N >= 1.
    """
    num_values = len(values)
    place = np.arange(num_values)
    reach = max(1, round(num_values * _SMOOTHED_SHARE))
    reach = np.minimum(reach, np.minimum(place, num_values - 1 - place))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1)


def _figure(
    x_label: str, y_label: str, is_wide: bool
) -> tuple[figure.Figure, matplotlib.axes.Axes]:
    drawing = figure.Figure(
        figsize=(_WIDE_INCHES if is_wide else _WIDTH_INCHES, _HEIGHT_INCHES),
        layout="constrained",
    )
    axes = drawing.add_subplot()
    axes.set_xlabel(x_label, color=_TEXT_COLOR)
    axes.set_ylabel(y_label, color=_TEXT_COLOR)
    axes.grid(color=_GRID_COLOR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_TEXT_COLOR, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color("#aeb7c2")
    return drawing, axes


def _svg(drawing: figure.Figure, axes: matplotlib.axes.Axes) -> str:
    if len(axes.get_legend_handles_labels()[1]) > 1:
        is_wide = drawing.get_figwidth() == _WIDE_INCHES
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
        legend = axes.legend(
            frameon=False,
            labelcolor=_TEXT_COLOR,
            **(place if is_wide else {"loc": "best"}),
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    content = io.StringIO()
    # Letters stay text: the browser has fonts for scripts that matplotlib
    # has none for. A fixed salt makes the same figure the same text.
    style = {"svg.hashsalt": axes.get_ylabel(), "svg.fonttype": "none"}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        drawing.savefig(
            content, format="svg", metadata={"Date": None}, transparent=True
        )
    svg = content.getvalue()
    return svg[svg.index("<svg") :]


def _legend_name(name: str) -> str:
    # matplotlib hides what begins with an underscore.
    return f" {name}" if name.startswith("_") else name


def _plain_number(value: float, _: int | None = None) -> str:
    return f"{value:g}"


def curves_by_tag(
    points: Mapping[str, Mapping[int, float]], names: Mapping[str, str]
) -> list[Curve]:
    """Returns a curve for each tag that has points.

    Args:
        points: tag to step to value.
        names: tag to the name of its curve.
    """
    return [
        Curve(
            name,
            np.array(sorted(points[tag])),
            np.array([points[tag][step] for step in sorted(points[tag])]),
        )
        for tag, name in names.items()
        if points.get(tag)
    ]
