"""The flags of MindSpore's SSD300, those of its config.py among them."""

import argparse
from collections.abc import Collection

from object_detection.core import errors
from object_detection.recipes import jobs
from object_detection.recipes import ssd300_mobilenet_v2_settings as settings
from object_detection.training import amp
from object_detection.utils import command

CONFIG_PATH = jobs.config_path("ssd300_mobilenet_v2_coco.config")
COCO, VOC, OTHER = "coco", "voc", "other"
SINK, NORMAL = "sink", "normal"
ASCEND, GPU, CPU = "Ascend", "GPU", "CPU"
BACKBONE = "backbone"
FULL, NO_CROWD = "full", "no_crowd"

_COUNT = command.number_from(1)
_FROM_0 = command.number_from(0)
_RATE = command.number_from(0.0, float)


DATA_FLAGS = {
    COCO: ("coco_root", "train_data_type", "val_data_type", "instances_set"),
    VOC: ("voc_root", "voc_dir"),
    OTHER: ("image_dir", "anno_path"),
}


def training_parser(description: str) -> argparse.ArgumentParser:
    """Returns the parser of the command that trains.

    Args:
        description: of the program.
    """
    made = _parser(description)
    group = made.add_argument_group("training")
    group.add_argument(
        "--only_create_dataset",
        type=command.true_or_false,
        default=False,
        help="make the records of the training images, and end",
    )
    group.add_argument(
        "--distribute",
        type=command.true_or_false,
        default=False,
        help="train in --device_num processes, started by horovodrun",
    )
    group.add_argument(
        "--device_num",
        type=_COUNT,
        default=1,
        help="processes of the run, with --distribute True",
    )
    group.add_argument(
        "--lr", type=_RATE, default=0.05, help="the highest learning rate"
    )
    group.add_argument(
        "--mode",
        choices=(SINK, NORMAL),
        default=SINK,
        help=f"{SINK}: a loss line after each epoch; {NORMAL}: after each "
        "step, which has to be waited for",
    )
    group.add_argument(
        "--epoch_size", type=_COUNT, default=500, help="epochs to reach"
    )
    group.add_argument(
        "--batch_size", type=_COUNT, default=32, help="of each process"
    )
    _add_start(made)
    group.add_argument(
        "--save_checkpoint_epochs",
        type=_COUNT,
        default=10,
        help="epochs between two checkpoints ssd-EPOCH_STEPS.ckpt; the last "
        "epoch has one, too, and all of them stay",
    )
    group.add_argument(
        "--loss_scale",
        type=command.number_from(1.0, float),
        default=1024.0,
        help="of float16 alone, stays as it is; 1 for none. An update whose "
        "gradients overflow is left out",
    )
    group.add_argument(
        "--freeze_layer",
        choices=("none", BACKBONE),
        default="none",
        help=f"{BACKBONE}: leave the weights of MobileNet v2 as they are; the "
        "running means of its BatchNorm move on",
    )
    group.add_argument(
        "--seed", type=_FROM_0, default=1, help="of weights and images"
    )
    group.add_argument(
        "--model_dir",
        default="ckpt_0",
        help="gets the checkpoints; a training that stopped goes on from there",
    )
    _add_settings(made, [setting.name for setting in settings.SETTINGS])
    return made


def evaluation_parser(description: str) -> argparse.ArgumentParser:
    """Returns the parser of the command that evaluates.

    Args:
        description: of the program.
    """
    made = _parser(description)
    group = made.add_argument_group("evaluation")
    group.add_argument(
        "--checkpoint_path",
        required=True,
        help="such as ckpt_0/ssd-500_458.ckpt, or a folder for its newest",
    )
    group.add_argument(
        "--eval_subset",
        choices=(FULL, NO_CROWD),
        default=FULL,
        help=f"{NO_CROWD}: only images with boxes and without crowds, as "
        "MindSpore measures",
    )
    group.add_argument(
        "--output_dir",
        default=".",
        help="gets predictions.json, in COCO's result format, and eval/",
    )
    _add_settings(made, settings.EVAL_SETTINGS)
    return made


def _parser(description: str) -> argparse.ArgumentParser:
    made = command.make_parser(description)
    _add_machine(made)
    _add_data(made)
    return made


def _add_machine(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("machine and config")
    group.add_argument(
        "--run_platform",
        choices=(ASCEND, GPU, CPU),
        default=ASCEND,
        help=f"{ASCEND}: there is none here, so a GPU if there is one, else "
        "the CPU",
    )
    group.add_argument(
        "--device_id",
        type=_FROM_0,
        default=0,
        help="number of the GPU; of several processes each takes its own",
    )
    group.add_argument(
        "--compute_dtype",
        choices=sorted(amp.POLICIES),
        help=f"None for float16 with {GPU}; with {ASCEND} for bfloat16 on a "
        "GPU that gains by it, else float32",
    )
    group.add_argument(
        "--config_path", default=CONFIG_PATH, help="pipeline config"
    )
    group.add_argument(
        "--hparams_overrides",
        help="of any value of the config, such as "
        "'train_config.num_steps=10,train_input_reader.shuffle=false'",
    )
    group.add_argument(
        "--print_config",
        action="store_true",
        help="print the keys of MindSpore's config.py, and end",
    )
    group.add_argument("--json_summary", metavar="FILE", help="DLLogger report")


def _add_data(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("data")
    group.add_argument(
        "--dataset",
        choices=(COCO, VOC, OTHER),
        default=COCO,
        help=f"{OTHER}: images and a text file. None of the flags of a kind: "
        "what the config says",
    )
    for name, old_name, text in (
        (
            "mindrecord_dir",
            "MINDRECORD_DIR",
            "records are made in its train and eval once, and then read in "
            "place of the images; '' for none. None for /data/MindRecord_COCO,"
            " _VOC or _OTHER",
        ),
        ("coco_root", "COCO_ROOT", "None for /data/coco2017"),
        ("train_data_type", None, "None for train2017"),
        ("val_data_type", None, "None for val2017"),
        ("instances_set", None, "None for annotations/instances_{}.json"),
        (
            "voc_root",
            "VOC_ROOT",
            "gets the boxes of the evaluation's images in COCO's format, "
            "voc_instances_val.json; None for MINDRECORD_DIR",
        ),
        (
            "voc_dir",
            None,
            "with train and eval, each images and XML files in one folder or "
            "in Images and Annotations; boxes are taken as they are, without "
            "MindSpore's - 1",
        ),
        ("image_dir", "IMAGE_DIR", "the paths of ANNO_PATH begin here"),
        (
            "anno_path",
            "ANNO_PATH",
            "lines 'path xmin,ymin,xmax,ymax,class ...', one an image",
        ),
        (
            "label_map",
            None,
            f"classes of the data; None for those of the config, with {VOC} "
            "Pascal VOC's",
        ),
    ):
        names = [f"--{name}", *([f"--{old_name}"] if old_name else [])]
        group.add_argument(*names, help=text)
    group.add_argument(
        "--num_classes",
        "--class_num",
        type=command.number_from(2),
        help="the background counted; None for those of the label map",
    )


def _add_start(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("first weights")
    group.add_argument("--pre_trained", help="a checkpoint, or a folder")
    group.add_argument(
        "--pre_trained_epoch_size",
        type=_FROM_0,
        default=0,
        help="epochs that --pre_trained was trained: the learning rate begins "
        "there, and up to --epoch_size is trained. A checkpoint of just so "
        "many steps is gone on from, with its momentum; of others the weights "
        "alone are taken",
    )
    group.add_argument(
        "--filter_weight",
        type=command.true_or_false,
        default=False,
        help="take no weights of the heads, for other classes",
    )


def _add_settings(
    made: argparse.ArgumentParser, names: Collection[str]
) -> None:
    group = made.add_argument_group("numbers of the config; None for its own")
    for setting in settings.SETTINGS:
        if setting.name in names:
            group.add_argument(
                f"--{setting.name}", type=setting.kind, help=setting.help
            )


def check(arguments: argparse.Namespace, num_processes: int) -> None:
    """Refuses flags that do not go together.

    Args:
        arguments: of either command.
        num_processes: of the run.

    Raises:
        ConfigError: names the flag.
    """
    for kind, names in DATA_FLAGS.items():
        for name in names:
            if kind != arguments.dataset and getattr(arguments, name):
                raise errors.ConfigError(
                    f"--{name}: is of --dataset {kind}, got --dataset "
                    f"{arguments.dataset}"
                )
    if "distribute" in arguments:
        _check_training(arguments, num_processes)


def _check_training(arguments: argparse.Namespace, num_processes: int) -> None:
    wanted = arguments.device_num if arguments.distribute else 1
    if num_processes != wanted:
        raise errors.ConfigError(
            f"--distribute {arguments.distribute} --device_num "
            f"{arguments.device_num}: expected {wanted} processes, got "
            f"{num_processes}; start them by horovodrun -np {wanted}"
        )
    if not arguments.pre_trained:
        for name in ("pre_trained_epoch_size", "filter_weight"):
            if getattr(arguments, name):
                raise errors.ConfigError(f"--{name}: needs --pre_trained")
    if arguments.pre_trained_epoch_size >= arguments.epoch_size:
        raise errors.ConfigError(
            f"--pre_trained_epoch_size: {arguments.pre_trained_epoch_size} "
            f"epochs leave none up to --epoch_size {arguments.epoch_size}"
        )
