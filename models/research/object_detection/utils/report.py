"""Writes what a run left in its directory as one HTML file.

    report.write(model_dir, os.path.join(model_dir, "report.html"))

The file needs no other: curves are SVG and pictures are JPEG inside it.
"""

import base64
import html
import io
import math
import os
import time
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util

from object_detection.core import errors
from object_detection.core.standard_fields import LossFields
from object_detection.metrics import coco_tools
from object_detection.metrics.evaluator import CategoryResult
from object_detection.utils import (
    evaluation_files,
    report_figures,
    report_style,
)
from object_detection.utils.evaluation_files import EvaluationRecord

_MAP = "DetectionBoxes_Precision/mAP"
_MAP_50 = "DetectionBoxes_Precision/mAP@.50IOU"
_LEARNING_RATE = "learning_rate"
_JPEG_QUALITY = 88
_NOT_APPLICABLE = "n/a"

_LOSS_NAMES = {
    LossFields.total_loss: "total",
    LossFields.classification_loss: "classification",
    LossFields.localization_loss: "localization",
    LossFields.regularization_loss: "regularization",
}
_COCO_ROWS = {
    "Precision/mAP": "mean over IoU .50 to .95",
    "Precision/mAP@.50IOU": "at IoU .50",
    "Precision/mAP@.75IOU": "at IoU .75",
    "Precision/mAP (small)": "area up to 32² pixels",
    "Precision/mAP (medium)": "area 32² to 96² pixels",
    "Precision/mAP (large)": "area above 96² pixels",
    "Recall/AR@1": "with 1 detection an image",
    "Recall/AR@10": "with 10 detections an image",
    "Recall/AR@100": "with 100 detections an image",
    "Recall/AR@100 (small)": "area up to 32² pixels",
    "Recall/AR@100 (medium)": "area 32² to 96² pixels",
    "Recall/AR@100 (large)": "area above 96² pixels",
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
        _section("Training", _training(points, records)),
        _section("COCO metrics", _coco(records)),
        _section("Classes", _classes(records)),
        _section(
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
        tiles = [
            ("mAP", _percent(last.metrics.get(_MAP))),
            ("mAP at IoU .50", _percent(last.metrics.get(_MAP_50))),
        ]
        best = max(records, key=lambda item: item.metrics.get(_MAP, -1))
        if best.step != last.step:
            value = _percent(best.metrics.get(_MAP))
            tiles.append((f"best mAP, step {best.step}", value))
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
        parts.append(_figure("Loss, on a logarithmic scale", svg))
    else:
        parts.append(_nothing("No training was recorded in train/."))
    rates = report_figures.curves_by_tag(
        points, {_LEARNING_RATE: "learning rate"}
    )
    if rates:
        svg = report_figures.curves_svg(rates, "learning rate")
        parts.append(_figure("Learning rate", svg))
    if len(records) > 1:
        scores = [
            *_curve_of_records(records, _MAP, "mAP", 100),
            *_curve_of_records(records, _MAP_50, "mAP at IoU .50", 100),
        ]
        svg = report_figures.curves_svg(scores, "mAP, %")
        parts.append(_figure("Evaluations", svg))
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
        if record.metrics.get(metric, -1) >= 0
    }
    curves = report_figures.curves_by_tag({metric: points}, {metric: name})
    return [curve._replace(is_measured_rarely=True) for curve in curves]


def _coco(records: Sequence[EvaluationRecord]) -> str:
    if not records:
        return _nothing("No evaluation was recorded.")
    metrics = records[-1].metrics
    rows = []
    for name, meaning in _COCO_ROWS.items():
        value = metrics.get(f"DetectionBoxes_{name}")
        if value is not None:
            rows.append((html.escape(name), meaning, value))
    note = "n/a: there is no groundtruth of this kind."
    return _table(("metric", "", "value"), rows) + (
        f'<p class="note">{note}</p>'
        if any(value == coco_tools.NO_GROUNDTRUTH for *_, value in rows)
        else ""
    )


def _classes(records: Sequence[EvaluationRecord]) -> str:
    if not records:
        return _nothing("No evaluation was recorded.")
    categories: Sequence[CategoryResult] = sorted(
        records[-1].categories,
        key=lambda item: -np.nan_to_num(item.average_precision, nan=-1.0),
    )
    rows = [
        (
            html.escape(item.name),
            f"{item.num_groundtruth:,}",
            f"{item.num_detections:,}",
            item.average_precision_50,
            item.average_precision,
        )
        for item in categories
    ]
    names = ("class", "boxes", "detections", "AP at IoU .50", "AP")
    svg = report_figures.precision_recall_svg(categories)
    figure = _figure("Precision and recall at IoU .50", svg)
    return _table(names, rows) + f'<div class="figures">{figure}</div>'


def _pictures(paths: Sequence[str]) -> str:
    if not paths:
        return _nothing("No pictures were drawn.")
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


def _table(names: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Numbers become percentages with a bar; text must be escaped."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{value}</td>"
    share = 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)
    return (
        f'<td class="score"><span>{_percent(value)}</span>'
        f'<i><u style="width:{share:.1%}"></u></i></td>'
    )


def _percent(value: float | None) -> str:
    if value is None or math.isnan(value) or value < 0:
        return _NOT_APPLICABLE
    return f"{value * 100:.1f}&thinsp;%"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _figure(caption: str, svg: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _nothing(sentence: str) -> str:
    return f'<p class="note">{sentence}</p>'
