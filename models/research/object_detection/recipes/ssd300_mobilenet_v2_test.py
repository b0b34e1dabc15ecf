"""Runs MindSpore's SSD300 commands on a few images, with a small network."""

import json
import re
import shutil

import numpy as np
import pytest
from absl import logging

from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets
from object_detection.recipes import (
    ssd300_mobilenet_v2_eval,
    ssd300_mobilenet_v2_train,
)
from object_detection.recipes import ssd300_mobilenet_v2_flags as flags
from object_detection.training import checkpoints

# Of the five images with boxes, two batches of two are an epoch.
SMALL = (
    "model.ssd.image_resizer.fixed_shape_resizer.height=64,"
    "model.ssd.image_resizer.fixed_shape_resizer.width=96,"
    "model.ssd.feature_extractor.type=ssd_mobilenet_v1,"
    "model.ssd.feature_extractor.depth_multiplier=0.25,"
    "model.ssd.feature_extractor.min_depth=4,"
    "model.ssd.post_processing.batch_non_max_suppression"
    ".max_total_detections=300,"
    "eval_config.num_visualizations=0"
)
NUM_STEPS = 2
NUMBER = r"[0-9.e+-]+"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder as COCO's and one as VOC's, seven images and four of them."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "annotations").mkdir()
    for part, voc_part, count in (
        ("train2017", "train", 7),
        ("val2017", "eval", 4),
    ):
        images = sample_image_sets.make_images(count)
        made = sample_image_sets.write_coco(folder / "made", images)
        shutil.move(made / "images", folder / part)
        shutil.move(
            made / "boxes.json",
            folder / "annotations" / f"instances_{part}.json",
        )
        sample_image_sets.write_voc(
            folder / "voc" / voc_part, images, "Images", "Annotations"
        )
    sample_image_sets.write_label_map(folder)
    return folder


@pytest.fixture(autouse=True)
def settings_of_the_process():
    verbosity = logging.get_verbosity()
    yield
    logging.set_verbosity(verbosity)


def common(data, hparams_overrides):
    more = f",{hparams_overrides}" if hparams_overrides else ""
    return [
        f"--label_map={data}/map.pbtxt",
        f"--hparams_overrides={SMALL}{more}",
    ]


def train(data, model_dir, *arguments, hparams_overrides=""):
    ssd300_mobilenet_v2_train.main(
        flags.training_parser("").parse_args(
            [
                *common(data, hparams_overrides),
                f"--model_dir={model_dir}",
                *("--batch_size=2", "--lr=0.01", "--warmup_epochs=0.5"),
                "--epoch_size=3",
                *map(str, arguments),
            ]
        )
    )


def evaluate(data, output_dir, *arguments, hparams_overrides=""):
    ssd300_mobilenet_v2_eval.main(
        flags.evaluation_parser("").parse_args(
            [
                *common(data, hparams_overrides),
                f"--output_dir={output_dir}",
                *map(str, arguments),
            ]
        )
    )


def coco(data, folder):
    return f"--coco_root={data}", f"--mindrecord_dir={folder}/records"


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training of three epochs, with checkpoints of the second and last."""
    folder = tmp_path_factory.mktemp("whole")
    train(
        data,
        folder / "run",
        *coco(data, folder),
        "--save_checkpoint_epochs=2",
        f"--json_summary={folder}/summary.json",
    )
    return folder


def tensors(path):
    reader = checkpoints.Reader(str(path))
    return {name: reader.read(name) for name in reader.shapes}


def test_a_training_leaves_checkpoints_of_epochs(whole):
    names = {path.name for path in (whole / "run").glob("ssd-*.index")}
    assert names == {"ssd-2_2.ckpt.index", "ssd-3_2.ckpt.index"}
    reader = checkpoints.Reader(str(whole / "run" / "ssd-2_2.ckpt"))
    assert checkpoints.global_step(reader) == 2 * NUM_STEPS
    config = (whole / "run" / "pipeline.config").read_text()
    assert f"num_steps: {3 * NUM_STEPS}" in config
    assert "DLLL" in (whole / "summary.json").read_text()


@pytest.mark.slow
def test_what_is_printed_and_that_a_seed_repeats_it(data, tmp_path, capsys):
    for number in range(2):
        train(
            data,
            tmp_path / f"run{number}",
            *coco(data, tmp_path),
            *("--mode=normal", "--compute_dtype=float16", "--epoch_size=1"),
            *("--loss_scale=8", "--seed=3"),
        )
    first, second = re.fullmatch(
        "Create Mindrecord.\n"
        f"Create Mindrecord Done, at {tmp_path}/records/train\n(.*)"
        "Create dataset done!\n(.*)",
        capsys.readouterr().out,
        re.DOTALL,
    ).groups()
    loss = re.search("step: 1, loss is (.*)", first).group(1)
    assert f"epoch: 1 step: 1, loss is {loss}\n" in second
    assert re.fullmatch(
        "2 steps per epoch: 5 images / \\(2 per device \\* 1 devices\\), "
        "rounded down\n"
        "float16, loss scale 8\n"
        "after 0 steps \\(0 epochs\\) the learning rate is 0.001\n"
        f"epoch: 1 step: 1, loss is {NUMBER}\n"
        f"epoch: 1 step: 2, loss is {NUMBER}\n"
        f"epoch time: {NUMBER}, per step time: {NUMBER}\n",
        second,
    )


def test_a_training_goes_on_without_the_images(data, whole, tmp_path, capsys):
    missing = data / "not there"
    train(
        data,
        tmp_path / "run",
        *(f"--coco_root={missing}", f"--mindrecord_dir={whole}/records"),
        f"--pre_trained={whole}/run/ssd-2_2.ckpt",
        "--pre_trained_epoch_size=2",
    )
    printed = capsys.readouterr().out
    assert "Create Mindrecord" not in printed
    assert f"after {2 * NUM_STEPS} steps (2 epochs) the learning" in printed
    assert re.search(f"\nepoch: 3 step: 2, loss is {NUMBER}\nepoch", printed)
    assert "epoch: 2" not in printed
    expected = tensors(whole / "run" / "ssd-3_2.ckpt")
    found = tensors(tmp_path / "run" / "ssd-3_2.ckpt")
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.slow
def test_weights_alone_for_other_classes(data, whole, tmp_path, capsys):
    """After another number of epochs than they were trained."""
    path = whole / "run" / "ssd-2_2.ckpt"
    before = tensors(path)
    label_map = tmp_path / "map.pbtxt"
    shutil.copy(data / "map.pbtxt", label_map)
    with label_map.open("a") as file:
        file.write('item { id: 4 name: "bird" }')
    train(
        data,
        tmp_path / "run",
        *coco(data, whole),
        *(f"--pre_trained={path}", "--pre_trained_epoch_size=1"),
        *("--filter_weight=True", "--epoch_size=2", "--lr=0", "--lr_init=0"),
        f"--label_map={label_map}",
    )
    printed = capsys.readouterr().out
    assert f"Taking the weights of {path}, without those of the" in printed
    assert "after 2 steps (1 epochs) the learning rate is" in printed
    after = tensors(tmp_path / "run" / "ssd-2_2.ckpt")
    assert after["global_step"] == 2 * NUM_STEPS
    # Nothing moves at a learning rate of 0.
    is_same = {
        name: np.array_equal(before[name], value)
        for name, value in after.items()
        if name.endswith("weights")
    }
    taken = {name for name, same in is_same.items() if same}
    assert taken == {n for n in is_same if n.startswith("FeatureExtractor/")}
    assert len(taken) > 20
    assert after["BoxPredictor_0/ClassPredictor/biases"].shape == (3 * 5,)


def test_only_the_records_are_made(data, tmp_path, capsys):
    train(
        data,
        tmp_path / "run",
        *("--dataset=voc", f"--voc_dir={data}/voc"),
        *(f"--mindrecord_dir={tmp_path}/records", "--only_create_dataset=True"),
    )
    assert capsys.readouterr().out == (
        "Create Mindrecord.\n"
        f"Create Mindrecord Done, at {tmp_path}/records/train\n"
    )
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "records" / "eval").exists()


def test_an_evaluation(data, whole, tmp_path, capsys):
    evaluate(
        data,
        tmp_path,
        *(*coco(data, whole), f"--checkpoint_path={whole}/run/ssd-3_2.ckpt"),
        *("--min_score=0", "--max_boxes=5", "--eval_subset=no_crowd"),
    )
    printed = capsys.readouterr().out.splitlines()
    # One of the four has no boxes, two have crowds.
    assert "images of the whole set: 4" in printed
    assert "total images num: 1" in printed
    lines = [line for line in printed if line.startswith(" Average ")]
    assert len(lines) == 12
    assert printed[-2] == "=" * 40
    value = float(printed[-1].removeprefix("mAP: "))
    assert f"{value:.3f}" == lines[0].rpartition(" ")[2]
    rows = json.loads((tmp_path / "predictions.json").read_text())
    assert {row["category_id"] for row in rows} == set(
        sample_image_sets.COCO_IDS.values()
    )
    assert {row["image_id"] for row in rows} == {1}
    assert 5 < len(rows) <= 3 * 5


@pytest.mark.slow
def test_an_evaluation_of_voc(data, whole, tmp_path, capsys):
    evaluate(
        data,
        tmp_path / "out",
        *("--dataset=voc", f"--voc_dir={data}/voc", "--min_score=0"),
        *(f"--mindrecord_dir={tmp_path}", f"--voc_root={tmp_path}/json"),
        f"--checkpoint_path={whole}/run",
    )
    printed = capsys.readouterr().out
    path = tmp_path / "json" / "voc_instances_val.json"
    assert f"Wrote {path}\n" in printed
    assert "total images num: 4\n" in printed
    assert "images with boxes and without crowds: 3\n" in printed
    images = json.loads(path.read_text())["images"]
    assert [image["id"] for image in images] == [1, 2, 3, 4]
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert {row["image_id"] for row in rows} == {1, 2, 3, 4}


def test_what_is_not_there_is_said_at_once(data, tmp_path):
    with pytest.raises(errors.CheckpointError, match="none: no such check"):
        evaluate(
            data, tmp_path, *coco(data, tmp_path), "--checkpoint_path=none"
        )
    with pytest.raises(errors.ConfigError, match="image_dir: no such folder"):
        train(data, tmp_path, *coco("/none", tmp_path))
    assert not (tmp_path / "records").exists()
