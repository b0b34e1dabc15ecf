"""The keys of MindSpore's config.py that are numbers of a pipeline config."""

from collections.abc import Callable
from typing import NamedTuple

from object_detection.utils import command

NMS = "model.ssd.post_processing.batch_non_max_suppression"
_MATCHER = "model.ssd.matcher.argmax_matcher"
_OPTIMIZER = "train_config.optimizer.momentum_optimizer"
_COSINE = f"{_OPTIMIZER}.learning_rate.cosine_decay_learning_rate"

_COUNT = command.number_from(1)
_RATE = command.number_from(0.0, float)


class Setting(NamedTuple):
    """A key of MindSpore's config.py that is one number of the config.

    Attributes:
        name: of the key and of the flag.
        paths: of the fields that hold it.
        kind: `type` of the flag.
        help: what it is.
    """

    name: str
    paths: tuple[str, ...]
    kind: Callable[[str], float]
    help: str


SETTINGS = (
    Setting(
        "match_threshold",
        (f"{_MATCHER}.matched_threshold", f"{_MATCHER}.unmatched_threshold"),
        _RATE,
        "IoU above which an anchor is matched",
    ),
    Setting(
        "nms_threshold",
        (f"{NMS}.iou_threshold",),
        _RATE,
        "IoU above which a box is suppressed",
    ),
    Setting(
        "min_score",
        (f"{NMS}.score_threshold",),
        _RATE,
        "score that a detection has to exceed",
    ),
    Setting(
        "max_boxes",
        (f"{NMS}.max_detections_per_class",),
        _COUNT,
        "detections of a class in an image",
    ),
    Setting(
        "lr_init",
        (f"{_COSINE}.warmup_learning_rate",),
        _RATE,
        "learning rate of the first step",
    ),
    Setting(
        "lr_end_rate",
        (f"{_COSINE}.end_learning_rate_ratio",),
        _RATE,
        "that of the last one, as a share of --lr",
    ),
    Setting(
        "warmup_epochs",
        (f"{_COSINE}.warmup_epochs",),
        _RATE,
        "epochs in which it rises to --lr",
    ),
    Setting(
        "momentum",
        (f"{_OPTIMIZER}.momentum_optimizer_value",),
        _RATE,
        "of the optimizer",
    ),
    Setting(
        "weight_decay",
        ("train_config.weight_decay.weight",),
        _RATE,
        "of all but BatchNorm",
    ),
)
# Those of an evaluation; the others are of training.
EVAL_SETTINGS = ("nms_threshold", "min_score", "max_boxes")
