"""A small detector's files, for tests that need them."""

import os

import keras
import numpy as np
from google.protobuf import text_format

from object_detection.builders import model_builder, small_detector
from object_detection.protos import pipeline_pb2
from object_detection.training import checkpoints
from object_detection.utils import config_util

CLASS_NAMES = ("cat", "dog", "hen")
# Weights that make scores and boxes differ from anchor to anchor.
_SEED = 5


def write(directory: str, overrides: str = "") -> str:
    """Writes `pipeline.config`, `label_map.pbtxt` and a checkpoint.

    Args:
        directory: is there.
        overrides: text of a config that is merged on top.

    Returns:
        The checkpoint.
    """
    label_map_path = os.path.join(directory, "label_map.pbtxt")
    with open(label_map_path, "w", encoding="utf-8") as file:
        for number, name in enumerate(CLASS_NAMES, start=1):
            file.write(f"item {{ id: {number} name: '{name}' }}\n")
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse(small_detector.CONFIG, pipeline.model)
    pipeline.eval_input_reader.add().label_map_path = label_map_path
    text_format.Merge(overrides, pipeline)
    config_util.save_pipeline_config(pipeline, directory)
    model = model_builder.build(pipeline.model, is_training=False)
    path = os.path.join(directory, "model.ckpt-7")
    rng = np.random.default_rng(_SEED)
    variables = {
        name: draw_weights(variable, rng)
        for name, variable in model.checkpoint_variables().items()
    }
    averages = {
        name + checkpoints.MOVING_AVERAGE_SUFFIX: value * np.float32(0.9)
        for name, value in variables.items()
    }
    step = {checkpoints.GLOBAL_STEP: np.int64(7)}
    checkpoints.save(path, {**variables, **averages, **step})
    return path


def draw_weights(
    variable: keras.Variable, rng: np.random.Generator
) -> np.ndarray:
    """Draws kernels with which activations neither vanish nor grow."""
    if len(variable.shape) < 2:
        return np.asarray(variable)
    fan_in = np.prod(variable.shape[:2]) * (
        1 if "depthwise" in variable.name else variable.shape[2]
    )
    spread = np.sqrt(2.0 / fan_in)
    return rng.normal(0, spread, variable.shape).astype(np.float32)
