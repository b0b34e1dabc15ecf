"""What the flags of MindSpore's SSD300 are in a pipeline config."""

import argparse
import os
from collections.abc import Iterator, Mapping
from typing import Any

from object_detection.protos import input_reader_pb2, pipeline_pb2
from object_detection.recipes import ssd300_mobilenet_v2_flags as flags
from object_detection.recipes import ssd300_mobilenet_v2_settings as settings
from object_detection.utils import config_util, label_map_util

TRAIN, EVAL = "train", "eval"
_READERS = {TRAIN: "train_input_reader", EVAL: "eval_input_reader[0]"}
_KINDS = {
    flags.COCO: "coco_input_reader",
    flags.VOC: "voc_input_reader",
    flags.OTHER: "txt_input_reader",
}
_RECORD_ROOTS = {
    flags.COCO: "/data/MindRecord_COCO",
    flags.VOC: "/data/MindRecord_VOC",
    flags.OTHER: "/data/MindRecord_OTHER",
}
_VOC_LABEL_MAP = "object_detection/data/pascal_label_map.pbtxt"

# Of the network before the layers that SSD adds to it.
_BACKBONE_VARIABLES = "^FeatureExtractor/MobilenetV2/(?!layer_19_)"
_COSINE = (
    "train_config.optimizer.momentum_optimizer.learning_rate."
    "cosine_decay_learning_rate"
)


def for_training(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the values that flags give to fields of the config.

    Args:
        arguments: of the command that trains.

    Raises:
        ConfigError: the config or the label map cannot be read.
    """
    pipeline = config_util.read_pipeline_config(arguments.config_path)
    warmup_epochs = arguments.warmup_epochs
    if warmup_epochs is None:
        momentum = pipeline.train_config.optimizer.momentum_optimizer
        cosine = momentum.learning_rate.cosine_decay_learning_rate
        warmup_epochs = cosine.warmup_epochs
    return {
        **_common(arguments, pipeline),
        "train_config.batch_size": arguments.batch_size,
        "train_config.num_epochs": arguments.epoch_size,
        # A training may end before its warm-up does.
        f"{_COSINE}.total_epochs": max(arguments.epoch_size, warmup_epochs),
        f"{_COSINE}.learning_rate_base": arguments.lr,
        "train_config.loss_scale": {
            "initial_scale": arguments.loss_scale,
            "is_static": True,
        },
        "train_config.freeze_variables": (
            [_BACKBONE_VARIABLES]
            if arguments.freeze_layer == flags.BACKBONE
            else None
        ),
    }


def for_evaluation(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the values that flags give to fields of the config.

    Args:
        arguments: of the command that evaluates.

    Raises:
        ConfigError: the config or the label map cannot be read.
    """
    pipeline = config_util.read_pipeline_config(arguments.config_path)
    is_subset = arguments.eval_subset == flags.NO_CROWD or None
    return {
        **_common(arguments, pipeline),
        "eval_config.skip_images_with_crowds": is_subset,
        f"{_READERS[EVAL]}.skip_images_without_boxes": is_subset,
    }


def record_root(arguments: argparse.Namespace) -> str:
    """Returns the folder whose train and eval get records, "" for none."""
    if arguments.mindrecord_dir is None:
        return _RECORD_ROOTS[arguments.dataset]
    return arguments.mindrecord_dir


def _common(
    arguments: argparse.Namespace,
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings.SETTINGS:
        value = getattr(arguments, setting.name, None)
        found |= dict.fromkeys(setting.paths, value)
    found |= _readers(arguments, pipeline) | _classes(arguments, pipeline)
    return found | _total_cap(found, pipeline)


def _total_cap(
    found: Mapping[str, Any], pipeline: pipeline_pb2.TrainEvalPipelineConfig
) -> dict[str, Any]:
    """Lets only a class have a limit, as many classes and boxes there are."""
    ssd = pipeline.model.ssd
    suppression = ssd.post_processing.batch_non_max_suppression
    num_classes = found.get("model.ssd.num_classes", ssd.num_classes)
    of_class = found[f"{settings.NMS}.max_detections_per_class"]
    if of_class is None:
        of_class = suppression.max_detections_per_class
    total = num_classes * of_class
    if total <= suppression.max_total_detections:
        return {}
    return {f"{settings.NMS}.max_total_detections": total}


def _readers(
    arguments: argparse.Namespace,
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> dict[str, Any]:
    """Replaces the readers where flags say what is read or it is of a kind."""
    found: dict[str, Any] = {}
    is_given = any(
        getattr(arguments, name) for name in flags.DATA_FLAGS[arguments.dataset]
    )
    for part, (path, reader) in zip(
        _READERS, _configured_readers(pipeline), strict=True
    ):
        kind = _KINDS[arguments.dataset]
        is_other = reader.WhichOneof("input_reader") != kind
        if is_given or is_other:
            found[f"{path}.{kind}"] = _source(arguments, part)
        if is_other or arguments.mindrecord_dir is not None:
            root = record_root(arguments)
            found[f"{path}.record_dir"] = root and os.path.join(root, part)
    return found


def _configured_readers(
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> Iterator[tuple[str, input_reader_pb2.InputReader]]:
    yield _READERS[TRAIN], pipeline.train_input_reader
    # An override adds the first one where there is none.
    evaluation = [*pipeline.eval_input_reader, input_reader_pb2.InputReader()]
    yield _READERS[EVAL], evaluation[0]


def _source(arguments: argparse.Namespace, part: str) -> dict[str, Any]:
    """Returns the fields of a reader of `arguments.dataset`."""
    if arguments.dataset == flags.COCO:
        root = arguments.coco_root or "/data/coco2017"
        name = {
            TRAIN: arguments.train_data_type or "train2017",
            EVAL: arguments.val_data_type or "val2017",
        }[part]
        annotations = arguments.instances_set or "annotations/instances_{}.json"
        return {
            "image_dir": os.path.join(root, name),
            "annotations_path": os.path.join(
                root, annotations.replace("{}", name)
            ),
        }
    if arguments.dataset == flags.VOC:
        folder = arguments.voc_dir
        return {"input_dir": [os.path.join(folder, part)] if folder else []}
    return {
        "image_dir": arguments.image_dir or "",
        "annotations_path": arguments.anno_path or "",
    }


def _classes(
    arguments: argparse.Namespace,
    pipeline: pipeline_pb2.TrainEvalPipelineConfig,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    label_map = arguments.label_map
    kind = pipeline.train_input_reader.WhichOneof("input_reader")
    if (
        label_map is None
        and arguments.dataset == flags.VOC
        and kind != _KINDS[flags.VOC]
    ):
        label_map = _VOC_LABEL_MAP
    if label_map is not None:
        found = {
            f"{path}.label_map_path": label_map for path in _READERS.values()
        }
        ids = label_map_util.get_label_map_dict(label_map).values()
        found["model.ssd.num_classes"] = max(ids)
    if arguments.num_classes is not None:
        # The background is none of them here.
        found["model.ssd.num_classes"] = arguments.num_classes - 1
    return found
