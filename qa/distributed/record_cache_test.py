"""A test of records that several processes make of images, and then read."""

import sys

import pytest
from launch import launch, needs_horovod
from PIL import Image
from small_shapes import record_path, write_config

pytestmark = [pytest.mark.distributed, needs_horovod]

NUM_IMAGES = 5


def write_images(directory):
    """Writes images and the text file of their boxes; returns its path."""
    directory.mkdir()
    lines = []
    for i in range(NUM_IMAGES):
        Image.new("RGB", (90 + i, 60), (40 * i, 80, 90)).save(
            directory / f"{i}.png"
        )
        lines.append(f"{i}.png 10,5,{60 + i},50,1 20,30,40,55,2\n")
    path = directory / "boxes.txt"
    path.write_text("".join(lines))
    return path


def test_one_of_two_processes_makes_them_and_both_read_them(tmp_path):
    boxes = write_images(tmp_path / "images")
    records = record_path(tmp_path, num_images=2)
    config = write_config(tmp_path, train_path=records, eval_path=records)
    record_dir = tmp_path / "made/train"
    reader = f'{{ image_dir: "{boxes.parent}" annotations_path: "{boxes}" }}'
    command = [
        *(sys.executable, "-m", "object_detection.model_main"),
        f"--pipeline_config_path={config}",
        f"--model_dir={tmp_path}/model",
        *("--log_steps=1", "--eval_count=0"),
        f"--hparams_overrides=train_input_reader.txt_input_reader={reader},"
        f"train_input_reader.record_dir={record_dir}",
    ]
    first = launch(2, [*command, "--num_train_steps=2"], tmp_path)
    assert first.codes == {0: 0, 1: 0}, first.output
    assert first.output.count(f"Made {NUM_IMAGES} records in") == 1
    assert [path.name for path in record_dir.parent.iterdir()] == ["train"]

    boxes.rename(boxes.with_suffix(".gone"))
    again = launch(2, [*command, "--num_train_steps=4"], tmp_path / "again")
    assert again.codes == {0: 0, 1: 0}, again.output
    assert f"{record_dir} has records" in again.output
    assert "step 4/4" in again.output
