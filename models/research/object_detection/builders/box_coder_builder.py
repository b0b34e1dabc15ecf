"""Builds the box coder that a config names."""

from object_detection.box_coders import faster_rcnn_box_coder
from object_detection.builders import oneof
from object_detection.core import errors
from object_detection.protos import box_coder_pb2

_PATH = "model.ssd.box_coder"


def build(
    config: box_coder_pb2.BoxCoder,
) -> faster_rcnn_box_coder.FasterRcnnBoxCoder:
    """Builds the box coder.

    Raises:
        errors.ConfigError: a kind that is not supported, or a scale that is
            not positive.
    """
    kind = oneof.require(
        config, "box_coder_oneof", _PATH, ["faster_rcnn_box_coder"]
    )
    scales = config.faster_rcnn_box_coder
    try:
        return faster_rcnn_box_coder.FasterRcnnBoxCoder(
            scale_factors=(
                scales.y_scale,
                scales.x_scale,
                scales.height_scale,
                scales.width_scale,
            )
        )
    except ValueError as error:
        raise errors.ConfigError(f"{_PATH}.{kind}: {error}") from error
