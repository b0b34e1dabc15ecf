"""Which config fields change nothing, or have a range.

Every field of the config language is honoured, named in one of these tables,
or refused by the builder of its message. Keys are "Message.field".
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf import message

_LEGACY_TRAINER = "only the legacy trainer of the original read it"
_LEGACY_EVALUATOR = "only the legacy evaluator of the original read it"
_NO_QUEUES = "there are no input queues; tf.data sizes its own buffers"
_SAME_NUMBERS = "chooses between two ways to the same numbers"
_ALWAYS_BY_ANCHOR = "the losses are always summed by anchor"

# Set but without effect: reported once, with the reason.
WITHOUT_EFFECT = {
    "ArgMaxMatcher.use_matmul_gather": _SAME_NUMBERS,
    "BatchNonMaxSuppression.use_static_shapes": _SAME_NUMBERS,
    "BipartiteMatcher.use_matmul_gather": _SAME_NUMBERS,
    "BootstrappedSigmoidClassificationLoss.anchorwise_output": (
        _ALWAYS_BY_ANCHOR
    ),
    "EvalConfig.eval_instance_masks": "nothing read it in the original either",
    "EvalConfig.eval_interval_secs": _LEGACY_EVALUATOR,
    "EvalConfig.eval_master": _LEGACY_EVALUATOR,
    "EvalConfig.export_path": _LEGACY_EVALUATOR,
    "EvalConfig.groundtruth_box_visualization_color": _LEGACY_EVALUATOR,
    "EvalConfig.ignore_groundtruth": _LEGACY_EVALUATOR,
    "EvalConfig.keep_image_id_for_visualization_export": _LEGACY_EVALUATOR,
    "EvalConfig.max_evals": _LEGACY_EVALUATOR,
    "EvalConfig.num_examples": "the whole evaluation set is evaluated",
    "EvalConfig.save_graph": _LEGACY_EVALUATOR,
    "EvalConfig.skip_labels": _LEGACY_EVALUATOR,
    "EvalConfig.skip_scores": _LEGACY_EVALUATOR,
    "EvalConfig.visualization_export_dir": _LEGACY_EVALUATOR,
    "EvalConfig.visualize_groundtruth_boxes": _LEGACY_EVALUATOR,
    "Hyperparams.regularize_depthwise": "no builder read it in the original",
    "InputReader.load_instance_masks": (
        "masks are read and augmented, but no SSD loss uses them"
    ),
    "InputReader.min_after_dequeue": _NO_QUEUES,
    "InputReader.num_parallel_batches": _NO_QUEUES,
    "InputReader.num_parallel_map_calls": _NO_QUEUES,
    "InputReader.prefetch_size": _NO_QUEUES,
    "InputReader.queue_capacity": _NO_QUEUES,
    "InputReader.use_display_name": "names and display names are both tried",
    "Loss.desired_negative_sampling_ratio": "needs expected_loss_weights",
    "Loss.equalization_loss": "no loss used it in the original either",
    "Loss.min_num_negative_samples": "needs expected_loss_weights",
    "SigmoidFocalClassificationLoss.anchorwise_output": _ALWAYS_BY_ANCHOR,
    "Ssd.inplace_batchnorm_update": "BatchNorm statistics always move in step",
    "Ssd.mask_head_config": "nothing read it in the original either",
    "TrainConfig.batch_queue_capacity": _LEGACY_TRAINER,
    "TrainConfig.max_number_of_boxes": (
        "the reader's max_number_of_boxes counts, as in the original"
    ),
    "TrainConfig.num_batch_queue_threads": _LEGACY_TRAINER,
    "TrainConfig.prefetch_queue_capacity": _LEGACY_TRAINER,
    "TrainConfig.replicas_to_aggregate": _LEGACY_TRAINER,
    "TrainConfig.startup_delay_steps": _LEGACY_TRAINER,
    "TrainConfig.sync_replicas": _LEGACY_TRAINER,
    "TrainConfig.unpad_groundtruth_tensors": "padded boxes never count",
    "TrainConfig.use_bfloat16": "--amp chooses the precision",
    "TrainConfig.use_multiclass_scores": _LEGACY_TRAINER,
    "WeightedL2LocalizationLoss.anchorwise_output": _ALWAYS_BY_ANCHOR,
    "WeightedSigmoidClassificationLoss.anchorwise_output": _ALWAYS_BY_ANCHOR,
    "WeightedSmoothL1LocalizationLoss.anchorwise_output": _ALWAYS_BY_ANCHOR,
    "WeightedSoftmaxClassificationAgainstLogitsLoss.anchorwise_output": (
        _ALWAYS_BY_ANCHOR
    ),
    "WeightedSoftmaxClassificationLoss.anchorwise_output": _ALWAYS_BY_ANCHOR,
}

# Without effect as long as this other field of the message is false or 0.
NEEDS = {
    "HardExampleMiner.min_negatives_per_image": "max_negatives_per_positive",
    "Ssd.implicit_example_weight": "use_confidences_as_targets",
    "WeightDecay.exclude_variables": "weight",
}


class Range(NamedTuple):
    """The numbers that a field may have.

    Attributes:
        low: the least one.
        high: the greatest one, itself allowed.
        is_low_allowed: whether `low` itself is.
    """

    low: float
    high: float = math.inf
    is_low_allowed: bool = True

    def contains(self, value: float) -> bool:
        """Whether a field may have this value."""
        is_above = (
            value >= self.low if self.is_low_allowed else value > self.low
        )
        return is_above and value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.high):
            words = "at least" if self.is_low_allowed else "above"
            return f"{words} {self.low:g}"
        if self.is_low_allowed:
            return f"from {self.low:g} to {self.high:g}"
        return f"above {self.low:g} and at most {self.high:g}"


_COUNT = Range(1)
_NOT_NEGATIVE = Range(0)
_POSITIVE = Range(0, is_low_allowed=False)

# What nothing else checks; builders and constructors check the rest.
RANGES = {
    "BootstrappedSigmoidClassificationLoss.alpha": Range(0, 1),
    "EvalConfig.batch_size": _COUNT,
    "EvalConfig.max_num_boxes_to_visualize": _NOT_NEGATIVE,
    "L1Regularizer.weight": _NOT_NEGATIVE,
    "L2Regularizer.weight": _NOT_NEGATIVE,
    "Loss.classification_weight": _NOT_NEGATIVE,
    "Loss.localization_weight": _NOT_NEGATIVE,
    "LossScale.growth_steps": _COUNT,
    "LossScale.initial_scale": _POSITIVE,
    "LossScale.overflows_before_shrink": _COUNT,
    "RandomNormalInitializer.stddev": _NOT_NEGATIVE,
    "SigmoidFocalClassificationLoss.alpha": Range(0, 1),
    "SigmoidFocalClassificationLoss.gamma": _NOT_NEGATIVE,
    "Ssd.implicit_example_weight": _NOT_NEGATIVE,
    "Ssd.negative_class_weight": _NOT_NEGATIVE,
    "TrainConfig.batch_size": _COUNT,
    "TrainConfig.bias_grad_multiplier": _NOT_NEGATIVE,
    "TrainConfig.gradient_clipping_by_norm": _NOT_NEGATIVE,
    "TrainConfig.keep_checkpoint_every_n_hours": _POSITIVE,
    "TruncatedNormalInitializer.stddev": _NOT_NEGATIVE,
    "VarianceScalingInitializer.factor": _POSITIVE,
    "WeightDecay.weight": _NOT_NEGATIVE,
    "WeightedSmoothL1LocalizationLoss.delta": _POSITIVE,
    "WeightedSoftmaxClassificationAgainstLogitsLoss.logit_scale": _POSITIVE,
    "WeightedSoftmaxClassificationLoss.logit_scale": _POSITIVE,
}


def walk(
    part: message.Message, path: str = ""
) -> Iterator[tuple[str, message.Message, str, Any]]:
    """Yields every set field: its path, message, name and value.

    Entries of repeated fields are yielded one by one, with their index in the
    path.
    """
    for field, value in part.ListFields():
        field_path = f"{path}.{field.name}" if path else field.name
        entries = [(field_path, value)]
        if field.label == field.LABEL_REPEATED:
            entries = [(f"{field_path}[{i}]", v) for i, v in enumerate(value)]
        for entry_path, entry in entries:
            yield entry_path, part, field.name, entry
            if field.message_type is not None:
                yield from walk(entry, entry_path)
