"""Makes the list of augmentations from `data_augmentation_options`."""

from collections.abc import Callable, Iterable
from typing import Any

from object_detection.builders import preprocessor_crop_builder
from object_detection.core import errors
from object_detection.preprocessing import augment_boxes, examples
from object_detection.protos import preprocessor_pb2


def _random_horizontal_flip(
    config: preprocessor_pb2.RandomHorizontalFlip,
) -> examples.Step:
    return augment_boxes.make_random_horizontal_flip(
        tuple(config.keypoint_flip_permutation)
    )


# The one place where an augmentation is registered: name of its field in
# PreprocessingStep -> function from its message to a step.
_MAKERS: dict[str, Callable[[Any], examples.Step]] = {
    "random_horizontal_flip": _random_horizontal_flip,
    **preprocessor_crop_builder.MAKERS,
}


def build(
    options: Iterable[preprocessor_pb2.PreprocessingStep],
) -> list[examples.Step]:
    """Returns the augmentations in the order of the config.

    Raises:
        ConfigError: an option is empty, not supported, or has a value out of
            its range.
    """
    return [
        _build_step(number, option) for number, option in enumerate(options)
    ]


def _build_step(
    number: int, option: preprocessor_pb2.PreprocessingStep
) -> examples.Step:
    name = option.WhichOneof("preprocessing_step")
    where = f"train_config.data_augmentation_options[{number}]"
    if name is None:
        raise errors.ConfigError(f"{where} is empty: name an augmentation")
    if name not in _MAKERS:
        raise errors.ConfigError(
            f"{where}.{name} is not supported: use {', '.join(sorted(_MAKERS))}"
        )
    try:
        return _MAKERS[name](getattr(option, name))
    except ValueError as error:
        raise errors.ConfigError(f"{where}.{name}: {error}") from error
