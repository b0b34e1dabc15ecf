"""Makes the stream of records and its decoder from an input reader config."""

from typing import NamedTuple

from object_detection.builders import oneof
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
    oneof.require(config, "input_reader", path, ["tf_record_input_reader"])
    _check_ranges(config, path)
    files = _find_files(config.tf_record_input_reader, path)
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
    return RecordSource(stream, _decoder_options(config, path, num_classes))


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
