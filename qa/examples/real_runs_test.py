"""Tests of the launch scripts with the programs that they are for."""

import json
import re
import sys

import pytest
from launch_scripts import CONFIGS, run

from object_detection import sample_inputs
from object_detection.dataset_tools import create_shapes_tf_record

SMALL = f"{sample_inputs.SMALL_OVERRIDES},eval_config.num_visualizations=0"


@pytest.fixture(scope="module")
def config_dir(tmp_path_factory):
    """A folder with small data, and small configs of the scripts' names."""
    directory = tmp_path_factory.mktemp("shapes")
    create_shapes_tf_record.create_shapes_dataset(
        str(directory / "data"),
        num_train=4,
        num_val=3,
        num_shards=1,
        num_workers=1,
        seed=0,
    )
    text = (CONFIGS / "ssd_mobilenet_v1_fpn_shapes.config").read_text()
    for old, new in (("demo/data", f"{directory}/data"), ("-*", "")):
        text = text.replace(old, new)
    for name in ("ssd320_bench.config", "ssd320_full_1gpus.config"):
        (directory / name).write_text(text)
    return directory


def test_a_real_training_that_fails_gives_its_exit_code(tmp_path):
    result = run(
        "SSD320_FP32_1GPU.sh", tmp_path / "m", "/none", PYTHON=sys.executable
    )
    assert result.returncode == 2
    log = (tmp_path / "m" / "train_log").read_text()
    assert log == result.stdout
    assert "ERROR: /none/ssd320_full_1gpus.config" in log


def test_inference_for_real(config_dir, tmp_path):
    result = run(
        "SSD320_FP32_inference.sh",
        config_dir,
        "--batch_size=2",
        "--warmup_iters=1",
        "--benchmark_iters=3",
        "--percentiles=50,99",
        "--report_file=report.json",
        f"--hparams_overrides={SMALL}",
        cwd=tmp_path,
        PYTHON=sys.executable,
    )
    assert result.returncode == 0, result.stderr
    (shown,) = re.findall(
        r"^Benchmark result: (\S+) img/s$", result.stdout, re.M
    )
    assert "the weights are random" in result.stderr
    *metadata, log = (
        json.loads(line.removeprefix("DLLL "))
        for line in (tmp_path / "report.json").read_text().splitlines()
    )
    assert metadata[0]["metric"] == "infer_throughput"
    data = log["data"]
    assert data["infer_throughput"] == pytest.approx(float(shown), abs=0.01)
    # Iterations follow each other without a gap.
    assert data["infer_throughput"] == pytest.approx(
        1000 * 2 / data["eval_avg_latency"]
    )
    keys = ["infer_throughput"]
    keys += [f"eval_{name}_latency" for name in ("avg", "50%", "99%")]
    assert list(data) == keys + [f"{key}_without_decoding" for key in keys]
    for percent in ("50", "99"):
        latency = data[f"eval_{percent}%_latency"]
        assert f"Latency {percent}%: {latency:.2f} ms" in result.stderr


@pytest.mark.slow
def test_benchmark_evaluation_and_inference_for_real(config_dir, tmp_path):
    def succeed(script, *arguments):
        result = run(
            script,
            *arguments,
            f"--hparams_overrides={SMALL}",
            cwd=tmp_path,
            PYTHON=sys.executable,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    printed = succeed(
        "SSD320_FP32_1GPU_BENCHMARK.sh",
        tmp_path / "m",
        config_dir,
        "--num_train_steps=3",
    )
    first = (tmp_path / "m" / "train_log").read_text().splitlines()[0]
    assert first == printed.splitlines()[-1]
    assert "Average Precision" not in printed
    rate = float(re.findall("global_step/sec: (.*)", printed)[-1])
    assert float(first.split()[-2]) == pytest.approx(2 * rate, abs=0.01)

    printed = succeed(
        "SSD320_FP32_1GPU.sh", tmp_path / "m", config_dir, "--num_train_steps=4"
    )
    assert "Resuming from step 3 of 4" in printed
    assert printed.count("Average Precision") == 6
    evaluated = succeed(
        "SSD320_evaluate.sh",
        tmp_path / "m",
        config_dir,
        f"--model_dir={tmp_path}/eval",
    )
    table = re.findall("^ Average .*$", evaluated, re.M)
    assert len(table) == 12
    assert table == re.findall("^ Average .*$", printed, re.M)
    printed = succeed(
        "SSD320_FP32_inference.sh",
        config_dir,
        f"--checkpoint_dir={tmp_path}/m",
        "--warmup_iters=1",
        "--benchmark_iters=2",
    )
    assert "Restored" in printed and "Benchmark result: " in printed
