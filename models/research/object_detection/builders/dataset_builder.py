"""Makes the stream of records and its decoder from an input reader config."""

import functools
from typing import Any, NamedTuple

from object_detection.builders import image_set_builder, oneof, record_cache
from object_detection.core import errors
from object_detection.data_decoders import (
    image_set,
    image_stream,
    record_files,
    record_stream,
    tf_example_decoder,
)
from object_detection.protos import input_reader_pb2
from object_detection.utils import label_map_util

_MASK_TYPES = {
    input_reader_pb2.DEFAULT: tf_example_decoder.MaskType.NUMERICAL,
    input_reader_pb2.NUMERICAL_MASKS: tf_example_decoder.MaskType.NUMERICAL,
    input_reader_pb2.PNG_MASKS: tf_example_decoder.MaskType.PNG,
}

_LOWEST = {
    "sample_1_of_n_examples": 1,
    "num_readers": 1,
    "read_block_length": 1,
    "num_additional_channels": 0,
    "num_prefetch_batches": -1,
    "max_number_of_boxes": 1,
}
_LOWEST_IF_SHUFFLED = {
    "shuffle_buffer_size": 1,
    "filenames_shuffle_buffer_size": 1,
}

_RECORDS = "tf_record_input_reader"
_IMAGES = ("coco_input_reader", "voc_input_reader", "txt_input_reader")


class RecordSource(NamedTuple):
    """Where records come from and how they are read.

    Attributes:
        stream: RecordStream.
        decoder_options: DecoderOptions.
    """

    stream: record_stream.RecordStream
    decoder_options: tf_example_decoder.DecoderOptions


def build(
    config: input_reader_pb2.InputReader,
    *,
    path: str,
    num_classes: int,
    seed: int,
    num_epochs: int,
    num_shards: int = 1,
    shard_index: int = 0,
) -> RecordSource:
    """Finds the files and reads the label map; opens no record.

    Where images are read directly, their annotations are read here.

    Args:
        config: an input reader.
        path: of it in the pipeline config, for errors.
        num_classes: of the model.
        seed: of the shuffles.
        num_epochs: how often each record is read, 0 for ever.
        num_shards: how many processes share the records.
        shard_index: which of them this one is.

    Raises:
        ConfigError: names the field, the pattern without a file, or what is
            wrong with the label map.
    """
    kind = oneof.require(config, "input_reader", path, [_RECORDS, *_IMAGES])
    _check_ranges(config, path)
    decoder_options = _decoder_options(config, path, num_classes)
    settings = {
        "read_block_length": config.read_block_length,
        "sample_1_of_n_examples": config.sample_1_of_n_examples,
        "num_shards": num_shards,
        "shard_index": shard_index,
        "is_shuffled": config.shuffle,
        "filenames_shuffle_buffer_size": config.filenames_shuffle_buffer_size,
        "shuffle_buffer_size": config.shuffle_buffer_size,
        "seed": seed,
        "num_epochs": num_epochs,
    }
    if kind == _RECORDS or config.record_dir:
        stream = _record_stream(config, path, kind, settings)
    else:
        stream = _image_stream(config, path, settings)
    return RecordSource(stream, decoder_options)


def has_record_dir(config: input_reader_pb2.InputReader) -> bool:
    """Whether images are made records, which a process has to see to."""
    return bool(config.record_dir) and (
        config.WhichOneof("input_reader") in _IMAGES
    )


def _record_stream(
    config: input_reader_pb2.InputReader,
    path: str,
    kind: str,
    settings: dict[str, Any],
) -> record_stream.RecordStream:
    skips = config.skip_images_without_boxes
    if kind == _RECORDS:
        if config.record_dir:
            raise errors.ConfigError(
                f"{path}.record_dir: {kind} reads records already; leave the "
                "field out"
            )
        files = _find_files(config.tf_record_input_reader, path)
    else:
        cache = record_cache.find(config, path)
        if cache is None:
            raise errors.ConfigError(
                f"{path}.record_dir: {config.record_dir} has no records, and "
                "the main process was to make them: name a folder that all "
                "hosts see"
            )
        files, skips = cache.files, skips and not cache.is_without_empty
    return record_stream.RecordStream(
        files=tuple(files),
        num_readers=min(config.num_readers, len(files)),
        skips_without_boxes=skips,
        **settings,
    )


def _image_stream(
    config: input_reader_pb2.InputReader, path: str, settings: dict[str, Any]
) -> image_stream.ImageStream:
    images = _read_images(config.SerializeToString(), path)
    files = image_stream.file_names(len(images.entries))
    return image_stream.ImageStream(
        files=files,
        num_readers=min(config.num_readers, len(files)),
        images=images,
        **settings,
    )


@functools.lru_cache(maxsize=4)
def _read_images(serialized_config: bytes, path: str) -> image_stream.Images:
    """Reads annotations once in a process: training asks after each pause."""
    config = input_reader_pb2.InputReader.FromString(serialized_config)
    images = image_set_builder.build(config, path)
    entries, notes = image_set.make_entries(
        images, config.skip_images_without_boxes
    )
    image_set_builder.log_notes(images.name, notes)
    return image_stream.Images(entries)


def _find_files(
    config: input_reader_pb2.TFRecordInputReader, path: str
) -> list[str]:
    try:
        return record_files.expand_patterns(config.input_path)
    except errors.ConfigError as error:
        raise errors.ConfigError(
            f"{path}.tf_record_input_reader.{error}"
        ) from None


def _decoder_options(
    config: input_reader_pb2.InputReader, path: str, num_classes: int
) -> tf_example_decoder.DecoderOptions:
    text_to_id = None
    if config.label_map_path:
        try:
            label_map_util.check_num_classes(config.label_map_path, num_classes)
        except errors.ConfigError as error:
            raise errors.ConfigError(
                f"{path}.label_map_path: {error}"
            ) from None
        text_to_id = label_map_util.class_text_to_id(config.label_map_path)
    return tf_example_decoder.DecoderOptions(
        class_rules=tf_example_decoder.ClassRules(num_classes, text_to_id),
        num_additional_channels=config.num_additional_channels,
        num_keypoints=config.num_keypoints,
        load_instance_masks=config.load_instance_masks,
        mask_type=_MASK_TYPES[config.mask_type],
    )


def _check_ranges(config: input_reader_pb2.InputReader, path: str) -> None:
    lowest = dict(_LOWEST)
    if config.shuffle:
        lowest.update(_LOWEST_IF_SHUFFLED)
    for name, low in lowest.items():
        value = getattr(config, name)
        if value < low:
            raise errors.ConfigError(
                f"{path}.{name}: must be at least {low}, got {value}"
            )
