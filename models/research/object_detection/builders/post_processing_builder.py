"""Builds what turns predictions into detections."""

from keras import ops

from object_detection.core import errors, post_processing
from object_detection.protos import post_processing_pb2

_PATH = "model.ssd.post_processing"
_SCORE_CONVERTERS = {
    post_processing_pb2.PostProcessing.IDENTITY: post_processing.identity,
    post_processing_pb2.PostProcessing.SIGMOID: ops.sigmoid,
    post_processing_pb2.PostProcessing.SOFTMAX: ops.softmax,
}


def build(
    config: post_processing_pb2.PostProcessing, *, has_background_column: bool
) -> post_processing.PostProcessor:
    """Builds the post-processing.

    Args:
        config: the `post_processing` message.
        has_background_column: whether the first column of the class
            predictions is the background.

    Raises:
        errors.ConfigError: a value is out of its range.
    """
    if config.logit_scale <= 0.0:
        raise errors.ConfigError(
            f"{_PATH}.logit_scale: must be positive, got {config.logit_scale:g}"
        )
    nms = config.batch_non_max_suppression
    try:
        params = post_processing.NmsParams(
            score_threshold=nms.score_threshold,
            iou_threshold=nms.iou_threshold,
            max_detections_per_class=nms.max_detections_per_class,
            max_total_detections=nms.max_total_detections,
            max_candidates_per_class=nms.max_candidates_per_class,
            max_candidates=nms.max_candidates,
            is_one_class_per_anchor=nms.one_class_per_anchor,
        )
    except ValueError as error:
        raise errors.ConfigError(
            f"{_PATH}.batch_non_max_suppression.{error}"
        ) from error
    return post_processing.PostProcessor(
        nms=params,
        score_converter=_SCORE_CONVERTERS[config.score_converter],
        logit_scale=config.logit_scale,
        has_background_column=has_background_column,
    )
