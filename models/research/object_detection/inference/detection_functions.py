"""The functions of a detector: of one built here, or of one loaded.

Letters: B image, A anchor, K class including a background column.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import message

from object_detection.core import errors
from object_detection.core.standard_fields import DetectionResultFields
from object_detection.inference import detection_module, model_loading

_SAVED_MODEL = "saved_model"
_SAVED_MODEL_FILE = "saved_model.pb"
_FROZEN_GRAPH_INPUT = "image_tensor:0"
_OUTPUTS = (
    DetectionResultFields.detection_boxes,
    DetectionResultFields.detection_scores,
    DetectionResultFields.detection_classes,
    DetectionResultFields.num_detections,
)

# What loading a damaged or foreign file raises.
_LOAD_ERRORS = (
    tf.errors.OpError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    message.DecodeError,
)


class DetectionFunctions(NamedTuple):
    """From images to detections, on numpy arrays.

    Attributes:
        resize: from uint8 [H, W, 3] to what `detect` takes, [h, w, C], and
            int32 [3], its size without padding. Runs on the CPU.
        detect: from batches of both to what `DetectionModule` returns.
        has_static_size: whether all resized images have one size.
        raw: as `detect`, gives `DetectionModule.raw`'s result, float32 [B, A,
            K + code size]; None where the model cannot.
    """

    resize: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    detect: Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]
    has_static_size: bool
    raw: Callable[[np.ndarray, np.ndarray], np.ndarray] | None


def of_module(module: Any) -> DetectionFunctions:
    """Returns those of a `DetectionModule`, loaded from a file or not."""

    def resize(image_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with tf.device("/cpu:0"):
            resized, true_shape = module.resize(tf.constant(image_HW3))
            return resized.numpy(), true_shape.numpy()

    def raw(images: np.ndarray, true_shapes: np.ndarray) -> np.ndarray:
        found = module.raw_of_resized(
            tf.constant(images), tf.constant(true_shapes)
        )
        return found[detection_module.RAW_RESULT].numpy()

    images = module.detect_resized.input_signature[0]
    return DetectionFunctions(
        resize=resize,
        detect=lambda images, true_shapes: _to_numpy(
            module.detect_resized(tf.constant(images), tf.constant(true_shapes))
        ),
        has_static_size=None not in images.shape[1:],
        raw=raw,
    )


def load(path: str) -> tuple[DetectionFunctions, str | None]:
    """Loads a SavedModel or a frozen graph.

    Args:
        path: see `Detector.from_saved_model`.

    Returns:
        Its functions; the label map in it, or None.

    Raises:
        CheckpointError: it cannot be loaded, or takes no images.
    """
    if os.path.isfile(path):
        return _of_images(_load_frozen_graph(path)), None
    found = path
    if not os.path.exists(os.path.join(path, _SAVED_MODEL_FILE)):
        found = os.path.join(path, _SAVED_MODEL)
    if not os.path.exists(os.path.join(found, _SAVED_MODEL_FILE)):
        raise errors.CheckpointError(
            f"{path}: is no SavedModel, there is no {_SAVED_MODEL_FILE} in it"
        )
    try:
        loaded = tf.saved_model.load(found)
    except _LOAD_ERRORS as error:
        raise errors.CheckpointError(
            f"{found}: cannot be loaded as a SavedModel "
            f"({_first_line(error)}); export it again"
        ) from error
    label_map: str | None = os.path.join(
        found, model_loading.LABEL_MAP_IN_SAVED_MODEL
    )
    if not os.path.exists(label_map):
        label_map = None
    if hasattr(loaded, "detect_resized"):
        return of_module(loaded), label_map
    return _of_images(_serving_function(loaded, found)), label_map


def _serving_function(loaded: Any, path: str) -> Callable[[tf.Tensor], Any]:
    """Returns the signature of a SavedModel made elsewhere."""
    name = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    signature = loaded.signatures.get(name)
    if signature is None:
        raise errors.CheckpointError(f"{path}: has no signature {name}")
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    specs = list(inputs.values())
    if [spec.dtype for spec in specs] != [tf.uint8] or not set(_OUTPUTS) <= set(
        outputs
    ):
        raise errors.CheckpointError(
            f"{path}: {name} is no detector of images: expected one input of "
            f"uint8 and the outputs {', '.join(_OUTPUTS)}, got "
            f"{[spec.dtype.name for spec in specs]} and "
            f"{', '.join(sorted(outputs))}; export it with "
            "--input_type=image_tensor"
        )
    (input_name,) = inputs
    # Kept alive: a signature holds its variables by weak references alone.
    return lambda images, _owner=loaded: signature(**{input_name: images})


def _load_frozen_graph(path: str) -> Callable[[tf.Tensor], Any]:
    graph = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as file:
            graph.ParseFromString(file.read())
        imported = tf.compat.v1.wrap_function(
            lambda: tf.compat.v1.import_graph_def(graph, name=""), []
        )
        return imported.prune(
            _FROZEN_GRAPH_INPUT, {name: f"{name}:0" for name in _OUTPUTS}
        )
    except _LOAD_ERRORS as error:
        raise errors.CheckpointError(
            f"{path}: is no frozen graph of a detector that takes "
            f"{_FROZEN_GRAPH_INPUT} ({_first_line(error)}); export it with "
            "--input_type=image_tensor"
        ) from error


def _of_images(function: Callable[[tf.Tensor], Any]) -> DetectionFunctions:
    """Returns the functions of a model that resizes by itself."""
    return DetectionFunctions(
        resize=lambda image: (image, np.array(image.shape, np.int32)),
        detect=lambda images, _: _to_numpy(function(tf.constant(images))),
        has_static_size=False,
        raw=None,
    )


def _to_numpy(tensors: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:300]
