"""Runs the notebook of the examples from top to bottom."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from object_detection.inference import sample_detector

NOTEBOOK = pathlib.Path(__file__).parents[4] / "examples" / "inference.ipynb"


def test_outputs_are_stripped():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    for cell in code:
        assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    (tmp_path / "model").mkdir()
    sample_detector.write(str(tmp_path / "model"))
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (50, 70 + number, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "images" / "9.png").write_bytes(b"text")
    monkeypatch.setenv("MODEL", str(tmp_path / "model"))
    monkeypatch.setenv("IMAGES", str(tmp_path / "images"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=600,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    ).execute()
    outputs = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]
    pictures = [one for one in outputs if "image/png" in one.get("data", {})]
    assert len(pictures) == 3
    text = "".join(one.get("text", "") for one in outputs)
    assert "classes: ['cat', 'dog', 'hen']" in text
    assert "9.png\n  cannot be read: cannot be decoded" in text
    assert "images/s" in text
    assert "scores differ by" in text
