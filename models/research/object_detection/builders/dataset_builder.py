"""Makes the stream of records and its decoder from an input reader config."""

from typing import NamedTuple

from object_detection.core import errors
from object_detection.data_decoders import (
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
    num_classes: int,
    seed: int,
    num_epochs: int,
    num_shards: int = 1,
    shard_index: int = 0,
) -> RecordSource:
    """Finds the files and reads the label map; opens no record.

    Args:
        config: an input reader.
        num_classes: of the model.
        seed: of the shuffles.
        num_epochs: how often each record is read, 0 for ever.
        num_shards: how many processes share the records.
        shard_index: which of them this one is.

    Raises:
        ConfigError: names the field, the pattern without a file, or what is
            wrong with the label map.
    """
    if config.WhichOneof("input_reader") != "tf_record_input_reader":
        raise errors.ConfigError(
            "input reader: expected tf_record_input_reader, got "
            f"{config.WhichOneof('input_reader') or 'none'}"
        )
    _require_at_least(config, "sample_1_of_n_examples", 1)
    _require_at_least(config, "num_readers", 1)
    _require_at_least(config, "read_block_length", 1)
    _require_at_least(config, "num_additional_channels", 0)
    _require_at_least(config, "num_prefetch_batches", -1)
    if config.shuffle:
        _require_at_least(config, "shuffle_buffer_size", 1)
        _require_at_least(config, "filenames_shuffle_buffer_size", 1)
    files = record_files.expand_patterns(
        config.tf_record_input_reader.input_path
    )
    stream = record_stream.RecordStream(
        files=tuple(files),
        num_readers=min(config.num_readers, len(files)),
        read_block_length=config.read_block_length,
        sample_1_of_n_examples=config.sample_1_of_n_examples,
        num_shards=num_shards,
        shard_index=shard_index,
        is_shuffled=config.shuffle,
        filenames_shuffle_buffer_size=config.filenames_shuffle_buffer_size,
        shuffle_buffer_size=config.shuffle_buffer_size,
        seed=seed,
        num_epochs=num_epochs,
    )
    return RecordSource(stream, _decoder_options(config, num_classes))


def _decoder_options(
    config: input_reader_pb2.InputReader, num_classes: int
) -> tf_example_decoder.DecoderOptions:
    text_to_id = None
    if config.label_map_path:
        label_map_util.check_num_classes(config.label_map_path, num_classes)
        text_to_id = label_map_util.class_text_to_id(config.label_map_path)
    return tf_example_decoder.DecoderOptions(
        class_rules=tf_example_decoder.ClassRules(num_classes, text_to_id),
        num_additional_channels=config.num_additional_channels,
        num_keypoints=config.num_keypoints,
        load_instance_masks=config.load_instance_masks,
        mask_type=_MASK_TYPES[config.mask_type],
    )


def _require_at_least(
    config: input_reader_pb2.InputReader, name: str, lowest: int
) -> None:
    value = getattr(config, name)
    if value < lowest:
        raise errors.ConfigError(
            f"input reader: {name} must be at least {lowest}, got {value}"
        )
