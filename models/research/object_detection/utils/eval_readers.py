"""The data sets that a detector can be measured on.

The first evaluation reader's results lie in `eval`, whatever its name, so
that they stay together when a second reader is added. Those of the others lie
in `eval_<name>`, or in `eval_<number>` where a reader has no name.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from object_detection.core import errors
from object_detection.protos import input_reader_pb2
from object_detection.utils import config_util, label_map_util

VALIDATION = "eval"
TRAINING = "eval_training_data"

_NOT_IN_DIRECTORY_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_MAX_NAME_CHARACTERS = 100

TRAIN_READER_PATH = "train_input_reader"


class EvalReader(NamedTuple):
    """A data set to measure on.

    Attributes:
        config: the reader, with the flags applied.
        path: of the reader in the pipeline config, for errors.
    """

    config: input_reader_pb2.InputReader
    path: str


def build(
    configs: config_util.Configs,
    names: Sequence[str],
    sample_1_of_n: int | None,
    sample_1_of_n_of_training: int,
) -> dict[str, EvalReader]:
    """Returns the sets by the directory of their results, the main one first.

    Args:
        configs: the parts of a config, not changed.
        names: VALIDATION, which stands for all evaluation readers, TRAINING
            or both.
        sample_1_of_n: replaces `sample_1_of_n_examples` of the evaluation
            readers if not None.
        sample_1_of_n_of_training: replaces that of the training reader.

    Raises:
        ConfigError: TRAINING is asked for, and the config has no reader of
            it; or two evaluation readers have one name.
    """
    readers = {}
    if VALIDATION in names:
        configured = configs["eval_input_configs"]
        for index, directory in enumerate(directories(configured)):
            config = copy.deepcopy(configured[index])
            if sample_1_of_n is not None:
                config.sample_1_of_n_examples = sample_1_of_n
            readers[directory] = EvalReader(config, _path(index))
    if TRAINING in names:
        config = copy.deepcopy(configs["train_input_config"])
        config.sample_1_of_n_examples = sample_1_of_n_of_training
        if not config.WhichOneof("input_reader"):
            raise errors.ConfigError(
                f"{TRAIN_READER_PATH}: is not set; to measure on the training "
                "set give it a tf_record_input_reader"
            )
        readers[TRAINING] = EvalReader(config, TRAIN_READER_PATH)
    return readers


def directories(readers: Sequence[input_reader_pb2.InputReader]) -> list[str]:
    """Names the directory of each evaluation reader's results, in order.

    Raises:
        ConfigError: two readers have one name, or one directory.
    """
    path_of_name: dict[str, str] = {}
    path_of_directory = {TRAINING: "--eval_training_data"}
    for index, reader in enumerate(readers):
        path = _path(index)
        if reader.name in path_of_name:
            raise errors.ConfigError(
                f"{path}.name: {reader.name!r} is the name of "
                f"{path_of_name[reader.name]}, too; give each a name of its own"
            )
        if reader.name:
            path_of_name[reader.name] = path
        directory = _directory(index, reader.name)
        if directory in path_of_directory:
            raise errors.ConfigError(
                f"{path}.name: {reader.name!r} would write its results to "
                f"'{directory}', as {path_of_directory[directory]} does; give "
                "it another name"
            )
        path_of_directory[directory] = path
    return list(path_of_directory)[1:]


def check_label_maps(
    configs: config_util.Configs,
    readers: Mapping[str, EvalReader],
    is_training: bool,
) -> None:
    """Makes sure that label maps and model agree on the classes.

    Args:
        configs: the parts of a config.
        readers: the sets to measure on, from `build`.
        is_training: whether the training reader is used, too. It may do
            without a label map, where its records number their classes.

    Raises:
        ConfigError: they do not, or a set to measure on has no label map.
    """
    paths = {}
    for reader in readers.values():
        if not reader.config.label_map_path:
            raise errors.ConfigError(
                f"{reader.path}.label_map_path: is missing; it names the "
                "classes that are measured"
            )
        paths[reader.config.label_map_path] = reader.path
    of_training = configs["train_input_config"].label_map_path
    if is_training and of_training:
        paths[of_training] = TRAIN_READER_PATH
    for label_map_path, reader_path in paths.items():
        try:
            label_map_util.check_num_classes(
                label_map_path, configs["model"].ssd.num_classes
            )
        except errors.ConfigError as error:
            raise errors.ConfigError(
                f"{reader_path}.label_map_path: {error}"
            ) from None


def _path(index: int) -> str:
    return f"eval_input_reader[{index}]"


def _directory(index: int, name: str) -> str:
    if index == 0:
        return VALIDATION
    safe_name = _NOT_IN_DIRECTORY_NAMES.sub("_", name or str(index))
    return f"{VALIDATION}_{safe_name[:_MAX_NAME_CHARACTERS]}"
