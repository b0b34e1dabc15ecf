"""The data sets that a detector can be measured on."""

import copy
from collections.abc import Mapping

from object_detection.protos import input_reader_pb2
from object_detection.utils import config_util, label_map_util

VALIDATION = "eval"
TRAINING = "eval_training_data"


def build(
    configs: config_util.Configs,
    sample_1_of_n: int | None,
    sample_1_of_n_of_training: int,
) -> dict[str, input_reader_pb2.InputReader]:
    """Returns the sets by the directory of their results.

    Args:
        configs: the parts of a config, not changed.
        sample_1_of_n: replaces `sample_1_of_n_examples` of the evaluation
            reader if not None.
        sample_1_of_n_of_training: replaces that of the training reader.

    Returns:
        VALIDATION, and TRAINING when there is a training reader.
    """
    readers = {VALIDATION: copy.deepcopy(configs["eval_input_configs"][0])}
    if sample_1_of_n is not None:
        readers[VALIDATION].sample_1_of_n_examples = sample_1_of_n
    if configs["train_input_config"].WhichOneof("input_reader"):
        readers[TRAINING] = copy.deepcopy(configs["train_input_config"])
        readers[TRAINING].sample_1_of_n_examples = sample_1_of_n_of_training
    return readers


def check_label_maps(
    configs: config_util.Configs,
    readers: Mapping[str, input_reader_pb2.InputReader],
) -> None:
    """Makes sure that label maps and model agree on the classes.

    Raises:
        ConfigError: they do not.
    """
    for path in dict.fromkeys(r.label_map_path for r in readers.values()):
        label_map_util.check_num_classes(path, configs["model"].ssd.num_classes)
