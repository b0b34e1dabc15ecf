"""Writes a trained detector for use elsewhere, with TensorFlow alone.

    output_directory/
        saved_model/                 signatures: see below
        frozen_inference_graph.pb    a TensorFlow 1 graph, weights inside
        model.ckpt.*, checkpoint     the weights that are served
        pipeline.config              for them
        inference_graph.pbtxt        the graph as text, if asked for

`saved_model` has the signature `serving_default` of the input type that was
chosen, and one of each input type under its name; all take `inputs`. `raw`
gives what the network says of every anchor. The label map is in
`saved_model/assets.extra`, where TensorFlow leaves room for what it does not
read.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from absl import logging
from google.protobuf import text_format
from tensorflow.python.framework import convert_to_constants

from object_detection.core import errors
from object_detection.inference import detection_module, model_loading
from object_detection.training import checkpoints
from object_detection.utils import atomic_file, config_util, label_map_util

SAVED_MODEL_NAME = "saved_model"
FROZEN_GRAPH_NAME = "frozen_inference_graph.pb"
GRAPH_TEXT_NAME = "inference_graph.pbtxt"

_DEFAULT_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY

Configs = config_util.Configs


def export_inference_graph(
    input_type: str,
    configs: Configs,
    trained_checkpoint_prefix: str,
    output_directory: str,
    *,
    input_shape: Sequence[int | None] | None = None,
    write_inference_graph: bool = False,
) -> None:
    """Exports one checkpoint.

    Args:
        input_type: one of `detection_module.INPUT_TYPES`.
        configs: from `model_loading.read_configs`. Where `eval_config.
            use_moving_averages` is set, those are exported as the weights.
        trained_checkpoint_prefix: a checkpoint, or a directory for its
            newest.
        output_directory: made if missing; must hold no SavedModel.
        input_shape: four sides of the images, None for any; for image_tensor
            alone.
        write_inference_graph: whether the graph is also written as text.

    Raises:
        ConfigError: names the flag or field that cannot work.
        CheckpointError: there is no checkpoint, or it does not fit.
        ResourceError: the files cannot be written.
    """
    _check(input_type, input_shape, output_directory)
    loaded = model_loading.build(
        configs,
        trained_checkpoint_prefix,
        image_shape=tuple(input_shape or detection_module.ANY_IMAGES),
    )
    module = loaded.module
    num_parameters = sum(v.shape.num_elements() for v in module.model_variables)
    logging.info("The detector has %d parameters", num_parameters)
    try:
        os.makedirs(output_directory, exist_ok=True)
        _write_weights(loaded, configs, output_directory)
        _write_graphs(
            getattr(module, input_type),
            input_type,
            output_directory,
            write_inference_graph,
        )
        _write_saved_model(module, input_type, configs, output_directory)
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).strip().split("\n")[0]
        raise errors.ResourceError(
            f"{output_directory}: cannot write the export: {reason}"
        ) from error


def _check(
    input_type: str,
    input_shape: Sequence[int | None] | None,
    output_directory: str,
) -> None:
    if input_type not in detection_module.INPUT_TYPES:
        raise errors.ConfigError(
            f"--input_type: expected one of {detection_module.INPUT_TYPES}, "
            f"got {input_type!r}"
        )
    if input_shape is not None:
        if input_type != "image_tensor":
            raise errors.ConfigError(
                "--input_shape: is for --input_type=image_tensor alone, got "
                f"{input_type}; leave it out"
            )
        if len(input_shape) != 4 or input_shape[3] not in (3, None):
            raise errors.ConfigError(
                "--input_shape: expected batch, height, width and 3, got "
                f"{list(input_shape)}"
            )
    path = os.path.join(output_directory, SAVED_MODEL_NAME)
    if os.path.exists(path):
        raise errors.ConfigError(
            f"--output_directory: {path} exists; remove it or choose another "
            "directory"
        )


def _write_weights(
    loaded: model_loading.LoadedModel, configs: Configs, directory: str
) -> None:
    """Writes a checkpoint that needs no moving averages, and its config."""
    variables = {
        **loaded.model.checkpoint_variables(),
        checkpoints.GLOBAL_STEP: tf.constant(loaded.step, tf.int64),
    }
    prefix = os.path.join(directory, checkpoints.PREFIX)
    checkpoints.save(prefix, variables)
    checkpoints.write_text(
        os.path.join(directory, checkpoints.STATE_FILE),
        checkpoints.state_text(prefix, [prefix], []),
    )
    pipeline = config_util.create_pipeline_proto_from_configs(configs)
    pipeline.eval_config.use_moving_averages = False
    config_util.save_pipeline_config(pipeline, directory)


def _write_graphs(
    detect: Callable[..., dict[str, tf.Tensor]],
    input_type: str,
    directory: str,
    write_inference_graph: bool,
) -> None:
    """Writes graphs in which nodes have the original's names.

    The input has that of its type, outputs those of `DetectionResultFields`.
    """
    spec = detect.input_signature[0]

    @tf.function(
        input_signature=[tf.TensorSpec(spec.shape, spec.dtype, input_type)],
        autograph=False,
    )
    def named(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            name: tf.identity(value, name=name)
            for name, value in detect(inputs).items()
        }

    write_frozen_graph(named, os.path.join(directory, FROZEN_GRAPH_NAME))
    if write_inference_graph:
        graph = named.get_concrete_function().graph.as_graph_def()
        _write(
            os.path.join(directory, GRAPH_TEXT_NAME),
            text_format.MessageToString(graph).encode(),
        )


def write_frozen_graph(function: Any, path: str) -> None:
    """Writes a graph of TensorFlow 1 with the weights inside.

    Args:
        function: a `tf.function` of one signature, the nodes of which have
            the names that they are to have.
        path: of the file.
    """
    # It also turns loops into operations that TensorFlow 1 knows.
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        function.get_concrete_function()
    )
    _write(path, frozen.graph.as_graph_def().SerializeToString())


def _write_saved_model(
    module: detection_module.DetectionModule,
    input_type: str,
    configs: Configs,
    directory: str,
) -> None:
    """Writes it elsewhere first, so that it appears complete."""
    functions = {
        name: getattr(module, name)
        for name in (*detection_module.INPUT_TYPES, detection_module.RAW)
    }
    temporary = os.path.join(directory, f".tmp-{os.getpid()}")
    try:
        with _quiet():
            tf.saved_model.save(
                module,
                temporary,
                signatures={
                    _DEFAULT_SIGNATURE: functions[input_type],
                    **functions,
                },
            )
        copy_label_map(
            configs,
            os.path.join(temporary, model_loading.LABEL_MAP_IN_SAVED_MODEL),
        )
        os.rename(temporary, os.path.join(directory, SAVED_MODEL_NAME))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides TensorFlow's pages on what it calls each variable."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def copy_label_map(configs: Configs, path: str) -> None:
    """Copies the label map of a config, if it has one.

    Args:
        configs: from `model_loading.read_configs`.
        path: of the file to write.
    """
    found = model_loading.find_label_map(configs)
    if found is None:
        return
    label_map = label_map_util.load_labelmap(found)
    _write(path, text_format.MessageToString(label_map, as_utf8=True).encode())


def _write(path: str, content: bytes) -> None:
    with (
        atomic_file.replacing(path) as temporary,
        open(temporary, "wb") as file,
    ):
        file.write(content)
