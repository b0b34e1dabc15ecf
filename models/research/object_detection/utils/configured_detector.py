"""The detector of a config, for tools that say what it is like.

Nothing is read but the config: no weights, no images, no label map.
"""

import re
from typing import NamedTuple

from absl import flags

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.core import errors
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.utils import config_check, config_util

_SIZE = re.compile("([1-9][0-9]*)x([1-9][0-9]*)")


class ConfiguredDetector(NamedTuple):
    """A detector and the images that it is looked at with.

    Attributes:
        model: as it is before training.
        image_size_px: height and width of its resized images.
    """

    model: ssd_meta_arch.SSDMetaArch
    image_size_px: tuple[int, int]


def define_flags() -> None:
    """Defines the flags of `from_flags`."""
    flags.DEFINE_string(
        "pipeline_config_path", None, "Pipeline config of the detector."
    )
    flags.DEFINE_string(
        "image_size",
        None,
        "HEIGHTxWIDTH of the resized images in px, where the config's "
        "image_resizer makes them of several sizes.",
    )
    flags.mark_flag_as_required("pipeline_config_path")


def from_flags() -> ConfiguredDetector:
    """Builds the detector that the flags name.

    Raises:
        ConfigError: the config cannot work, or the size of the images is not
            known, or known twice.
    """
    values = flags.FLAGS
    return build(values.pipeline_config_path, values.image_size)


def build(
    pipeline_config_path: str, image_size: str | None = None
) -> ConfiguredDetector:
    """Builds the detector of a config.

    Args:
        pipeline_config_path: text or binary.
        image_size: see `define_flags`.

    Raises:
        ConfigError: as of `from_flags`.
    """
    configs = config_util.get_configs_from_pipeline_file(pipeline_config_path)
    num_additional_channels = configs[
        "train_input_config"
    ].num_additional_channels
    config_check.check_configs(configs, is_training=False, is_evaluating=False)
    model = model_builder.build(
        configs["model"],
        is_training=True,
        num_additional_channels=num_additional_channels,
        graph_rewriter_config=configs.get("graph_rewriter_config"),
    )
    resizer = image_resizer_builder.build(
        configs["model"].ssd.image_resizer, num_additional_channels
    )
    return ConfiguredDetector(
        model, _image_size_px(resizer.static_size_px, image_size)
    )


def _image_size_px(
    static_size_px: tuple[int, int] | None, image_size: str | None
) -> tuple[int, int]:
    if static_size_px is not None:
        if image_size is not None:
            raise errors.ConfigError(
                f"--image_size: got {image_size}, but model.ssd.image_resizer "
                f"makes all images {static_size_px[0]}x{static_size_px[1]}; "
                "remove the flag"
            )
        return static_size_px
    match = _SIZE.fullmatch(image_size or "")
    if match is None:
        raise errors.ConfigError(
            "--image_size: expected HEIGHTxWIDTH in px, as model.ssd."
            "image_resizer makes images of several sizes, got "
            f"{image_size or 'nothing'}"
        )
    return int(match[1]), int(match[2])
