"""Training and evaluation input: records to batches of padded tensors.

    records -> decode -> augment -> resize -> pad boxes -> batch -> prefetch

Record order, augmentation and therefore every batch are a pure function of
(seed, position): training can be taken up at any step.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from object_detection.builders import (
    dataset_builder,
    image_resizer_builder,
    preprocessor_builder,
    record_cache,
)
from object_detection.core import containers, errors, standard_fields
from object_detection.data_decoders import (
    failure_finder,
    reading_report,
    record_stream,
    tf_example_decoder,
)
from object_detection.preprocessing import image_resizer, transform
from object_detection.protos import (
    eval_pb2,
    input_reader_pb2,
    model_pb2,
    train_pb2,
)
from object_detection.training import distributed

Fields = standard_fields.InputDataFields

_MAX_SEED = 2**31
_MAX_SHARDS = 2**16


def create_train_input_fn(
    train_config: train_pb2.TrainConfig,
    train_input_reader: input_reader_pb2.InputReader,
    model_config: model_pb2.DetectionModel,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    num_shards: int = 1,
    shard_index: int = 0,
    report: reading_report.ReadingReport | None = None,
) -> Callable[..., tf.data.Dataset]:
    """Checks the configuration of the training input and finds its files.

    Args:
        train_config: augmentation and what becomes of the boxes.
        train_input_reader: where records are and how they are read.
        model_config: its classes and image size.
        batch_size: images a batch, of this process.
        seed: of all shuffles and random draws; not negative.
        start_step: batches to leave out at the beginning.
        num_shards: how many processes share the records.
        shard_index: which of them this one is.
        report: gets what is wrong with records; None stops at the first that
            cannot be read. Where records are skipped, a stream that is taken
            up repeats as many as were skipped before.

    Returns:
        input_fn(start_step=start_step), which returns a dataset of
        (features, labels); see `create_eval_input_fn` for their keys. It has
        full batches only, and no end unless the reader's num_epochs is set.
        Two processes never get the same record in one epoch.

    Raises:
        ConfigError: names the field, or the pattern that matches no file.
        DataError: the files hold no record.
    """
    source = _find_source(
        train_input_reader,
        path="train_input_reader",
        num_classes=model_config.ssd.num_classes,
        seed=seed,
        num_epochs=train_input_reader.num_epochs,
        num_shards=num_shards,
        shard_index=shard_index,
    )
    report = report or reading_report.ReadingReport()
    source.stream.require_records(report.max_bad_records)
    resizer = _build_resizer(model_config, train_input_reader, batch_size)
    make_rows = transform.Transform(
        resizer=resizer,
        num_classes=model_config.ssd.num_classes,
        max_num_boxes=train_input_reader.max_number_of_boxes,
        augmentations=tuple(
            preprocessor_builder.build(
                train_config.data_augmentation_options,
                is_grayscale=resizer.convert_to_grayscale,
            )
        ),
        merge_multiple_label_boxes=train_config.merge_multiple_label_boxes,
        retain_original_image=train_config.retain_original_images,
    )

    def train_input_fn(start_step: int = start_step) -> tf.data.Dataset:
        return _batches(
            source,
            make_rows,
            report,
            batch_size=batch_size,
            start=start_step * batch_size,
            draw_stream=seed % _MAX_SEED * _MAX_SHARDS + shard_index,
            num_prefetch_batches=train_input_reader.num_prefetch_batches,
            drop_remainder=True,
        )

    return train_input_fn


def count_examples(
    reader: input_reader_pb2.InputReader,
    model_config: model_pb2.DetectionModel,
    path: str = "train_input_reader",
) -> int:
    """Counts what a reader gives in one epoch, over all processes.

    Raises:
        ConfigError: names the field, or the pattern that matches no file.
        DataError: a file is damaged.
    """
    source = _find_source(
        reader,
        path=path,
        num_classes=model_config.ssd.num_classes,
        seed=0,
        num_epochs=1,
    )
    with distributed.taking_long():
        return distributed.from_main(source.stream.num_records)


def create_eval_input_fn(
    eval_config: eval_pb2.EvalConfig,
    eval_input_reader: input_reader_pb2.InputReader,
    model_config: model_pb2.DetectionModel,
    *,
    batch_size: int,
    reader_path: str = "eval_input_reader",
    num_shards: int = 1,
    shard_index: int = 0,
    repeat: bool = False,
    report: reading_report.ReadingReport | None = None,
) -> Callable[[], tf.data.Dataset]:
    """Checks the configuration of an evaluation input and finds its files.

    Args:
        eval_config: whether images are kept for pictures.
        eval_input_reader: where records are and how they are read; its
            num_epochs does not count.
        model_config: its classes and image size.
        batch_size: images a batch, of this process.
        reader_path: of the reader in the pipeline config, for errors.
        num_shards: how many processes share the records.
        shard_index: which of them this one is; it gets the records that are
            at shard_index, shard_index + num_shards, ... of the whole set.
        repeat: start again at the end, for ever.
        report: see `create_train_input_fn`.

    Returns:
        input_fn(), which returns a dataset of (features, labels) with each
        record of this shard once, the last batch smaller when they do not
        divide. B images, M boxes, C classes.
        features: image float32 [B, H, W, F] in 0..255, resized and padded,
            F - 3 additional channels after the colours; true_image_shape
            int32 [B, 3], height, width and channels before padding;
            original_image_spatial_shape int32 [B, 2]; source_id string [B];
            hash int32 [B] of it; when the config asks for it, original_image
            uint8 [B, H, W, F] before augmentation.
        labels: num_groundtruth_boxes int32 [B]; num_truncated_boxes int32
            [B], beyond M; num_crowd_boxes int32 [B], those beyond M among
            them; groundtruth_boxes float32 [B, M, 4] yxyx,
            normalised to the padded image; groundtruth_classes and
            groundtruth_confidences float32 [B, M, C]; groundtruth_weights
            float32 [B, M]; groundtruth_area float32 [B, M] in pixels of the
            original image, -1 when unknown; groundtruth_is_crowd,
            groundtruth_difficult, groundtruth_group_of bool [B, M];
            groundtruth_image_classes float32 [B, C], 1 for each label that
            the whole image has; and groundtruth_instance_masks float32
            [B, M, H, W] and groundtruth_keypoints float32 [B, M, k, 2] (y,
            x), normalised like boxes, when the reader asks for them. Padding
            is 0 or False.

    Raises:
        ConfigError: names the field, or the pattern that matches no file.
        DataError: the files hold no record.
    """
    source = _find_source(
        eval_input_reader,
        path=reader_path,
        num_classes=model_config.ssd.num_classes,
        seed=0,
        num_epochs=0 if repeat else 1,
    )
    report = report or reading_report.ReadingReport()
    source.stream.require_records(report.max_bad_records)
    make_rows = transform.Transform(
        resizer=_build_resizer(model_config, eval_input_reader, batch_size),
        num_classes=model_config.ssd.num_classes,
        max_num_boxes=eval_input_reader.max_number_of_boxes,
        retain_original_image=eval_config.retain_original_images,
    )

    def eval_input_fn() -> tf.data.Dataset:
        return _batches(
            source,
            make_rows,
            report,
            batch_size=batch_size,
            start=0,
            draw_stream=0,
            num_prefetch_batches=eval_input_reader.num_prefetch_batches,
            drop_remainder=False,
            num_shards=num_shards,
            shard_index=shard_index,
        )

    return eval_input_fn


def groundtruth_from_labels(
    labels: dict[str, tf.Tensor],
) -> containers.Groundtruth:
    """Returns what the detector's loss needs of the labels of a batch."""
    return containers.Groundtruth(
        boxes=labels[Fields.groundtruth_boxes],
        classes=labels[Fields.groundtruth_classes],
        weights=labels[Fields.groundtruth_weights],
        num_boxes=labels[Fields.num_groundtruth_boxes],
        confidences=labels[Fields.groundtruth_confidences],
        keypoints=labels.get(Fields.groundtruth_keypoints),
    )


def explain_failure(error: BaseException) -> errors.DetectionError | None:
    """Says in one line which file and record stopped an input dataset.

    Args:
        error: what iterating over a dataset raised.

    Returns:
        The error to raise instead; None when it did not come from an input.
    """
    return failure_finder.explain(error)


@contextlib.contextmanager
def errors_explained(
    report: reading_report.ReadingReport | None = None,
) -> Iterator[None]:
    """Turns what TensorFlow raises in the block into an error of one line.

    Args:
        report: logged at the end of the block, however it ends.

    Raises:
        DataError: names the record.
        ResourceError: out of memory.
    """
    try:
        yield
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        explained = explain_failure(error)
        if explained is None and isinstance(
            error, tf.errors.ResourceExhaustedError
        ):
            reason = str(error).strip().split("\n")[0]
            explained = errors.ResourceError(
                f"out of memory ({reason}); lower train_config.batch_size or "
                "eval_config.batch_size, or the size of the images"
            )
        if explained is None:
            raise
        raise explained from error
    finally:
        if report is not None:
            report.log()


def make_missing_records(
    reader: input_reader_pb2.InputReader, path: str
) -> None:
    """Makes the records that a reader keeps of images, if they are missing.

    Args:
        reader: of whatever kind.
        path: of it in the pipeline config, for errors.

    Raises:
        DetectionError: see `record_cache.make_if_missing`.
    """
    if dataset_builder.has_record_dir(reader):
        with distributed.taking_long():
            distributed.from_main(
                lambda: record_cache.make_if_missing(reader, path)
            )


def _find_source(
    reader: input_reader_pb2.InputReader, *, path: str, **settings: Any
) -> dataset_builder.RecordSource:
    make_missing_records(reader, path)
    return dataset_builder.build(reader, path=path, **settings)


def _batches(
    source: dataset_builder.RecordSource,
    make_rows: transform.Transform,
    report: reading_report.ReadingReport,
    *,
    batch_size: int,
    start: int,
    draw_stream: int,
    num_prefetch_batches: int,
    drop_remainder: bool,
    num_shards: int = 1,
    shard_index: int = 0,
) -> tf.data.Dataset:
    options = source.decoder_options
    decoder = tf_example_decoder.TfExampleDecoder(options)
    watched = failure_finder.make_watch(
        source.stream, options, batch_size, start, report
    )
    stream = dataclasses.replace(
        source.stream, reads_past_damage=report.max_bad_records > 0
    )

    @tf.autograph.experimental.do_not_convert
    def to_row(record: record_stream.Record) -> tuple:
        seed = tf.stack([tf.constant(draw_stream, tf.int64), record.position])
        example = decoder.decode(record.serialized)
        is_missized = example.pop(Fields.is_size_misstated)
        return record.position, is_missized, *make_rows(example, seed)

    @tf.autograph.experimental.do_not_convert
    def take_notes(
        positions_B: tf.Tensor,
        is_missized_B: tf.Tensor,
        features: dict,
        labels: dict,
    ) -> tuple[dict, dict]:
        num_missized = tf.reduce_sum(tf.cast(is_missized_B, tf.int64))
        with tf.control_dependencies(
            [
                watched.last_position.assign(positions_B[-1]),
                report.num_missized.assign_add(num_missized),
            ]
        ):
            return tf.nest.map_structure(tf.identity, (features, labels))

    batches = (
        report.rows(
            stream.dataset(start, num_shards, shard_index),
            to_row,
            functools.partial(stream.describe_fault, options=options),
        )
        .batch(batch_size, drop_remainder=drop_remainder)
        .prefetch(num_prefetch_batches)
        # After the prefetch, so that it is the batch handed out last.
        .map(take_notes)
    )
    dataset_options = tf.data.Options()
    dataset_options.experimental_optimization.inject_prefetch = False
    batches = batches.with_options(dataset_options)
    failure_finder.watch(batches, watched)
    return batches


def _build_resizer(
    model_config: model_pb2.DetectionModel,
    reader: input_reader_pb2.InputReader,
    batch_size: int,
) -> image_resizer.Resizer:
    resizer = image_resizer_builder.build(
        model_config.ssd.image_resizer, reader.num_additional_channels
    )
    if batch_size < 1:
        raise errors.ConfigError(
            f"batch_size must be at least 1, got {batch_size}"
        )
    if batch_size > 1 and resizer.static_size_px is None:
        raise errors.ConfigError(
            "model.ssd.image_resizer.keep_aspect_ratio_resizer."
            f"pad_to_max_dimension: is false, so a batch of {batch_size} "
            "images has no common size: set it to true or batch_size to 1"
        )
    return resizer
