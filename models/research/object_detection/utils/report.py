"""Writes what a run left in its directory as one HTML file.

    report.write(model_dir, os.path.join(model_dir, "report.html"))

The file needs no other: curves are SVG and pictures are JPEG inside it.
"""

import base64
import html
import io
import os
import time
from collections.abc import Iterable, Sequence

from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.utils import (
    evaluation_files,
    report_figures,
    report_html,
    report_metrics,
    report_style,
)
from object_detection.utils.evaluation_files import EvaluationRecord

_LEARNING_RATE = "learning_rate"
_JPEG_QUALITY = 88

_LOSS_NAMES = {
    LossFields.total_loss: "total",
    LossFields.classification_loss: "classification",
    LossFields.localization_loss: "localization",
    LossFields.regularization_loss: "regularization",
}

Points = dict[str, dict[int, float]]


def write(model_dir: str, path: str, eval_name: str = "eval") -> None:
    """Writes the report of a run; parts that the run did not leave say so.

    Args:
        model_dir: holds `train/` and `<eval_name>/`, either may be missing.
        path: the HTML file, replaced when it exists.
        eval_name: name of the evaluation's directory.

    Raises:
        ConfigError: model_dir does not exist.
    """
    if not os.path.isdir(model_dir):
        raise errors.ConfigError(
            f"model_dir {model_dir}: no such directory; expected one that a "
            "training or an evaluation wrote"
        )
    eval_dir = os.path.join(model_dir, eval_name)
    points = read_scalars(
        os.path.join(model_dir, "train"), [*_LOSS_NAMES, _LEARNING_RATE]
    )
    records = evaluation_files.read_records(eval_dir)
    name = os.path.basename(os.path.abspath(model_dir))
    parts = [
        _tiles(points, records),
        report_html.section("Training", _training(points, records)),
        report_html.section("Metrics", report_metrics.metrics_table(records)),
        report_html.section("Classes", report_metrics.classes_table(records)),
        report_html.section(
            "Detections (left) and groundtruth (right)",
            _pictures(evaluation_files.picture_paths(eval_dir)),
        ),
    ]
    page = report_style.PAGE.format(
        title=html.escape(name),
        directory=html.escape(os.path.abspath(model_dir)),
        date=time.strftime("%Y-%m-%d %H:%M"),
        style=report_style.STYLE,
        body="\n".join(parts),
    )
    temporary_path = f"{path}.{os.getpid()}.tmp"
    with open(temporary_path, "w", encoding="utf-8") as file:
        file.write(page)
    os.replace(temporary_path, path)


def read_scalars(directory: str, tags: Iterable[str]) -> Points:
    """Reads curves from TensorBoard events.

    Args:
        directory: may be missing, which means no points.
        tags: the curves to read; missing ones are left out.

    Returns:
        Tag to step to value. Of a step that was made twice, because a run
        was resumed before it, the later value.
    """
    if not os.path.isdir(directory):
        return {}
    events = event_accumulator.EventAccumulator(
        directory,
        size_guidance={
            event_accumulator.TENSORS: 0,
            event_accumulator.SCALARS: 0,
        },
    ).Reload()
    kinds = events.Tags()
    points: Points = {}
    for tag in tags:
        if tag in kinds[event_accumulator.TENSORS]:
            points[tag] = {
                event.step: float(tensor_util.make_ndarray(event.tensor_proto))
                for event in events.Tensors(tag)
            }
        elif tag in kinds[event_accumulator.SCALARS]:
            points[tag] = {
                event.step: event.value for event in events.Scalars(tag)
            }
    return points


def _tiles(points: Points, records: Sequence[EvaluationRecord]) -> str:
    """The few numbers that are looked at first."""
    tiles = []
    if records:
        last = records[-1]
        main = report_metrics.main_metrics(last.metrics)
        tiles = [
            (shown, report_html.percent(last.metrics.get(name)))
            for name, shown in main.items()
        ]
        name, shown = next(iter(main.items()))
        best = max(
            records,
            key=lambda item: report_metrics.value_of(item.metrics, name),
        )
        if best.step != last.step:
            value = report_html.percent(best.metrics.get(name))
            tiles.append((f"best {shown}, step {best.step}", value))
        tiles += [
            ("evaluated at step", f"{last.step:,}"),
            ("images evaluated", f"{last.num_images:,}"),
        ]
    losses = points.get(LossFields.total_loss)
    if losses:
        last_step = max(losses)
        value = f"{losses[last_step]:.3g}"
        tiles.append((f"training loss, step {last_step}", value))
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{value}</b><span>{name}</span></div>'
            for name, value in tiles
        )
        + "</div>"
    )


def _training(points: Points, records: Sequence[EvaluationRecord]) -> str:
    losses = report_figures.curves_by_tag(points, _LOSS_NAMES)
    eval_losses = _curve_of_records(
        records, LossFields.total_loss, "total, evaluation"
    )
    parts = []
    if losses or len(records) > 1:
        drawn = [*losses, *eval_losses]
        svg = report_figures.curves_svg(
            drawn, "loss", is_log=True, is_wide=True, is_noisy=True
        )
        parts.append(report_html.figure("Loss, on a logarithmic scale", svg))
    else:
        parts.append(report_html.nothing("No training was recorded in train/."))
    rates = report_figures.curves_by_tag(
        points, {_LEARNING_RATE: "learning rate"}
    )
    if rates:
        svg = report_figures.curves_svg(rates, "learning rate")
        parts.append(report_html.figure("Learning rate", svg))
    if len(records) > 1:
        main = report_metrics.main_metrics(records[-1].metrics)
        scores = [
            curve
            for name, shown in main.items()
            for curve in _curve_of_records(records, name, shown, 100)
        ]
        svg = report_figures.curves_svg(scores, "mAP, %")
        parts.append(report_html.figure("Evaluations", svg))
    return f'<div class="figures">{"".join(parts)}</div>'


def _curve_of_records(
    records: Sequence[EvaluationRecord],
    metric: str,
    name: str,
    scale: float = 1.0,
) -> list[report_figures.Curve]:
    points = {
        record.step: record.metrics[metric] * scale
        for record in records
        # -1 says that there was nothing to find.
        if report_metrics.value_of(record.metrics, metric) >= 0
    }
    curves = report_figures.curves_by_tag({metric: points}, {metric: name})
    return [curve._replace(is_measured_rarely=True) for curve in curves]


def _pictures(paths: Sequence[str]) -> str:
    if not paths:
        return report_html.nothing("No pictures were drawn.")
    images = []
    for path in paths:
        content = io.BytesIO()
        with Image.open(path) as picture:
            picture.convert("RGB").save(
                content, "JPEG", quality=_JPEG_QUALITY, optimize=True
            )
        data = base64.b64encode(content.getvalue()).decode()
        images.append(f'<img alt="" src="data:image/jpeg;base64,{data}">')
    return f'<div class="pictures">{"".join(images)}</div>'
