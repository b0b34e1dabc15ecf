"""What MindSpore's SSD300 does before it trains or evaluates."""

import argparse
import os

import tensorflow as tf

from object_detection import inputs
from object_detection.builders import model_builder, record_cache
from object_detection.core import errors
from object_detection.protos import input_reader_pb2
from object_detection.recipes import ssd300_mobilenet_v2_flags as flags
from object_detection.recipes import ssd300_mobilenet_v2_log as log
from object_detection.recipes import ssd300_mobilenet_v2_settings as settings
from object_detection.training import amp, distributed
from object_detection.utils import (
    config_util,
    configured_detector,
    devices,
    print_anchors,
)


def set_up_process(arguments: argparse.Namespace) -> str:
    """Chooses the device; returns the type to compute in.

    Raises:
        ConfigError: there is no such device.
    """
    gpus = tf.config.list_physical_devices("GPU")
    uses_gpus = bool(gpus) and arguments.run_platform != flags.CPU
    if arguments.run_platform == flags.GPU and not gpus:
        raise errors.ConfigError(
            f"--run_platform {flags.GPU}: TensorFlow sees no GPU here; give "
            f"{flags.CPU}"
        )
    if uses_gpus and distributed.size() == 1:
        if arguments.device_id >= len(gpus):
            raise errors.ConfigError(
                f"--device_id {arguments.device_id}: there are {len(gpus)} "
                "GPUs here, counted from 0"
            )
        tf.config.set_visible_devices(gpus[arguments.device_id], "GPU")
    devices.set_up(uses_gpus=uses_gpus)
    if arguments.compute_dtype is not None:
        return arguments.compute_dtype
    if arguments.run_platform == flags.GPU:
        return "float16"
    # As Ascend, whose products are of float16, all else of float32.
    is_fast = uses_gpus and amp.fastest_dtype() == "bfloat16"
    return "bfloat16" if is_fast else "float32"


def make_records(reader: input_reader_pb2.InputReader, path: str) -> None:
    """Makes the records of a reader, if it keeps any and has none.

    Args:
        reader: of the config.
        path: of it in the config, for errors.

    Raises:
        DetectionError: see `record_cache.make_if_missing`.
    """
    is_missing = bool(reader.record_dir) and distributed.from_main(
        lambda: record_cache.find(reader, path) is None
    )
    if is_missing:
        log.say("Create Mindrecord.")
    inputs.make_missing_records(reader, path)
    if is_missing:
        log.say(f"Create Mindrecord Done, at {reader.record_dir}")


def show_config(
    arguments: argparse.Namespace, configs: config_util.Configs
) -> None:
    """Prints the keys of MindSpore's config.py, and where they are here.

    Args:
        arguments: of either command.
        configs: what they make of the config.
    """
    ssd = configs["model"].ssd
    size = ssd.image_resizer.fixed_shape_resizer
    resizer = "model.ssd.image_resizer.fixed_shape_resizer"
    rows = [
        ("img_shape", [size.height, size.width], f"{resizer}.height, width"),
        ("num_ssd_boxes", _num_boxes(configs), "model.ssd.anchor_generator"),
    ]
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    for setting in settings.SETTINGS:
        value = pipeline
        for step in setting.paths[0].split("."):
            value = getattr(value, step)
        rows.append((setting.name, f"{value:.6g}", ", ".join(setting.paths)))
    rows.append(
        ("num_classes", ssd.num_classes + 1, "model.ssd.num_classes + 1")
    )
    rows += _data_rows(arguments, configs)
    width = max(len(name) for name, _, _ in rows)
    for name, value, where in rows:
        shown = "''" if value == "" else value
        log.say(f"{name:<{width}}  {shown}  ({where})")


def _num_boxes(configs: config_util.Configs) -> int:
    size = configs["model"].ssd.image_resizer.fixed_shape_resizer
    detector = configured_detector.ConfiguredDetector(
        model_builder.build(configs["model"], is_training=False),
        (size.height, size.width),
    )
    return sum(len(one.boxes) for one in print_anchors.anchors_by_map(detector))


def _data_rows(
    arguments: argparse.Namespace, configs: config_util.Configs
) -> list[tuple[str, str, str]]:
    train = configs["train_input_config"]
    evaluation = [
        *configs["eval_input_configs"],
        input_reader_pb2.InputReader(),
    ][0]
    root, train_type = os.path.split(train.coco_input_reader.image_dir)
    eval_type = os.path.basename(evaluation.coco_input_reader.image_dir)
    annotations = train.coco_input_reader.annotations_path
    if root:
        annotations = os.path.relpath(annotations, root)
    folders = [*train.voc_input_reader.input_dir, ""]
    coco, txt = "coco_input_reader", "txt_input_reader"
    both = "train_input_reader.{0}, eval_input_reader[0].{0}".format
    return [
        (
            "mindrecord_dir",
            os.path.dirname(train.record_dir),
            both("record_dir"),
        ),
        ("coco_root", root, both(f"{coco}.image_dir")),
        ("train_data_type", train_type, f"train_input_reader.{coco}.image_dir"),
        ("val_data_type", eval_type, f"eval_input_reader[0].{coco}.image_dir"),
        (
            "instances_set",
            annotations.replace(train_type or "{}", "{}"),
            both(f"{coco}.annotations_path"),
        ),
        ("voc_root", arguments.voc_root or "", "--voc_root"),
        (
            "voc_dir",
            os.path.dirname(folders[0]),
            both("voc_input_reader.input_dir"),
        ),
        (
            "image_dir",
            train.txt_input_reader.image_dir,
            both(f"{txt}.image_dir"),
        ),
        (
            "anno_path",
            train.txt_input_reader.annotations_path,
            both(f"{txt}.annotations_path"),
        ),
    ]
