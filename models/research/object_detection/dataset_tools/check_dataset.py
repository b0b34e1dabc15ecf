r"""Reads a whole data set and names every record or image that is not right.

    python -m object_detection.dataset_tools.check_dataset \
        --input_path='data/train.record-*' --label_map_path=label_map.pbtxt
    python -m object_detection.dataset_tools.check_dataset \
        --pipeline_config_path=ssd.config

The second checks what every reader of the config reads, records or images. A
training stops at the first bad record; this goes on, one line a problem,
and then counts images and objects. Ends with code 3 when there is a problem.
"""

import collections
import dataclasses
import glob
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf
from absl import flags

from object_detection.builders import dataset_builder, record_cache
from object_detection.core import errors
from object_detection.data_decoders import (
    fixed_parallelism,
    record_check,
    record_files,
    tf_example_decoder,
)
from object_detection.protos import input_reader_pb2
from object_detection.utils import command, config_util, label_map_util


@dataclasses.dataclass
class Summary:
    """What is in a data set.

    Attributes:
        problems: one line each, with the file and the record.
        num_files: how many files of records were read.
        num_images: how many records or images are right.
        num_images_without_objects: of those.
        num_objects: class name -> count, of the records that are right.
    """

    problems: list[str] = dataclasses.field(default_factory=list)
    num_files: int = 0
    num_images: int = 0
    num_images_without_objects: int = 0
    num_objects: dict[str, int] = dataclasses.field(default_factory=dict)

    def print(self) -> None:
        """Prints the problems, then the counts."""
        for problem in self.problems:
            print(problem)
        counts = ", ".join(f"{k} {v}" for k, v in self.num_objects.items())
        files = f"{self.num_files} files, " if self.num_files else ""
        print(
            f"{files}{self.num_images} images, "
            f"{self.num_images_without_objects} of them without an object, "
            f"{sum(self.num_objects.values())} objects ({counts})"
        )


def check_dataset(patterns: Sequence[str], label_map_path: str) -> Summary:
    """Reads every record of every file.

    A record is right when the decoder of the training input takes it. What
    follows a damaged record in its file cannot be read.

    Args:
        patterns: of the files.
        label_map_path: the label map that the training would use.

    Raises:
        ConfigError: a pattern matches no file, or no label map is there.
    """
    files = record_files.expand_patterns(patterns)
    names = _class_names(label_map_path)
    text_to_id = label_map_util.class_text_to_id(label_map_path)
    options = tf_example_decoder.DecoderOptions(
        tf_example_decoder.ClassRules(max(names), text_to_id)
    )
    summary = Summary(num_objects=dict.fromkeys(names.values(), 0))
    first_place: dict[bytes, str] = {}
    for path in files:
        summary.num_files += 1
        for place, serialized in _records(path, summary.problems):
            fault = record_check.find_fault(serialized, options)
            if fault:
                source_id = record_check.name_record(serialized)
                named = f" (source id {source_id})" if source_id else ""
                summary.problems.append(f"{place}{named}: {fault}")
                continue
            feature = tf.train.Example.FromString(serialized).features.feature
            _note_repeated_id(feature, place, first_place, summary.problems)
            _count(feature, names, text_to_id, summary)
    if not summary.num_images and not summary.problems:
        summary.problems.append(f"{files[0]}: there is no record in any file")
    return summary


def check_reader(
    reader: input_reader_pb2.InputReader, path: str, num_classes: int
) -> Summary:
    """Checks all that a reader of a pipeline config reads.

    Args:
        reader: of records, which may be made of images, or of images.
        path: of it in the config, for errors.
        num_classes: of the model.

    Raises:
        ConfigError: a field is wrong, or there is no label map.
        DataError: the annotations of images cannot be read at all.
    """
    if not reader.label_map_path:
        raise errors.ConfigError(
            f"{path}.label_map_path: is missing; it names the classes"
        )
    reader_of_all = input_reader_pb2.InputReader()
    reader_of_all.CopyFrom(reader)
    reader_of_all.sample_1_of_n_examples = 1
    if dataset_builder.has_record_dir(reader) and not record_cache.find(
        reader, path
    ):
        reader_of_all.ClearField("record_dir")
    stream, options = dataset_builder.build(
        reader_of_all, path=path, num_classes=num_classes, seed=0, num_epochs=1
    )
    if stream.has_record_files:
        return check_dataset(
            list(map(glob.escape, stream.files)), reader.label_map_path
        )
    names = _class_names(reader.label_map_path)
    summary = Summary(num_objects=dict.fromkeys(names.values(), 0))
    for record, entry in zip(
        stream.all_records(), stream.images.entries, strict=True
    ):
        fault = stream.describe_fault(*record, options)
        if fault:
            summary.problems.append(fault)
            continue
        example = tf.train.Example.FromString(entry.annotations)
        _count(
            example.features.feature,
            names,
            options.class_rules.text_to_id,
            summary,
        )
    return summary


def _class_names(label_map_path: str) -> dict[int, str]:
    categories = label_map_util.create_categories_from_labelmap(label_map_path)
    return {item["id"]: item["name"] for item in categories}


def _records(path: str, problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yields place and payload of the records up to a damaged one."""
    num_read = 0
    records = fixed_parallelism.with_fixed_parallelism(
        tf.data.TFRecordDataset(path)
    )
    try:
        for index, serialized in enumerate(records):
            num_read = index + 1
            yield f"{path}: record {index}", serialized.numpy()
        return
    except tf.errors.OpError as error:
        reason = " ".join(error.message.split())
    try:
        # Names a cut file or a damaged length better than TensorFlow.
        record_files.count_records([path])
        problem = f"{path}: record {num_read} is damaged ({reason})"
    except errors.DataError as error:
        problem = str(error)
    problems.append(f"{problem}; what follows it was not read")


def _note_repeated_id(
    feature: Mapping[str, tf.train.Feature],
    place: str,
    first_place: dict[bytes, str],
    problems: list[str],
) -> None:
    ids = feature["image/source_id"].bytes_list.value
    source_id = ids[0] if ids else b""
    if not source_id:
        return
    first = first_place.setdefault(source_id, place)
    if first != place:
        shown = source_id.decode(errors="backslashreplace")
        problems.append(
            f"{place}: source id {shown!r} is also that of {first}; "
            "evaluation needs one id for each image"
        )


def _count(
    feature: Mapping[str, tf.train.Feature],
    names: Mapping[int, str],
    text_to_id: Mapping[str, int],
    summary: Summary,
) -> None:
    texts = feature["image/object/class/text"].bytes_list.value
    class_ids = [text_to_id[text.decode()] for text in texts] or list(
        feature["image/object/class/label"].int64_list.value
    )
    summary.num_images += 1
    summary.num_images_without_objects += not class_ids
    for class_id, count in collections.Counter(class_ids).items():
        summary.num_objects[names[class_id]] += count


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_multi_string(
        "input_path", None, "Record files or a pattern; may be repeated."
    )
    flags.DEFINE_string("label_map_path", None, "Label map of the classes.")
    flags.DEFINE_string(
        "pipeline_config_path",
        None,
        "Check what its readers read, in place of --input_path.",
    )


def main(_: list[str]) -> None:
    args = flags.FLAGS
    num_problems = 0
    for summary in _summaries(args):
        summary.print()
        num_problems += len(summary.problems)
    if num_problems:
        raise errors.DataError(f"{num_problems} problems, all named above")


def _summaries(args: flags.FlagValues) -> Iterator[Summary]:
    if bool(args.pipeline_config_path) == bool(args.input_path):
        raise errors.ConfigError(
            "expected --input_path with --label_map_path, or"
            " --pipeline_config_path"
        )
    if args.input_path:
        if not args.label_map_path:
            raise errors.ConfigError("--label_map_path: is missing")
        yield check_dataset(args.input_path, args.label_map_path)
        return
    pipeline = config_util.read_pipeline_config(args.pipeline_config_path)
    readers = {"train_input_reader": pipeline.train_input_reader}
    for index, reader in enumerate(pipeline.eval_input_reader):
        readers[f"eval_input_reader[{index}]"] = reader
    for path, reader in readers.items():
        print(f"{path}:")
        yield check_reader(reader, path, pipeline.model.ssd.num_classes)


if __name__ == "__main__":
    define_flags()
    command.run(main)
