"""Makes the list of augmentations from `data_augmentation_options`."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf
from absl import logging

from object_detection.builders import (
    preprocessor_crop_builder,
    preprocessor_fields,
    preprocessor_image_builder,
    preprocessor_ssd_builder,
)
from object_detection.core import errors
from object_detection.preprocessing import examples
from object_detection.protos import preprocessor_pb2

_PATH = "train_config.data_augmentation_options"

# Name of an augmentation's field in PreprocessingStep -> function from its
# message to a step. Each is registered in one of the three builders.
_MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    **preprocessor_image_builder.MAKERS,
    **preprocessor_crop_builder.MAKERS,
    **preprocessor_ssd_builder.MAKERS,
}

# Those that no detector here can be trained with.
_REFUSED = {
    "convert_class_logits_to_softmax": (
        "records give no class logits, "
        "image/object/class/multiclass_scores is not read"
    ),
    "scale_boxes_to_pixel_coordinates": (
        "boxes must stay parts of the image's sides, as the detections and "
        "the evaluation have them"
    ),
}

# What these make of an image is not made of it in evaluation.
_OF_TRAINING_ALONE = ("normalize_image", "subtract_channel_mean")


def build(
    options: Iterable[preprocessor_pb2.PreprocessingStep],
    *,
    is_grayscale: bool = False,
) -> list[examples.Step]:
    """Returns the augmentations in the order of the config.

    A step raises ConfigError when the graph is built if the images are of a
    kind that it cannot change.

    Args:
        options: the augmentations.
        is_grayscale: whether the detector takes images of one channel.

    Raises:
        ConfigError: an option is empty, cannot work, or has a value out of
            its range.
    """
    return [
        _build_step(option, f"{_PATH}[{number}]", is_grayscale)
        for number, option in enumerate(options)
    ]


def _build_step(
    option: preprocessor_pb2.PreprocessingStep, where: str, is_grayscale: bool
) -> examples.Step:
    name = option.WhichOneof("preprocessing_step")
    if name is None:
        raise errors.ConfigError(f"{where} is empty: name an augmentation")
    path = f"{where}.{name}"
    if name in _REFUSED:
        raise errors.ConfigError(
            f"{path}: cannot be used, {_REFUSED[name]}; remove it"
        )
    if name == "rgb_to_gray" and not is_grayscale:
        raise errors.ConfigError(
            f"{path}: leaves one channel and the detector takes three; use "
            "random_rgb_to_gray { probability: 1 }, or set "
            "convert_to_grayscale: true in model.ssd.image_resizer"
        )
    if name in _OF_TRAINING_ALONE:
        logging.warning(
            "%s: changes the images of training alone, as in the original; "
            "in evaluation they stay as they are",
            path,
        )
    try:
        step = _MAKERS[name](getattr(option, name))
    except preprocessor_fields.FieldError as error:
        raise errors.ConfigError(f"{path}.{error}") from error
    except ValueError as error:
        raise errors.ConfigError(f"{path}: {error}") from error
    return _with_path_in_errors(step, path)


def _with_path_in_errors(step: examples.Step, path: str) -> examples.Step:
    @functools.wraps(step)
    def named_step(
        example: examples.Example, seed: tf.Tensor
    ) -> examples.Example:
        try:
            return step(example, seed)
        except examples.StepError as error:
            raise errors.ConfigError(f"{path}: {error}") from error

    return named_step
