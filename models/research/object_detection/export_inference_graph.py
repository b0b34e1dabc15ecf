r"""Exports a trained detector for serving.

    python -m object_detection.export_inference_graph \
        --pipeline_config_path=runs/ssd320/pipeline.config \
        --trained_checkpoint_prefix=runs/ssd320/model.ckpt-100000 \
        --output_directory=exported

writes `exported/saved_model`, `exported/frozen_inference_graph.pb`, the
weights and their config; `exporter` says what is in them. To try it:

    python -m object_detection.inference.infer_detections \
        --saved_model=exported/saved_model --output_dir=found images/
"""

from absl import flags, logging

from object_detection import exporter
from object_detection.core import errors
from object_detection.inference import detection_module, model_loading
from object_detection.utils import command

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_enum(
        "input_type",
        detection_module.INPUT_TYPES[0],
        detection_module.INPUT_TYPES,
        "What `serving_default` and the frozen graph take.",
    )
    flags.DEFINE_list(
        "input_shape",
        None,
        "Batch, height, width and 3 of an image_tensor, -1 for any; any by "
        "default.",
    )
    flags.DEFINE_string("pipeline_config_path", None, "The pipeline config.")
    flags.DEFINE_string(
        "trained_checkpoint_prefix",
        None,
        "A checkpoint, .../model.ckpt-<step>, or a directory for its newest.",
    )
    flags.DEFINE_string(
        "output_directory", None, "Made if missing; must hold no SavedModel."
    )
    flags.DEFINE_string(
        "config_override", None, "Text of a config that is merged on top."
    )
    flags.DEFINE_string(
        "hparams_overrides", None, "Overrides of config values, as in training."
    )
    flags.DEFINE_boolean(
        "write_inference_graph", False, "Also write the graph as text."
    )
    flags.mark_flags_as_required(
        [
            "pipeline_config_path",
            "trained_checkpoint_prefix",
            "output_directory",
        ]
    )


def main(_: list[str]) -> None:
    """Does what the flags say."""
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)
    exporter.export_inference_graph(
        FLAGS.input_type,
        model_loading.read_configs(
            FLAGS.pipeline_config_path,
            config_override=FLAGS.config_override,
            hparams_overrides=FLAGS.hparams_overrides,
        ),
        FLAGS.trained_checkpoint_prefix,
        FLAGS.output_directory,
        input_shape=parse_shape(FLAGS.input_shape),
        write_inference_graph=FLAGS.write_inference_graph,
    )
    logging.info("Exported to %s", FLAGS.output_directory)


def parse_shape(texts: list[str] | None) -> list[int | None] | None:
    """Returns the sides of --input_shape, None for any.

    Raises:
        ConfigError: a text is neither -1 nor a positive number.
    """
    if texts is None:
        return None
    try:
        sides = [int(text) for text in texts]
    except ValueError:
        sides = [0]
    if any(side < 1 and side != -1 for side in sides):
        raise errors.ConfigError(
            "--input_shape: expected numbers such as 1,300,300,3, with -1 for "
            f"any, got {','.join(texts)}"
        )
    return [None if side == -1 else side for side in sides]


if __name__ == "__main__":
    define_flags()
    command.run(main)
