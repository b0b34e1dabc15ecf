r"""Reads a whole set of records and names every record that is not right.

    python -m object_detection.dataset_tools.check_dataset \
        --input_path='data/train.record-*' --label_map_path=label_map.pbtxt

A training stops at the first bad record; this goes on, one line a problem,
and then counts images and objects. Ends with code 3 when there is a problem.
"""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf
from absl import flags

from object_detection.core import errors
from object_detection.data_decoders import (
    record_check,
    record_files,
    tf_example_decoder,
)
from object_detection.utils import command, label_map_util


@dataclasses.dataclass
class Summary:
    """What is in a set of records.

    Attributes:
        problems: one line each, with the file and the record.
        num_files: how many files were read.
        num_images: how many records of them are right.
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
        print(
            f"{self.num_files} files, {self.num_images} images, "
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
    names = {
        item["id"]: item["name"]
        for item in label_map_util.create_categories_from_labelmap(
            label_map_path
        )
    }
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


def _records(path: str, problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yields place and payload of the records up to a damaged one."""
    num_read = 0
    try:
        for index, serialized in enumerate(tf.data.TFRecordDataset(path)):
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
    flags.mark_flags_as_required(["input_path", "label_map_path"])


def main(_: list[str]) -> None:
    summary = check_dataset(flags.FLAGS.input_path, flags.FLAGS.label_map_path)
    summary.print()
    if summary.problems:
        raise errors.DataError(
            f"{len(summary.problems)} problems, all named above"
        )


if __name__ == "__main__":
    define_flags()
    command.run(main)
