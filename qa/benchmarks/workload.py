"""What the benchmarks measure on: configs, records, batches, FLOP counts."""

import functools
import io
import os
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from object_detection import inputs, model_hparams
from object_detection.core.standard_fields import InputDataFields
from object_detection.data_decoders import annotated_image, tf_record_writer
from object_detection.dataset_tools import shapes_scene
from object_detection.utils import config_util

ROOT = pathlib.Path(__file__).resolve().parents[2]
SSD320_CONFIG = str(ROOT / "configs" / "ssd320_bench.config")

# A training step costs three times a forward pass: the gradient of a layer
# is one product for its input and one for its weights. (The first layer
# needs none for its input, which counts for less than 0.3 %.)
TRAIN_OVER_FORWARD = 3

_STYLE = shapes_scene.SceneStyle(
    height_px=480, width_px=640, max_shapes=13, max_diameter_px=260.0
)

Configs = dict[str, Any]
Batch = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]


def load_configs(
    path: str,
    directory: str,
    *,
    input_path: str = "",
    label_map_path: str = "",
    overrides: str = "",
) -> Configs:
    """Reads a config and gives it records, by default freshly drawn ones.

    Args:
        path: of the pipeline config.
        directory: where drawn records and their label map go.
        input_path: pattern of records to use instead of drawn ones.
        label_map_path: their label map.
        overrides: as `--hparams_overrides`.
    """
    configs = config_util.get_configs_from_pipeline_file(path)
    if not input_path:
        num_classes = configs["model"].ssd.num_classes
        input_path, label_map_path = draw_records(directory, num_classes)
    pairs = [overrides] if overrides else []
    pairs += [
        # Weights of any value cost the same time.
        "load_pretrained=false",
        f'train_input_path="{input_path}"',
        f'eval_input_path="{input_path}"',
        f'label_map_path="{label_map_path}"',
    ]
    return model_hparams.apply_hparams_overrides(configs, ",".join(pairs))


def draw_records(
    directory: str, num_classes: int, num_images: int = 64
) -> tuple[str, str]:
    """Writes JPEGs of 640 x 480 with up to 13 objects into one record file.

    Returns:
        Paths of the record file and of a label map of `num_classes` items.
    """
    names = [*shapes_scene.CLASS_NAMES]
    names += [f"class {i}" for i in range(len(names) + 1, num_classes + 1)]
    class_ids = {name: i for i, name in enumerate(names[:num_classes], 1)}
    label_map_path = os.path.join(directory, "label_map.pbtxt")
    with open(label_map_path, "w", encoding="utf-8") as file:
        for name, class_id in class_ids.items():
            file.write(f'item {{ id: {class_id} name: "{name}" }}\n')
    record_path = os.path.join(directory, "images.record")
    tf_record_writer.write_dataset(
        range(num_images),
        functools.partial(_draw_image, class_ids=class_ids),
        class_ids,
        record_path,
        description="drawing",
    )
    return record_path, label_map_path


def draw_jpeg(index: int) -> tuple[bytes, list[Any]]:
    """Returns picture `index` as JPEG, and its objects."""
    rng = np.random.default_rng([7, index])
    pixels, objects = shapes_scene.render_scene(rng, _STYLE)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), objects


def _draw_image(
    index: int, class_ids: dict[str, int]
) -> annotated_image.AnnotatedImage:
    encoded, objects = draw_jpeg(index)
    return annotated_image.AnnotatedImage(
        filename=f"{index}.jpg",
        source_id=str(index),
        encoded=encoded,
        image_format="jpeg",
        height_px=_STYLE.height_px,
        width_px=_STYLE.width_px,
        objects=tuple(o for o in objects if o.class_name in class_ids),
    )


def train_input(configs: Configs, batch_size: int) -> tf.data.Dataset:
    """Returns the real training input."""
    return inputs.create_train_input_fn(
        configs["train_config"],
        configs["train_input_config"],
        configs["model"],
        batch_size=batch_size,
        seed=0,
    )()


def cached_batch(configs: Configs, batch_size: int) -> Batch:
    """Returns one batch of the real training input, in memory."""
    return next(iter(train_input(configs, batch_size)))


def image_shape(batch: Batch) -> tuple[int, ...]:
    """Returns (B, H, W, 3)."""
    return tuple(batch[0][InputDataFields.image].shape)


def forward_gflop(model: Any, image_shape_BHW3: tuple[int, ...]) -> float:
    """Counts the multiplications and additions of `predict`, in 1e9.

    Convolutions and matrix products count, which a yardstick of matrix
    products can be held against; normalisation and activation do not.
    """
    graph = (
        tf.function(lambda x, s: model.predict(x, s, training=False))
        .get_concrete_function(
            tf.TensorSpec(image_shape_BHW3, tf.float32),
            tf.TensorSpec((image_shape_BHW3[0], 3), tf.int32),
        )
        .graph
    )
    return sum(_flop(op) for op in graph.get_operations()) / 1e9


def _flop(op: tf.Operation) -> int:
    if re.fullmatch("(Batch)?MatMul(V2)?", op.type):
        transposed = "transpose_a" if op.type == "MatMul" else "adj_x"
        depth = op.inputs[0].shape[-2 if op.get_attr(transposed) else -1]
        return 2 * depth * op.outputs[0].shape.num_elements()
    if op.type == "Conv2D":
        height, width, num_inputs, _ = op.inputs[1].shape
        products = height * width * num_inputs
    elif op.type == "DepthwiseConv2dNative":
        height, width, _, _ = op.inputs[1].shape
        products = height * width
    else:
        return 0
    return 2 * products * op.outputs[0].shape.num_elements()
