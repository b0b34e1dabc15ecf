"""Tests of evaluation in several processes, and of how they begin."""

import sys

import pytest
from launch import launch, needs_horovod
from small_shapes import record_path, write_config

from object_detection.utils import evaluation_files

pytestmark = [pytest.mark.distributed, needs_horovod]


def command(config, model_dir, *flags):
    return [
        *(sys.executable, "-m", "object_detection.model_main"),
        f"--pipeline_config_path={config}",
        f"--model_dir={model_dir}",
        *flags,
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with configs of 5 and of 2 images, and a checkpoint."""
    directory = tmp_path_factory.mktemp("trained")
    configs = {}
    for num_images in (5, 2):
        folder = directory / str(num_images)
        path = record_path(folder, num_images)
        configs[num_images] = write_config(folder, path, path)
    run = launch(
        1,
        command(
            configs[5],
            directory / "model",
            *("--num_train_steps=30", "--eval_count=0"),
        ),
        directory,
    )
    assert run.codes == {0: 0}, run.output
    return directory, configs


def evaluate(trained, num_processes, num_images, model_dir):
    directory, configs = trained
    run = launch(
        num_processes,
        command(
            configs[num_images],
            model_dir,
            *(f"--checkpoint_dir={directory}/model", "--run_once"),
        ),
        model_dir,
    )
    assert set(run.codes.values()) == {0}, run.output
    (record,) = evaluation_files.read_records(str(model_dir / "eval"))
    assert run.output.count("Average Precision") == 6
    pictures = evaluation_files.picture_paths(str(model_dir / "eval"))
    return record, [open(path, "rb").read() for path in pictures]


@pytest.mark.parametrize("num_images", [5, 2])
def test_three_processes_measure_what_one_does(trained, tmp_path, num_images):
    expected, pictures = evaluate(trained, 1, num_images, tmp_path / "one")
    found, found_pictures = evaluate(trained, 3, num_images, tmp_path / "three")
    assert found.num_images == expected.num_images == num_images
    assert found.metrics == expected.metrics
    assert found.table == expected.table
    assert found_pictures == pictures


def launch_with(trained, tmp_path, argument_of_rank):
    directory, configs = trained
    arguments = command(configs[5], tmp_path / "model", "--num_train_steps=2")
    script = f'exec "$@" {argument_of_rank}'
    return launch(2, ["bash", "-c", script, "_", *arguments], tmp_path)


def test_another_config_is_refused_at_the_start(trained, tmp_path):
    directory, _ = trained
    # Of 5 images for rank 0 and of 2 for rank 1.
    config = f"{directory}/$((5 - 3 * HOROVOD_RANK))/pipeline.config"
    run = launch_with(trained, tmp_path, f"--pipeline_config_path={config}")
    assert run.codes == {0: 6, 1: 6}, run.output
    (line,) = run.error_lines()
    assert line.startswith("ERROR: rank 1 (")
    assert "its config is" in line and "/2/label_map.pbtxt" in line
    assert not (tmp_path / "model" / "checkpoint").exists()


def test_an_error_of_one_is_told_by_its_rank(trained, tmp_path):
    overrides = "--hparams_overrides=bad_key_$HOROVOD_RANK=1"
    run = launch_with(
        trained, tmp_path, f'$( ((HOROVOD_RANK)) && echo "{overrides}")'
    )
    assert run.codes == {0: 6, 1: 6}, run.output
    (line,) = run.error_lines()
    assert line.startswith("ERROR: rank 1 (") and "bad_key_1" in line


def test_an_error_of_all_is_told_once(trained, tmp_path):
    run = launch_with(trained, tmp_path, "--hparams_overrides=bad_key=1")
    assert run.codes == {0: 2, 1: 2}, run.output
    (line,) = run.error_lines()
    assert "bad_key" in line and "rank" not in line
