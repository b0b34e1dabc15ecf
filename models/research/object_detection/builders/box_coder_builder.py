"""Builds the box coder that a config names."""

from collections.abc import Callable

from object_detection.box_coders import (
    faster_rcnn_box_coder,
    keypoint_box_coder,
    mean_stddev_box_coder,
    square_box_coder,
)
from object_detection.builders import oneof
from object_detection.core import errors, target_assigner
from object_detection.protos import (
    box_coder_pb2,
    faster_rcnn_box_coder_pb2,
    keypoint_box_coder_pb2,
    mean_stddev_box_coder_pb2,
    square_box_coder_pb2,
)

_PATH = "model.ssd.box_coder"


def build(config: box_coder_pb2.BoxCoder) -> target_assigner.BoxCoder:
    """Builds the box coder.

    Raises:
        errors.ConfigError: no kind is set, or a value is out of its range.
    """
    kind = oneof.require(config, "box_coder_oneof", _PATH, _BUILDERS)
    try:
        return _BUILDERS[kind](getattr(config, kind))
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}.{error}") from error


def _build_faster_rcnn(
    config: faster_rcnn_box_coder_pb2.FasterRcnnBoxCoder,
) -> faster_rcnn_box_coder.FasterRcnnBoxCoder:
    return faster_rcnn_box_coder.FasterRcnnBoxCoder(
        _four_scales(config), config.max_decoded_code
    )


def _build_keypoint(
    config: keypoint_box_coder_pb2.KeypointBoxCoder,
) -> keypoint_box_coder.KeypointBoxCoder:
    return keypoint_box_coder.KeypointBoxCoder(
        config.num_keypoints, _four_scales(config)
    )


def _build_mean_stddev(
    config: mean_stddev_box_coder_pb2.MeanStddevBoxCoder,
) -> mean_stddev_box_coder.MeanStddevBoxCoder:
    return mean_stddev_box_coder.MeanStddevBoxCoder(config.stddev)


def _build_square(
    config: square_box_coder_pb2.SquareBoxCoder,
) -> square_box_coder.SquareBoxCoder:
    return square_box_coder.SquareBoxCoder(
        (config.y_scale, config.x_scale, config.length_scale)
    )


def _four_scales(
    config: faster_rcnn_box_coder_pb2.FasterRcnnBoxCoder
    | keypoint_box_coder_pb2.KeypointBoxCoder,
) -> tuple[float, float, float, float]:
    return (
        config.y_scale,
        config.x_scale,
        config.height_scale,
        config.width_scale,
    )


_BUILDERS: dict[str, Callable[..., target_assigner.BoxCoder]] = {
    "faster_rcnn_box_coder": _build_faster_rcnn,
    "keypoint_box_coder": _build_keypoint,
    "mean_stddev_box_coder": _build_mean_stddev,
    "square_box_coder": _build_square,
}
