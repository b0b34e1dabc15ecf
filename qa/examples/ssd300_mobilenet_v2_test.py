"""Tests of the launch scripts of SSD300 with MobileNet v2."""

import json
import pathlib
import re
import shlex
import shutil
import stat
import sys

import pytest
from launch_scripts import EXAMPLES, ROOT, make_path, run

from object_detection.data_decoders import sample_image_sets

FOLDER = "ssd300_mobilenet_v2"
RECIPES = ROOT / "models/research/object_detection/recipes"
ONE_PROCESS = EXAMPLES / FOLDER / "one_process.sh"
DATASET_FLAGS = ["--distribute=False", "--only_create_dataset=True"]
RESUMED = ["--pre_trained=p.ckpt", "--pre_trained_epoch_size=10"]
GPU_FLAGS = ["--run_platform=GPU", "--loss_scale=1", "--mode=normal"]

# Script, its words, and those that the program gets.
TRAININGS = [
    (
        "run_distribute_train.sh 1 500 0.05 coco rank.json",
        "--distribute=True --device_num=1 --epoch_size=500 --lr=0.05 "
        "--dataset=coco",
        "LOG0",
    ),
    (
        "run_distribute_train.sh 1 500 0.05 voc rank.json p.ckpt 10",
        "--distribute=True --device_num=1 --epoch_size=500 --lr=0.05 "
        f"--dataset=voc {' '.join(RESUMED)}",
        "LOG0",
    ),
    (
        "run_distribute_train_gpu.sh 1 800 0.2 other",
        f"{' '.join(GPU_FLAGS)} --distribute=True --device_num=1 "
        "--epoch_size=800 --lr=0.2 --dataset=other",
        "LOG",
    ),
    (
        "run_distribute_train_gpu.sh 1 800 0.2 coco p.ckpt 10",
        f"{' '.join(GPU_FLAGS)} --distribute=True --device_num=1 "
        f"--epoch_size=800 --lr=0.2 --dataset=coco {' '.join(RESUMED)}",
        "LOG",
    ),
    (
        "run_standalone_train.sh 3 500 0.05 coco",
        "--device_id=3 --epoch_size=500 --lr=0.05 --dataset=coco",
        "LOG3",
    ),
    (
        "run_standalone_train.sh 3 500 0.05 coco p.ckpt 10",
        "--device_id=3 --epoch_size=500 --lr=0.05 --dataset=coco "
        f"{' '.join(RESUMED)}",
        "LOG3",
    ),
]
WRONG = [
    "run_distribute_train.sh 8 500 0.2 coco",
    "run_distribute_train.sh 8 500 0.2 coco rank.json p.ckpt",
    "run_distribute_train.sh x 500 0.2 coco rank.json",
    "run_distribute_train.sh 8 500 0.2 kitti rank.json",
    "run_distribute_train_gpu.sh 8 500 0.2",
    "run_distribute_train_gpu.sh 8 500 0.2 coco p.ckpt",
    "run_standalone_train.sh 0 500 0.2",
    "run_standalone_train.sh 0 500 0.2 coco p.ckpt",
    "run_eval.sh coco p.ckpt",
    "run_eval.sh coco p.ckpt gpu",
    "run_eval.sh coco p.ckpt 0 1",
    "run_eval_gpu.sh coco p.ckpt",
]


def run_script(line, **settings):
    script, *arguments = line.split()
    return run(f"{FOLDER}/{script}", *arguments, **settings)


def dry_run(line, **settings):
    """Returns the words of each printed command."""
    result = run_script(line, DRY_RUN="1", PYTHON="/py", **settings)
    assert (result.returncode, result.stderr) == (0, "")
    return [shlex.split(command) for command in result.stdout.splitlines()]


def program(name, *arguments):
    return ["/py", "-u", str(RECIPES / f"{FOLDER}_{name}.py"), *arguments]


@pytest.mark.parametrize(("line", "expected", "log_dir"), TRAININGS)
def test_trainings_of_one_process(line, expected, log_dir, tmp_path):
    flags = shlex.split(expected)
    settings = {"FLAGS": "--coco_root='/a b'  --seed=3"}
    dataset, training = dry_run(line, cwd=tmp_path, **settings)
    flags += ["--coco_root=/a b", "--seed=3"]
    assert dataset == program("train", *flags, *DATASET_FLAGS)
    model_dir = f"--model_dir={tmp_path}/{log_dir}/ckpt_0"
    assert training == program("train", *flags, model_dir)


def test_trainings_of_several_processes(tmp_path):
    path = make_path(tmp_path, "horovodrun")
    for tool in ("xargs", "printf"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    start = ["horovodrun", "-np", "8", "-H", "localhost:8"]
    start[0] = str(tmp_path / "bin" / "horovodrun")
    found = [
        dry_run(line, cwd=tmp_path, PATH=path)[1]
        for line in (
            "run_distribute_train.sh 8 500 0.2 coco rank.json",
            "run_distribute_train_gpu.sh 8 800 0.2 coco",
        )
    ]
    flags = ["--distribute=True", "--device_num=8"]
    assert found[0] == [
        *(*start, str(ONE_PROCESS), str(tmp_path)),
        *program("train", *flags, "--epoch_size=500", "--lr=0.2"),
        *("--dataset=coco", f"--model_dir={tmp_path}/LOG0/ckpt_0"),
    ]
    assert found[1] == [
        *start,
        *program("train", *GPU_FLAGS, *flags, "--epoch_size=800", "--lr=0.2"),
        *("--dataset=coco", f"--model_dir={tmp_path}/LOG/ckpt_0"),
    ]


def test_several_processes_need_a_launcher(tmp_path):
    path = make_path(tmp_path)
    for tool in ("xargs", "printf"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    line = "run_distribute_train.sh 8 500 0.2 coco rank.json"
    result = run_script(line, PATH=path, PYTHON="/py", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (6, "")
    assert "NGPU=8: neither horovodrun nor mpirun is there" in result.stderr


def test_each_process_has_a_log_of_its_own(tmp_path):
    for number, variable in enumerate(
        ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
    ):
        for _ in range(2):
            result = run(
                f"{FOLDER}/one_process.sh",
                *(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 5"),
                **{variable: str(number)},
            )
            assert (result.returncode, result.stdout) == (5, "")
        log = tmp_path / f"LOG{number}" / "log.txt"
        assert log.read_text() == "out\nerr\n" * 2


@pytest.mark.parametrize("line", WRONG)
def test_wrong_arguments_show_the_usage(line, tmp_path):
    result = run_script(line, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    name = line.split()[0]
    assert f"bash {name}" in result.stderr.splitlines()[0]
    assert "DRY_RUN=1" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "flags"),
    [("run_eval.sh", []), ("run_eval_gpu.sh", ["--run_platform=GPU"])],
)
def test_evaluations(script, flags, tmp_path):
    (tmp_path / "p.ckpt.index").write_text("")
    (found,) = dry_run(f"{script} voc p.ckpt 2", cwd=tmp_path)
    assert found == program(
        "eval",
        *("--dataset=voc", "--checkpoint_path=p.ckpt", "--device_id=2"),
        *(f"--output_dir={tmp_path}/eval2", *flags),
    )
    result = run_script(f"{script} voc missing.ckpt 2", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "error: CHECKPOINT_PATH=missing.ckpt: there is no such checkpoint\n"
    )


def test_flags_with_an_open_quote_are_refused(tmp_path):
    line = "run_standalone_train.sh 0 5 0.05 coco"
    result = run_script(line, FLAGS="--coco_root='/a", cwd=tmp_path)
    assert result.returncode == 1
    assert "expected flags, with quotes that match" in result.stderr


def test_all_can_be_started():
    scripts = set((EXAMPLES / FOLDER).glob("*.sh"))
    for path in scripts - {EXAMPLES / FOLDER / "common.sh"}:
        assert path.stat().st_mode & stat.S_IXUSR, path
    named = {line.split()[0] for line in WRONG}
    others = {"common.sh", "one_process.sh"}
    assert {path.name for path in scripts} == named | others


@pytest.mark.slow
def test_a_training_and_its_evaluation_for_real(tmp_path):
    images = sample_image_sets.make_images(5)
    data = sample_image_sets.write_txt(tmp_path / "data", images)
    label_map = sample_image_sets.write_label_map(tmp_path)
    overrides = ",".join(
        (
            "model.ssd.image_resizer.fixed_shape_resizer.height=64",
            "model.ssd.image_resizer.fixed_shape_resizer.width=96",
            "model.ssd.feature_extractor.type=ssd_mobilenet_v1",
            "model.ssd.feature_extractor.depth_multiplier=0.25",
        )
    )
    common = (
        f"--IMAGE_DIR={data}/images --ANNO_PATH={data}/boxes.txt "
        f"--label_map={label_map} --mindrecord_dir={tmp_path}/records "
        f"--hparams_overrides={overrides}"
    )
    result = run_script(
        "run_distribute_train.sh 1 1 0.01 other rank.json",
        FLAGS=f"{common} --batch_size=2",
        PYTHON=sys.executable,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Create Mindrecord.\n")
    log = (tmp_path / "LOG0" / "log.txt").read_text()
    assert "records: they are read" in log
    assert re.search("\nepoch: 1 step: 2, loss is [0-9.]+\nepoch time: ", log)
    path = pathlib.Path("LOG0/ckpt_0/ssd-1_2.ckpt")
    result = run_script(
        f"run_eval.sh other {path} 4",
        FLAGS=common,
        PYTHON=sys.executable,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    log = (tmp_path / "eval4" / "log.txt").read_text()
    assert re.search(f"\n{'=' * 40}\nmAP: [0-9.e-]+\n", log)
    assert log.count("\n Average ") == 12
    json.loads((tmp_path / "eval4" / "predictions.json").read_text())
