"""The flags of the training of SSD-VGG for Ascend, and what they check."""

import argparse
import os
from collections.abc import Callable

from object_detection.core import errors
from object_detection.dataset_tools import process_dataset
from object_detection.utils import command

ALLOW_FP32_TO_FP16 = "allow_fp32_to_fp16"
# What each precision mode computes in; variables stay float32 under all.
COMPUTE_DTYPES = {
    ALLOW_FP32_TO_FP16: "float32",
    "force_fp16": "float16",
    "must_keep_origin_dtype": "float32",
    "allow_mix_precision": "float16",
}
USUAL_PRESET = "vgg300"

_COUNT = command.number_from(1)
_FROM_0 = command.number_from(0)
_RATE = command.number_from(0.0, float)


def parser(description: str) -> argparse.ArgumentParser:
    """Returns the parser of the command line.

    Args:
        description: of the program.
    """
    made = command.make_parser(description)
    for add in (_add_data, _add_training, _add_machine, _add_reports):
        add(made)
    return made


def check(arguments: argparse.Namespace) -> None:
    """Refuses flags that do not go together.

    Raises:
        ConfigError: names the flag.
    """
    rates, boundaries = arguments.lr_values, arguments.lr_boundaries
    if len(rates) != len(boundaries) + 1:
        raise errors.ConfigError(
            f"--lr-values: expected one more than the {len(boundaries)} of "
            f"--lr-boundaries, got {len(rates)}"
        )
    if sorted(set(boundaries)) != boundaries:
        raise errors.ConfigError(
            f"--lr-boundaries: expected rising steps, got {boundaries}"
        )


def _add_data(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("model and data")
    group.add_argument(
        "--name",
        default="ckpt",
        help="folder of the run, which must not be there yet, or must be with "
        "--continue-training true",
    )
    group.add_argument(
        "--data-dir",
        default="pascal-voc",
        help="folder that process_dataset wrote, of which pipeline.config "
        "counts; else one with trainval/VOCdevkit/VOC* and "
        "test/VOCdevkit/VOC2007, to train and to measure on",
    )
    group.add_argument(
        "--preset",
        choices=list(process_dataset.PRESETS),
        help="size of the images, where --data-dir has no pipeline.config; "
        f"None for {USUAL_PRESET}",
    )
    group.add_argument(
        "--vgg-dir",
        default="vgg_graph",
        help="folder with the ImageNet weights of VGG-16, or their file: the "
        "checkpoint of TF1-slim, Keras' .h5, or torchvision's as .safetensors; "
        "'' to begin with random weights",
    )
    group.add_argument(
        "--hparams_overrides",
        help="of any value of the config, such as "
        "'train_input_reader.record_dir=/tmp/records,eval_config.batch_size=1'",
    )
    group.add_argument(
        "--data_path", default="./", help="no effect, as in the original"
    )


def _add_training(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("training")
    group.add_argument("--epochs", type=_COUNT, default=200, help="to reach")
    group.add_argument(
        "--batch-size", type=_COUNT, default=8, help="of each process"
    )
    group.add_argument(
        "--checkpoint-interval",
        type=_COUNT,
        default=200,
        help="epochs between two checkpoints e<epoch>.ckpt, of which 20 stay; "
        "beside them the state is saved every 10 minutes",
    )
    group.add_argument(
        "--lr-values",
        type=_list_of(_RATE),
        default="0.00075;0.0001;0.00001",
        help="learning rates, separated by semicolons",
    )
    group.add_argument(
        "--lr-boundaries",
        type=_list_of(_COUNT),
        default="320000;400000",
        help="the last step of each learning rate but the last one, counted "
        "from 0; '' for one learning rate",
    )
    group.add_argument(
        "--momentum", type=_RATE, default=0.9, help="of the optimizer"
    )
    group.add_argument(
        "--weight-decay",
        type=_RATE,
        default=0.0005,
        help="of kernels, as a part of the loss",
    )
    group.add_argument(
        "--continue-training",
        type=command.true_or_false,
        default=False,
        help="go on where the run --name was stopped",
    )
    group.add_argument(
        "--train-map-interval",
        type=_FROM_0,
        default=10,
        help="the training mAP is that of every so many batches, before they "
        "are learned; 0 for none",
    )
    group.add_argument(
        "--eval-interval",
        type=_FROM_0,
        default=0,
        help="epochs between two evaluations on the validation set; there is "
        "one at the end in any case",
    )


def _add_machine(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("machine")
    group.add_argument(
        "--num-workers",
        type=_COUNT,
        default=os.cpu_count() or 1,
        help="threads that read and augment images",
    )
    group.add_argument(
        "--precision_mode",
        choices=list(COMPUTE_DTYPES),
        default=ALLOW_FP32_TO_FP16,
        help="allow_mix_precision and force_fp16 compute in float16, with a "
        "dynamic loss scale, the others in float32; weights are float32",
    )


def _add_reports(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("reports")
    group.add_argument(
        "--tensorboard-dir", default="tb", help="folder of TensorBoard's events"
    )
    group.add_argument(
        "--over_dump",
        type=command.true_or_false,
        default=False,
        help="write the tensors of the first step with NaN or infinity to "
        "--dump_path",
    )
    group.add_argument(
        "--data_dump",
        "--data_dump_flag",
        type=command.true_or_false,
        default=False,
        help="write the tensors of --data_dump_step to --dump_path",
    )
    group.add_argument(
        "--data_dump_step", type=_COUNT, default=10, help="counted from 1"
    )
    group.add_argument(
        "--dump_path",
        default="/home/HwHiAiUser/",
        help="gets step-<step>-rank-<process>.npz",
    )
    group.add_argument(
        "--profiling",
        type=command.true_or_false,
        default=False,
        help="write a trace of the steps 10 to 20 of this run, or of the last "
        "ones of a shorter run, for TensorBoard's profiler",
    )
    group.add_argument("--json-summary", metavar="FILE", help="DLLogger report")


def _list_of(kind: Callable[[str], float]) -> Callable[[str], list[float]]:
    """Returns the `type` of numbers that are separated by semicolons."""

    def parse(text: str) -> list[float]:
        return [kind(part) for part in text.split(";")] if text else []

    parse.__name__ = "list"
    return parse
