"""The flags of NVIDIA's SSD300."""

import argparse

from object_detection.core import errors
from object_detection.recipes import jobs
from object_detection.training import amp
from object_detection.utils import command

CONFIG_PATH = jobs.config_path("ssd300_resnet50_coco.config")
TRAINING = "training"
EVALUATION = "evaluation"
BENCHMARK_TRAINING = "benchmark-training"
BENCHMARK_INFERENCE = "benchmark-inference"
MODES = (TRAINING, EVALUATION, BENCHMARK_TRAINING, BENCHMARK_INFERENCE)
CHANNELS_FIRST = "channels_first"
CHANNELS_LAST = "channels_last"
RANDOM_WEIGHTS = "none"

# Which batch the learning rate is for, and its factor at some epochs.
USUAL_BATCH_SIZE = 32
DECAY = 0.1
USUAL_BACKBONE = "resnet50"
_BACKBONES = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))

_COUNT = command.number_from(1)
_FROM_0 = command.number_from(0)
_RATE = command.number_from(0.0, float)


def parser(description: str) -> argparse.ArgumentParser:
    """Returns the parser of the command line.

    Args:
        description: of the program.
    """
    made = command.make_parser(description)
    for add in (_add_data, _add_training, _add_compute, _add_reports):
        add(made)
    return made


def _add_data(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("model and data")
    group.add_argument(
        "--data",
        "-d",
        help="folder with train2017, val2017 and annotations; None for that "
        "of the config, /coco",
    )
    group.add_argument(
        "--label-map",
        help="of other data than COCO: its classes, of which the model gets "
        "as many; an epoch is then as many images as there are",
    )
    group.add_argument("--config", default=CONFIG_PATH, help="pipeline config")
    group.add_argument(
        "--hparams_overrides",
        help="of any value of the config, such as 'train_input_reader."
        "coco_input_reader.image_dir=/images,eval_config.batch_size=1'",
    )
    group.add_argument(
        "--backbone",
        default=USUAL_BACKBONE,
        choices=_BACKBONES,
        help="up to its third block",
    )
    group.add_argument(
        "--backbone-path",
        help="its first weights: torchvision's state dict as .safetensors or "
        f".npz, or a checkpoint; '{RANDOM_WEIGHTS}' for random ones; None for "
        "/checkpoints/BACKBONE.safetensors",
    )
    group.add_argument(
        "--checkpoint",
        help="go on from it, after its epoch, or with --mode evaluation "
        "measure it: DIR/epoch_N of --save, or DIR for its newest",
    )
    group.add_argument(
        "--save",
        metavar="DIR",
        default="./models",
        help="gets a checkpoint epoch_N after each epoch N; a training that "
        "stopped goes on from there",
    )


def _add_training(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("training")
    group.add_argument(
        "--mode",
        default=TRAINING,
        choices=MODES,
        help="the speeds are in images per second",
    )
    group.add_argument(
        "--epochs", "-e", type=_COUNT, default=65, help="to reach"
    )
    group.add_argument(
        "--batch-size",
        "--bs",
        type=_COUNT,
        default=USUAL_BATCH_SIZE,
        help="of each process",
    )
    group.add_argument(
        "--eval-batch-size",
        "--ebs",
        type=_COUNT,
        default=32,
        help="of each process, in evaluations and in benchmark-inference",
    )
    group.add_argument(
        "--evaluation",
        nargs="*",
        type=_FROM_0,
        default=[21, 31, 37, 42, 48, 53, 59, 64],
        metavar="EPOCH",
        help="epochs, from 0, after which to evaluate",
    )
    group.add_argument(
        "--multistep",
        nargs="+",
        type=_COUNT,
        default=[43, 54],
        metavar="EPOCH",
        help=f"epochs at which the learning rate is multiplied by {DECAY}",
    )
    group.add_argument(
        "--learning-rate",
        "--lr",
        type=_RATE,
        default=2.6e-3,
        help=f"for each {USUAL_BATCH_SIZE} images of a step, over all "
        "processes",
    )
    group.add_argument(
        "--momentum", "-m", type=_RATE, default=0.9, help="of SGD"
    )
    group.add_argument(
        "--weight-decay",
        "--wd",
        type=_RATE,
        default=5e-4,
        help="of all but biases and BatchNorm",
    )
    group.add_argument(
        "--warmup",
        type=_FROM_0,
        help="iterations in which the learning rate rises from 0",
    )
    group.add_argument(
        "--seed", "-s", type=_FROM_0, help="None for another one each time"
    )
    group.add_argument(
        "--benchmark-iterations", type=_COUNT, default=20, help="measured"
    )
    group.add_argument(
        "--benchmark-warmup", type=_FROM_0, default=20, help="not measured"
    )


def _add_compute(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("machine")
    switch = argparse.BooleanOptionalAction
    group.add_argument(
        "--amp",
        action=switch,
        default=False,
        help="compute in a 16-bit type where it gains",
    )
    group.add_argument(
        "--amp-dtype",
        choices=sorted(amp.POLICIES),
        help="the type that --amp uses; None for what is fastest here",
    )
    group.add_argument(
        "--allow-tf32",
        action=switch,
        default=True,
        help="on GPUs, let products of float32 have TensorFloat-32's precision",
    )
    group.add_argument(
        "--data-layout",
        choices=(CHANNELS_FIRST, CHANNELS_LAST),
        help=f"on GPUs, {CHANNELS_FIRST} lets TensorFlow turn layers to NCHW, "
        f"{CHANNELS_LAST} keeps all in NHWC; a CPU computes in NHWC; None "
        "leaves it to TensorFlow",
    )
    group.add_argument(
        "--no-cuda", action="store_true", help="leave GPUs alone"
    )
    group.add_argument(
        "--num-workers",
        type=_FROM_0,
        default=4,
        help="no effect: images are read on as many threads as are free",
    )
    group.add_argument(
        "--local_rank",
        "--local-rank",
        type=int,
        default=0,
        help="no effect: horovodrun and mpirun tell a process its number",
    )


def _add_reports(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("reports")
    group.add_argument(
        "--log-interval",
        type=_COUNT,
        default=20,
        help="iterations of an epoch between two lines with a loss",
    )
    group.add_argument("--json-summary", metavar="FILE", help="DLLogger report")


def check(arguments: argparse.Namespace, num_processes: int) -> None:
    """Refuses flags that do not go together.

    Args:
        arguments: what was parsed.
        num_processes: of the run.

    Raises:
        ConfigError: names the flag.
    """
    if arguments.mode == EVALUATION and not arguments.checkpoint:
        raise errors.ConfigError(
            f"--mode {EVALUATION}: needs --checkpoint, what to measure"
        )
    if arguments.mode == BENCHMARK_INFERENCE and num_processes > 1:
        raise errors.ConfigError(
            f"--mode {BENCHMARK_INFERENCE}: is of one process, got "
            f"{num_processes}; start one"
        )
