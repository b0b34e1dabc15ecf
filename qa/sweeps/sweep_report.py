"""What is left of a sweep: a table, a CSV and a JSON file, and a picture."""

import csv
import json
import math
import os
import shlex
from collections.abc import Sequence

import rich.console
import rich.table
from matplotlib import axes, figure, ticker

from sweeps.sweep_space import Range, Sweep
from sweeps.sweep_study import Result

_NAME = "trials"
_COLOR, _BEST_COLOR, _FAILED_COLOR = "#0072b2", "#d55e00", "#5f6b7a"
_GRID_COLOR = "#e4e8ee"
_MAX_COLUMNS = 3
_PANEL_INCHES = (4.2, 3.2)
_MAX_RATIO_OF_FINE_LABELS = 200


def write(sweep: Sweep, results: Sequence[Result], directory: str) -> None:
    """Writes the files, and prints the table and the best values.

    Args:
        sweep: what was tried.
        results: best first.
        directory: gets the files.
    """
    path = os.path.join(directory, _NAME)
    _write_csv(sweep, results, f"{path}.csv")
    _write_json(sweep, results, f"{path}.json")
    draw(sweep, results, f"{path}.png")
    rich.console.Console().print(_table(sweep, results))
    for result in results:
        if result.error:
            print(f"trial {result.number} failed: {result.error}")
    print(f"Also in {path}.csv, .json and .png")
    if results and results[0].state == "done":
        best = results[0]
        print(f"\nBest: trial {best.number}, {sweep.metric} {best.value:.6g}\n")
        overrides = sweep.overrides_with(best.texts)
        print(f"--hparams_overrides={shlex.quote(overrides)}")


def _table(sweep: Sweep, results: Sequence[Result]) -> rich.table.Table:
    table = rich.table.Table(show_edge=False)
    for heading in ("trial", "", sweep.metric, *sweep.search, "s"):
        # Long names are broken, values never.
        name = rich.markup.escape(heading.replace("/", "/ ").replace(".", ". "))
        table.add_column(name, min_width=5, overflow="fold")
    for result in results:
        cells = (
            str(result.number),
            result.state,
            "" if result.value is None else f"{result.value:.4g}",
            *(_short(result.texts[key]) for key in sweep.search),
            f"{result.seconds:.0f}",
        )
        table.add_row(*map(rich.markup.escape, cells))
    return table


def _short(text: str) -> str:
    """Returns a number in four digits, and anything else as it is."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _write_csv(sweep: Sweep, results: Sequence[Result], path: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["trial", "state", sweep.metric, *sweep.search, "seconds", "error"]
        )
        for result in results:
            writer.writerow(
                [
                    result.number,
                    result.state,
                    result.value,
                    *(result.texts[key] for key in sweep.search),
                    round(result.seconds, 1),
                    result.error,
                ]
            )


def _write_json(sweep: Sweep, results: Sequence[Result], path: str) -> None:
    content = {
        "metric": sweep.metric,
        "direction": sweep.direction,
        "trials": [
            {
                **result._asdict(),
                "hparams_overrides": sweep.overrides_with(result.texts),
            }
            for result in results
        ],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def draw(sweep: Sweep, results: Sequence[Result], path: str) -> None:
    """Draws the metric over the number of the trial, and over each key."""
    num_panels = 1 + len(sweep.search)
    num_columns = min(num_panels, _MAX_COLUMNS)
    num_rows = math.ceil(num_panels / num_columns)
    width, height = _PANEL_INCHES
    drawing = figure.Figure(
        figsize=(width * num_columns, height * num_rows),
        layout="constrained",
        dpi=120,
    )
    panels = drawing.subplots(num_rows, num_columns, squeeze=False).ravel()
    for panel in panels[num_panels:]:
        panel.set_visible(False)
    _draw_panel(panels[0], results, [float(r.number) for r in results])
    panels[0].set_xlabel("trial")
    panels[0].xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    for panel, (key, item) in zip(
        panels[1:], sweep.search.items(), strict=False
    ):
        if isinstance(item, Range):
            places = [float(result.texts[key]) for result in results]
            _scale_as(panel, item)
        else:
            places = [float(item.index(r.texts[key])) for r in results]
            panel.set_xticks(range(len(item)), item)
            panel.set_xlim(-0.5, len(item) - 0.5)
        _draw_panel(panel, results, places)
        panel.set_xlabel(key, parse_math=False)
    drawing.supylabel(sweep.metric, fontsize="medium")
    drawing.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper right",
        ncols=4,
        frameon=False,
    )
    drawing.savefig(path)


def _scale_as(panel: axes.Axes, item: Range) -> None:
    """Shows the whole range, on a logarithmic scale if it is drawn on one."""
    margin = 0.05
    if not item.log:
        margin *= item.high - item.low
        panel.set_xlim(item.low - margin, item.high + margin)
        return
    ratio = item.high / item.low
    panel.set_xscale("log")
    panel.set_xlim(item.low / ratio**margin, item.high * ratio**margin)
    # Between the powers of ten only where there is room for labels.
    steps = (1, 2, 5) if ratio < _MAX_RATIO_OF_FINE_LABELS else (1,)
    panel.xaxis.set_major_locator(ticker.LogLocator(subs=steps))
    panel.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    panel.xaxis.set_minor_formatter(ticker.NullFormatter())


def _draw_panel(
    panel: axes.Axes, results: Sequence[Result], places: Sequence[float]
) -> None:
    """Draws a dot a trial; those without a value lie on the lower edge."""
    panel.grid(color=_GRID_COLOR, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    styles = {
        "done": {"color": _COLOR},
        "pruned": {"edgecolors": _COLOR, "facecolors": "none"},
        "failed": {"color": _FAILED_COLOR, "marker": "x"},
    }
    for state, style in styles.items():
        chosen = [i for i, r in enumerate(results) if r.state == state]
        has_value = state != "failed"
        panel.scatter(
            [places[i] for i in chosen],
            [results[i].value if has_value else 0.02 for i in chosen],
            label=state,
            transform=panel.transData
            if has_value
            else panel.get_xaxis_transform(),
            **style,
        )
    if results and results[0].state == "done":
        panel.scatter(
            places[0],
            results[0].value,
            s=160,
            marker="*",
            color=_BEST_COLOR,
            label="best",
            zorder=3,
        )
