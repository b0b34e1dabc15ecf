"""The report of a run: what it shows, and that nothing breaks it."""

import html.parser
import math
import re

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.metrics.evaluator import CategoryResult
from object_detection.training import summaries
from object_detection.utils import evaluation_files, report, report_figures

VOID = {"meta", "img", "br"}


class Outline(html.parser.HTMLParser):
    """Checks that tags are nested, and collects addresses and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.addresses, self.text, self.counts = [], [], "", {}
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + "\n"


def category(name, ap, count=3, number=1):
    return CategoryResult(number, name, count, 5, ap, ap, (ap,) * 101)


def record(step=70, metrics=None, categories=()):
    return evaluation_files.EvaluationRecord(
        step, 12, 1.5, metrics or {}, categories, "table"
    )


def write(model_dir):
    report.write(str(model_dir), str(model_dir / "report.html"))
    return Outline((model_dir / "report.html").read_text(encoding="utf-8"))


def test_whole_run_is_shown_in_one_file(tmp_path):
    writer = summaries.SummaryWriter(str(tmp_path / "train"))
    for step in range(1, 100):
        writer.scalars(
            step,
            {"Loss/total_loss": 9.5 / step, "learning_rate": 0.1, "other": 1},
        )
    writer.flush()
    for step, value in ((40, 0.5), (70, 0.347)):
        evaluation_files.write(
            str(tmp_path / "eval"),
            record(
                step,
                {
                    "DetectionBoxes_Precision/mAP": value,
                    "DetectionBoxes_Precision/mAP (small)": -1.0,
                    "Loss/total_loss": 2.0,
                },
                (category("cat", 0.25), category("dog", 0.75, number=2)),
            ),
            [np.full((20, 30, 3), 90, np.uint8)] * 2,
        )
    outline = write(tmp_path)
    assert outline.counts["svg"] == 4
    assert outline.counts["img"] == 2
    assert all(
        address.startswith(("data:image/jpeg;base64,", "#"))
        for address in outline.addresses
    )
    words = outline.text
    assert "34.7\u2009%" in words and "best mAP, step 40" in words
    assert "n/a: there is no groundtruth of this kind." in words
    assert words.index("\ndog\n") < words.index("\ncat\n")
    assert "total, evaluation" in words
    assert "training loss, step 99\n" in words and "\n0.096\n" in words


def test_directory_without_a_run_says_so(tmp_path):
    words = write(tmp_path).text
    assert "No training was recorded" in words
    assert "No evaluation was recorded." in words
    assert "No pictures were drawn." in words
    with pytest.raises(errors.ConfigError, match="no such directory"):
        report.write(str(tmp_path / "no"), str(tmp_path / "report.html"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "name", ["<script>x</script>", "$\\frac{", "_hidden", "信号机", "a&b"]
)
def test_any_class_name_is_shown_as_it_is(tmp_path, name):
    evaluation_files.write(
        str(tmp_path / "eval"),
        record(categories=(category(name, 0.5), category("cat", 0.4))),
        [],
    )
    outline = write(tmp_path)
    assert "script" not in outline.counts
    in_table_and_legend = re.findall(
        rf"^ ?{re.escape(name)}$", outline.text, re.MULTILINE
    )
    assert len(in_table_and_legend) == 2


def sets_of(**values_by_prefix):
    """The metrics of Pascal's and Open Images' sets: mean, cat and Café."""
    return {
        f"{prefix}_{key}": value
        for prefix, values in values_by_prefix.items()
        for key, value in zip(
            (
                "Precision/mAP@0.5IOU",
                "PerformanceByCategory/AP@0.5IOU/cat",
                "PerformanceByCategory/AP@0.5IOU/Cafe",
            ),
            values,
            strict=True,
        )
    }


def test_sets_without_coco_are_shown_by_their_names(tmp_path):
    for step, mean in ((10, 0.625), (20, 0.25)):
        metrics = sets_of(
            PascalBoxes=(mean, 0.125, 0.375),
            WeightedPascalBoxes=(0.75, 0.125, 0.375),
            OpenImagesV2=(math.nan, math.nan, 0.515),
        )
        categories = (category("cat", 0.125), category("Café", 0.375, 3, 2))
        evaluation_files.write(
            str(tmp_path / "eval"), record(step, metrics, categories), []
        )
    words = write(tmp_path).text.replace("\u2009", "")
    assert "\n25.0%\nmAP, Pascal VOC\n" in words
    assert "\n62.5%\nbest mAP, Pascal VOC, step 10\n" in words
    assert "\n75.0%\nmAP, Pascal VOC, classes pooled\n" in words
    assert "OpenImagesV2_Precision/mAP@0.5IOU\nOpen Images V2\nn/a\n" in words
    assert "DetectionBoxes" not in words and "mAP at IoU .50" not in words
    # The value in the first set, then that in Open Images' set.
    assert "detections\nAP at IoU .50\nOpen Images V2\n" in words
    assert "Café\n3\n5\n37.5%\n51.5%\n" in words
    assert "cat\n3\n5\n12.5%\nn/a\n" in words


def test_sets_beside_coco_add_rows_and_columns(tmp_path):
    metrics = {
        "DetectionBoxes_Precision/mAP": 0.25,
        "DetectionBoxes_Precision/mAP@.50IOU": 0.5,
        **sets_of(
            PascalBoxes=(0.625, 0.875, 0.375),
            OpenImagesChallenge2018=(0.75, 0.125, 0.0625),
        ),
    }
    categories = (category("cat", 0.125), category("Café", 0.375, 3, 2))
    evaluation_files.write(
        str(tmp_path / "eval"), record(20, metrics, categories), []
    )
    words = write(tmp_path).text.replace("\u2009", "")
    assert "\n25.0%\nmAP\n50.0%\nmAP at IoU .50\n20\nevaluated" in words
    assert "PascalBoxes_Precision/mAP@0.5IOU\nPascal VOC\n62.5%\n" in words
    assert "AP\nPascal VOC\nOpen Images Challenge 2018\n" in words
    assert "cat\n3\n5\n12.5%\n12.5%\n87.5%\n12.5%\n" in words
    assert "Café\n3\n5\n37.5%\n37.5%\n37.5%\n6.2%\n" in words


def test_classes_without_a_value_are_shown_last(tmp_path):
    evaluation_files.write(
        str(tmp_path / "eval"),
        record(
            categories=(
                category("unseen", -1.0, count=0)._replace(precision_50=()),
                category("undefined", math.nan, count=0),
                category("cat", 0.0),
            )
        ),
        [],
    )
    words = write(tmp_path).text
    assert words.index("\ncat\n") < words.index("undefined")
    assert words.index("\ncat\n") < words.index("unseen")
    # Two tiles, and two values of each of the two classes.
    assert words.count("n/a\n") == 6


def test_resumed_steps_take_the_later_value(tmp_path):
    for value in (1.0, 5.0):
        writer = summaries.SummaryWriter(str(tmp_path / "train"))
        for step in (10, 20):
            writer.scalars(step, {"Loss/total_loss": value * step})
        writer.flush()
    points = report.read_scalars(
        str(tmp_path / "train"), ["Loss/total_loss", "absent"]
    )
    assert points == {"Loss/total_loss": {10: 50.0, 20: 100.0}}


def test_running_mean_neither_lags_nor_bends_a_line():
    line = np.arange(200.0) * 3 + 7
    np.testing.assert_allclose(report_figures.smoothed(line), line)
    noise = np.tile([0.0, 1.0, 0.5], 100)
    smooth = report_figures.smoothed(noise)
    assert np.ptp(smooth[20:-20]) < 0.2
    np.testing.assert_allclose(report_figures.smoothed(np.array([4.0])), [4])


def test_curve_with_zero_and_nan_is_drawn_on_a_logarithmic_scale():
    curve = report_figures.Curve(
        "loss", np.array([1, 2, 3]), np.array([0.0, math.nan, 2.0])
    )
    svg = report_figures.curves_svg([curve], "loss", is_log=True)
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>")
