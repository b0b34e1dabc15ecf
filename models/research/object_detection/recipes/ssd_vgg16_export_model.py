r"""Exports SSD-VGG as one file that TensorFlow 1 and 2 run.

    python -m object_detection.recipes.ssd_vgg16_export_model \
        --checkpoint-file=ckpt/final.ckpt --output-file=model.pb \
        --output-tensors result/result

Flags and names of tensors are those of the command export_model.py of the
SSD-VGG for Ascend. The graph has the inputs

    image_tensor   uint8 [B, H, W, 3], images of any size, red, green, blue
    image_input    float32 [B, 300, 300, 3], the same resized, 0 to 255 (of 512
                   pixels where the network is)

and the outputs

    result/result  float32 [B, 8732, 25], of each anchor the scores of the
                   classes, background last, and the box code x, y, w, h
    detection_boxes, detection_scores, detection_classes, num_detections
                   what is left after suppression

ssd_vgg16_detect runs it. The label map is written beside it, as
<output-file>.label_map.pbtxt.
"""

import argparse
import os
import sys
from typing import Any

if not __package__:
    # Run as a file: imports begin two directories up, not in this one.
    sys.path[0] = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
    # As with -m, where the package comes before TensorFlow and quietens it.
    import object_detection  # noqa: F401

import tensorflow as tf  # noqa: E402
from absl import logging  # noqa: E402

from object_detection import exporter  # noqa: E402
from object_detection.builders import image_resizer_builder  # noqa: E402
from object_detection.core import errors  # noqa: E402
from object_detection.core.standard_fields import (  # noqa: E402
    DetectionResultFields,
)
from object_detection.inference import (  # noqa: E402
    detection_module,
    model_loading,
)
from object_detection.recipes import ssd_vgg16_result  # noqa: E402
from object_detection.utils import command, config_util, devices  # noqa: E402

IMAGE_TENSOR = "image_tensor"
IMAGE_INPUT = "image_input"
RESULT = "result/result"
OUTPUTS = (
    RESULT,
    DetectionResultFields.detection_boxes,
    DetectionResultFields.detection_scores,
    DetectionResultFields.detection_classes,
    DetectionResultFields.num_detections,
)

_META_GRAPH_ENDING = ".meta"


def label_map_path(model: str) -> str:
    """Returns where the label map of an exported file lies."""
    return f"{model}.label_map.pbtxt"


def main(arguments: argparse.Namespace) -> None:
    """Does what the flags say."""
    logging.set_verbosity(logging.INFO)
    devices.set_up()
    for name in arguments.output_tensors:
        if name.removesuffix(":0") not in OUTPUTS:
            raise errors.ConfigError(
                f"--output-tensors: expected some of {', '.join(OUTPUTS)}, got "
                f"{name}"
            )
    configs = model_loading.read_configs(
        _config_path(arguments), hparams_overrides=arguments.hparams_overrides
    )
    loaded = model_loading.build(configs, arguments.checkpoint_file)
    exporter.write_frozen_graph(
        _make_function(loaded, configs), arguments.output_file
    )
    exporter.copy_label_map(configs, label_map_path(arguments.output_file))
    logging.info("Exported to %s", arguments.output_file)


def _make_function(
    loaded: model_loading.LoadedModel, configs: config_util.Configs
) -> Any:
    """Returns the function whose nodes have the names of the original."""
    resizer = image_resizer_builder.build(configs["model"].ssd.image_resizer)
    size_px = resizer.static_size_px
    if size_px is None:
        raise errors.ConfigError(
            "model.ssd.image_resizer: expected fixed_shape_resizer, the images "
            f"of {IMAGE_INPUT} have one size"
        )
    spec = tf.TensorSpec(detection_module.ANY_IMAGES, tf.uint8, IMAGE_TENSOR)

    @tf.function(input_signature=[spec], autograph=False)
    def named(images: tf.Tensor) -> dict[str, tf.Tensor]:
        resized = tf.ensure_shape(resizer(images)[0], [None, *size_px, 3])
        # Who feeds this node needs no other input.
        resized = tf.identity(resized, name=IMAGE_INPUT)
        shapes = tf.tile([[*size_px, 3]], [tf.shape(resized)[0], 1])
        raw = loaded.module.raw_of_resized(resized, shapes)
        found = loaded.module.detect_resized(resized, shapes)
        rows = raw[detection_module.RAW_RESULT]
        columns = ssd_vgg16_result.columns(rows.shape[-1])
        outputs = {**found, RESULT: tf.gather(rows, columns, axis=2)}
        return {name: tf.identity(outputs[name], name=name) for name in OUTPUTS}

    return named


def _config_path(arguments: argparse.Namespace) -> str:
    path = arguments.metagraph_file
    if path is None:
        path = os.path.dirname(arguments.checkpoint_file) or "."
    elif path.endswith(_META_GRAPH_ENDING):
        path = os.path.dirname(path) or "."
    return path


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    made = command.make_parser(__doc__)
    made.add_argument(
        "--metagraph-file",
        help="pipeline.config, or its folder, from which the graph is built; "
        "a path with the ending .meta stands for that beside it; None for that "
        "beside --checkpoint-file",
    )
    made.add_argument(
        "--checkpoint-file", default="final.ckpt", help="the weights"
    )
    made.add_argument("--output-file", default="model.pb", help="to write")
    made.add_argument(
        "--output-tensors",
        nargs="+",
        required=True,
        metavar="NAME",
        help=f"which the graph must have: {', '.join(OUTPUTS)}; it has all",
    )
    made.add_argument("--hparams_overrides", help="of any value of the config")
    return made


if __name__ == "__main__":
    command.run_with_arguments(parser(), main)
