"""The data sets that a detector can be measured on."""

import copy
from collections.abc import Iterable, Sequence

from object_detection.core import errors
from object_detection.protos import input_reader_pb2
from object_detection.utils import config_util, label_map_util

VALIDATION = "eval"
TRAINING = "eval_training_data"


def build(
    configs: config_util.Configs,
    names: Sequence[str],
    sample_1_of_n: int | None,
    sample_1_of_n_of_training: int,
) -> dict[str, input_reader_pb2.InputReader]:
    """Returns the sets by the directory of their results.

    Args:
        configs: the parts of a config, not changed.
        names: VALIDATION, TRAINING or both.
        sample_1_of_n: replaces `sample_1_of_n_examples` of the evaluation
            reader if not None.
        sample_1_of_n_of_training: replaces that of the training reader.

    Raises:
        ConfigError: TRAINING is asked for, and the config has no reader of it.
    """
    readers = {}
    if VALIDATION in names:
        readers[VALIDATION] = copy.deepcopy(configs["eval_input_configs"][0])
        if sample_1_of_n is not None:
            readers[VALIDATION].sample_1_of_n_examples = sample_1_of_n
    if TRAINING in names:
        readers[TRAINING] = copy.deepcopy(configs["train_input_config"])
        readers[TRAINING].sample_1_of_n_examples = sample_1_of_n_of_training
        if not readers[TRAINING].WhichOneof("input_reader"):
            raise errors.ConfigError(
                "train_input_reader: is not set; to measure on the training "
                "set give it a tf_record_input_reader"
            )
    return readers


def check_label_maps(
    configs: config_util.Configs,
    readers: Iterable[input_reader_pb2.InputReader],
    is_training: bool,
) -> None:
    """Makes sure that label maps and model agree on the classes.

    Args:
        configs: the parts of a config.
        readers: the sets to measure on.
        is_training: whether the training reader is used, too.

    Raises:
        ConfigError: they do not.
    """
    paths = [reader.label_map_path for reader in readers]
    if is_training:
        paths.append(configs["train_input_config"].label_map_path)
    for path in dict.fromkeys(paths):
        label_map_util.check_num_classes(path, configs["model"].ssd.num_classes)
