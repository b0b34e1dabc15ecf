"""What the readers, the augmentations and the model must agree on."""

import os
from collections.abc import Iterable, Mapping

from absl import logging

from object_detection.core import errors
from object_detection.protos import (
    box_coder_pb2,
    image_resizer_pb2,
    input_reader_pb2,
    preprocessor_pb2,
    ssd_pb2,
)

Readers = Mapping[str, input_reader_pb2.InputReader]


def check_readers(readers: Readers, ssd: ssd_pb2.Ssd) -> None:
    """Refuses readers that differ from each other or from the model.

    Args:
        readers: those that are used, by their path in the pipeline config.
        ssd: the model.

    Raises:
        ConfigError: names the two fields.
    """
    _check_channels(readers, ssd.image_resizer)
    _check_keypoints(readers, ssd.box_coder)
    _check_record_dirs(readers)


def check_keypoint_flips(
    reader: input_reader_pb2.InputReader,
    options: Iterable[preprocessor_pb2.PreprocessingStep],
) -> None:
    """Refuses a flip that does not say where the keypoints go.

    Args:
        reader: of the training set.
        options: `data_augmentation_options`.

    Raises:
        ConfigError: names the permutation.
    """
    expected = list(range(reader.num_keypoints))
    if not expected:
        return
    for number, option in enumerate(options):
        name = option.WhichOneof("preprocessing_step")
        step = getattr(option, name) if name else option
        permutation = getattr(step, "keypoint_flip_permutation", None)
        if permutation is not None and sorted(permutation) != expected:
            raise errors.ConfigError(
                f"train_config.data_augmentation_options[{number}].{name}."
                "keypoint_flip_permutation: train_input_reader.num_keypoints "
                f"is {reader.num_keypoints}, so expected each number from 0 to "
                f"{expected[-1]} once, got {list(permutation)}; say which "
                "keypoint takes the place of each"
            )


def _check_channels(
    readers: Readers, resizer: image_resizer_pb2.ImageResizer
) -> None:
    paths = {path: f"{path}.num_additional_channels" for path in readers}
    counts = {
        paths[path]: reader.num_additional_channels
        for path, reader in readers.items()
    }
    first_path, first_count = next(iter(counts.items()))
    for path, count in counts.items():
        if count < 0:
            raise errors.ConfigError(f"{path}: must be at least 0, got {count}")
        if count != first_count:
            raise errors.ConfigError(
                f"{path}: is {count}, but {first_path} is {first_count}, and "
                "one detector sees the images of both; give both the same"
            )
    kind = resizer.WhichOneof("image_resizer_oneof")
    if first_count and kind and getattr(resizer, kind).convert_to_grayscale:
        raise errors.ConfigError(
            f"{first_path}: is {first_count}, which "
            f"model.ssd.image_resizer.{kind}.convert_to_grayscale does not "
            "take; set one of them to 0 or false"
        )


def _check_keypoints(
    readers: Readers, box_coder: box_coder_pb2.BoxCoder
) -> None:
    kind = box_coder.WhichOneof("box_coder_oneof")
    is_of_keypoints = kind == "keypoint_box_coder"
    for path, reader in readers.items():
        if is_of_keypoints:
            expected = box_coder.keypoint_box_coder.num_keypoints
            if reader.num_keypoints != expected:
                raise errors.ConfigError(
                    f"{path}.num_keypoints: is {reader.num_keypoints}, but "
                    f"model.ssd.box_coder.{kind}.num_keypoints is {expected}; "
                    "give both the same"
                )
        elif reader.num_keypoints:
            logging.warning(
                "%s.num_keypoints: keypoints are read and augmented, but only "
                "model.ssd.box_coder.keypoint_box_coder learns them",
                path,
            )


def _check_record_dirs(readers: Readers) -> None:
    """Records made of one reader's images must not be read for another's."""
    seen: dict[str, str] = {}
    for path, reader in readers.items():
        kind = reader.WhichOneof("input_reader")
        if not (reader.record_dir and kind):
            continue
        record_dir = os.path.abspath(reader.record_dir)
        other_path = seen.setdefault(record_dir, path)
        other = readers[other_path]
        if kind != other.WhichOneof("input_reader") or (
            getattr(reader, kind) != getattr(other, kind)
        ):
            raise errors.ConfigError(
                f"{path}.record_dir: is {reader.record_dir}, as "
                f"{other_path}.record_dir is, but they read other images; give "
                "each a folder of its own"
            )
