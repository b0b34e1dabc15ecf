"""What becomes of the flags of MindSpore's SSD300."""

import pytest

from object_detection.core import errors
from object_detection.data_decoders import sample_image_sets
from object_detection.recipes import jobs
from object_detection.recipes import ssd300_mobilenet_v2_flags as flags
from object_detection.recipes import ssd300_mobilenet_v2_overrides as overrides
from object_detection.recipes import ssd300_mobilenet_v2_setup as setup
from object_detection.utils.shipped_configs_test import assert_values

COSINE = "optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate"
NMS = "post_processing.batch_non_max_suppression"


def training(*words):
    return flags.training_parser("").parse_args(list(words))


def evaluation(*words):
    return flags.evaluation_parser("").parse_args(
        ["--checkpoint_path=x", *words]
    )


def configs_of(arguments, hparams_overrides=None):
    make = overrides.for_evaluation
    if "epoch_size" in arguments:
        make = overrides.for_training
    return jobs.read_configs(
        arguments.config_path, make(arguments), hparams_overrides
    )


def readers_of(*words):
    configs = configs_of(training(*words))
    (evaluated,) = configs["eval_input_configs"]
    return configs["train_input_config"], evaluated, configs["model"].ssd


def test_without_flags_the_config_stays_as_it_is():
    configs = configs_of(training())
    shipped = jobs.read_configs(flags.CONFIG_PATH, {})
    assert configs == shipped
    assert configs_of(evaluation()) == shipped


def test_flags_of_training():
    configs = configs_of(
        training(
            *("--lr", "0.2", "--epoch_size", "800", "--batch_size", "16"),
            *("--loss_scale", "1", "--freeze_layer", "backbone"),
            *("--momentum", "0.8", "--weight_decay", "0.01"),
            *("--lr_init", "0.002", "--lr_end_rate", "0.25"),
            *("--warmup_epochs", "3.5", "--match_threshold", "0.625"),
        )
    )
    assert_values(
        configs["train_config"],
        {
            "num_epochs": 800.0,
            "batch_size": 16,
            f"{COSINE}.learning_rate_base": 0.2,
            f"{COSINE}.total_epochs": 800.0,
            f"{COSINE}.warmup_epochs": 3.5,
            f"{COSINE}.warmup_learning_rate": 0.002,
            f"{COSINE}.end_learning_rate_ratio": 0.25,
            "optimizer.momentum_optimizer.momentum_optimizer_value": 0.8,
            "weight_decay.weight": 0.01,
            "loss_scale.initial_scale": 1.0,
            "loss_scale.is_static": True,
        },
    )
    assert len(configs["train_config"].freeze_variables) == 1
    matcher = configs["model"].ssd.matcher.argmax_matcher
    assert matcher.matched_threshold == matcher.unmatched_threshold == 0.625


def test_a_training_may_end_in_its_warm_up():
    train_config = configs_of(training("--epoch_size=1"))["train_config"]
    assert train_config.num_epochs == 1
    assert_values(train_config, {f"{COSINE}.total_epochs": 2.0})


def test_flags_of_evaluation():
    configs = configs_of(
        evaluation(
            *("--min_score=0.25", "--nms_threshold=0.5", "--max_boxes=7"),
            "--eval_subset=no_crowd",
        )
    )
    assert_values(
        configs["model"].ssd,
        {
            f"{NMS}.score_threshold": 0.25,
            f"{NMS}.iou_threshold": 0.5,
            f"{NMS}.max_detections_per_class": 7,
        },
    )
    assert configs["eval_config"].skip_images_with_crowds
    assert configs["eval_input_configs"][0].skip_images_without_boxes


@pytest.mark.parametrize(
    ("words", "total"),
    [
        (["--max_boxes=100"], 8000),
        (["--max_boxes=250"], 80 * 250),
        (["--num_classes=201"], 200 * 100),
    ],
)
def test_only_a_class_has_a_limit(words, total):
    ssd = configs_of(evaluation(*words))["model"].ssd
    assert_values(ssd, {f"{NMS}.max_total_detections": total})


def test_usual_values():
    usual = training()
    assert (usual.save_checkpoint_epochs, usual.mode) == (10, "sink")
    assert (usual.run_platform, usual.filter_weight) == ("Ascend", False)
    assert (usual.lr, usual.epoch_size) == (0.05, 500)


def test_overrides_of_the_user_win():
    configs = configs_of(
        training("--lr=0.2"), f"train_config.{COSINE}.learning_rate_base=0.5"
    )
    assert_values(
        configs["train_config"], {f"{COSINE}.learning_rate_base": 0.5}
    )


@pytest.mark.parametrize("name", ["--COCO_ROOT", "--coco_root"])
def test_coco(name):
    train, evaluated, ssd = readers_of(
        *("--dataset=coco", name, "/c", "--train_data_type", "t"),
        *("--instances_set", "a/{}_b.json", "--MINDRECORD_DIR", "/r"),
    )
    assert train.coco_input_reader.image_dir == "/c/t"
    assert train.coco_input_reader.annotations_path == "/c/a/t_b.json"
    assert evaluated.coco_input_reader.image_dir == "/c/val2017"
    assert evaluated.coco_input_reader.annotations_path == "/c/a/val2017_b.json"
    assert (train.record_dir, evaluated.record_dir) == ("/r/train", "/r/eval")
    assert train.skip_images_without_boxes
    assert not evaluated.skip_images_without_boxes
    assert ssd.num_classes == 80


def test_voc_has_its_own_classes_and_records():
    train, evaluated, ssd = readers_of("--dataset=voc", "--voc_dir=/v")
    assert train.voc_input_reader.input_dir == ["/v/train"]
    assert evaluated.voc_input_reader.input_dir == ["/v/eval"]
    assert train.record_dir == "/data/MindRecord_VOC/train"
    assert train.label_map_path.endswith("/pascal_label_map.pbtxt")
    assert evaluated.label_map_path == train.label_map_path
    assert ssd.num_classes == 20


def test_voc_without_its_folder_needs_records():
    train, _, _ = readers_of("--dataset=voc", "--mindrecord_dir=/r")
    assert train.WhichOneof("input_reader") == "voc_input_reader"
    assert not train.voc_input_reader.input_dir


def test_text_files_with_classes_of_ones_own(tmp_path):
    label_map = sample_image_sets.write_label_map(tmp_path)
    train, evaluated, ssd = readers_of(
        *("--dataset=other", "--IMAGE_DIR=/i", "--ANNO_PATH=/a.txt"),
        *(f"--label_map={label_map}", "--mindrecord_dir="),
    )
    for reader in (train, evaluated):
        assert_values(
            reader,
            {
                "txt_input_reader.image_dir": "/i",
                "txt_input_reader.annotations_path": "/a.txt",
                "label_map_path": str(label_map),
                "record_dir": "",
            },
        )
    assert ssd.num_classes == 3


@pytest.mark.parametrize("name", ["--num_classes", "--class_num"])
def test_the_number_of_classes_counts_the_background(name):
    assert readers_of(name, "21")[2].num_classes == 20


@pytest.mark.parametrize(
    ("arguments", "num_processes", "message"),
    [
        (training("--voc_dir=/v"), 1, "--voc_dir: is of --dataset voc, got"),
        (
            evaluation("--dataset=other", "--coco_root=/c"),
            1,
            "--coco_root: is of --dataset coco, got --dataset other",
        ),
        (
            training("--distribute=True", "--device_num=8"),
            1,
            "expected 8 processes, got 1; start them by horovodrun -np 8",
        ),
        (training("--device_num=2"), 2, "expected 1 processes, got 2"),
        (
            training("--pre_trained_epoch_size=3"),
            1,
            "--pre_trained_epoch_size: needs --pre_trained",
        ),
        (
            training("--filter_weight=true"),
            1,
            "--filter_weight: needs --pre_trained",
        ),
        (
            training(
                *("--pre_trained=x", "--pre_trained_epoch_size=9"),
                "--epoch_size=9",
            ),
            1,
            "--pre_trained_epoch_size: 9 epochs leave none up to",
        ),
    ],
)
def test_flags_that_do_not_go_together(arguments, num_processes, message):
    with pytest.raises(errors.ConfigError, match=message):
        flags.check(arguments, num_processes)


def test_flags_that_do():
    flags.check(training("--distribute=True", "--device_num=8"), 8)
    flags.check(training("--device_num=8"), 1)
    flags.check(evaluation("--dataset=voc", "--voc_root=/v"), 1)


def test_devices():
    # No GPU is looked for in tests.
    with pytest.raises(errors.ConfigError, match="GPU: TensorFlow sees no"):
        setup.set_up_process(training("--run_platform=GPU"))
    for platform in ("Ascend", "CPU"):
        arguments = training(f"--run_platform={platform}")
        assert setup.set_up_process(arguments) == "float32"
    arguments = training("--compute_dtype=bfloat16")
    assert setup.set_up_process(arguments) == "bfloat16"


def test_the_listing_has_all_keys(capsys):
    arguments = training(
        *("--coco_root=/c", "--lr_init=0.125", "--num_classes=21")
    )
    setup.show_config(arguments, configs_of(arguments))
    lines = capsys.readouterr().out.splitlines()
    shown = dict(line.split("  (")[0].split(maxsplit=1) for line in lines)
    assert shown == {
        "img_shape": "[300, 300]",
        "num_ssd_boxes": "1917",
        "match_threshold": "0.5",
        "nms_threshold": "0.6",
        "min_score": "0.1",
        "max_boxes": "100",
        "lr_init": "0.125",
        "lr_end_rate": "0.001",
        "warmup_epochs": "2",
        "momentum": "0.9",
        "weight_decay": "0.00015",
        "num_classes": "21",
        "mindrecord_dir": "/data/MindRecord_COCO",
        "coco_root": "/c",
        "train_data_type": "train2017",
        "val_data_type": "val2017",
        "instances_set": "annotations/instances_{}.json",
        **dict.fromkeys(
            ("voc_root", "voc_dir", "image_dir", "anno_path"), "''"
        ),
    }
