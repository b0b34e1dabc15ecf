"""What the messages of an SSD model must agree on."""

from collections.abc import Iterator

from object_detection.core import errors
from object_detection.protos import hyperparams_pb2, ssd_pb2
from object_detection.utils import config_fields

_CODE_SIZES = {"faster_rcnn_box_coder": 4, "mean_stddev_box_coder": 4}


def check_ssd(ssd: ssd_pb2.Ssd) -> None:
    """Refuses a model whose parts contradict each other.

    What one part alone decides is left to its builder.

    Raises:
        ConfigError: names the field or the two fields.
    """
    _check_levels(ssd)
    _check_code_size(ssd)
    _check_tower_depth(ssd)


def find_fields_without_effect_here(
    ssd: ssd_pb2.Ssd,
) -> Iterator[tuple[str, str]]:
    """Yields path and reason of fields that other fields rob of their effect.

    Args:
        ssd: the model; paths begin with "model.ssd".
    """
    extractor = ssd.feature_extractor
    path = "model.ssd.feature_extractor"
    if extractor.type.startswith("ssd_resnet"):
        for name in ("min_depth", "use_depthwise"):
            default = extractor.DESCRIPTOR.fields_by_name[name].default_value
            if getattr(extractor, name) != default:
                yield f"{path}.{name}", f"{extractor.type} does not read it"
    shared = ssd.box_predictor.weight_shared_convolutional_box_predictor
    hyperparams = shared.conv_hyperparams
    path = (
        "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
        ".conv_hyperparams"
    )
    if (
        hyperparams.HasField("activation")
        and hyperparams.activation != hyperparams_pb2.Hyperparams.RELU_6
    ):
        yield f"{path}.activation", "its towers always use relu6"
    if hyperparams.HasField("group_norm"):
        yield (
            f"{path}.group_norm",
            "only batch_norm normalises here; its convolutions get biases",
        )


def freeze_batchnorm_warning(ssd: ssd_pb2.Ssd) -> str | None:
    """Returns what `freeze_batchnorm: true` does not freeze, if anything."""
    if not ssd.freeze_batchnorm or ssd.enforce_freeze_batchnorm:
        return None
    paths = [
        path.rpartition(".")[0]
        for path, _, name, value in config_fields.walk(ssd, "model.ssd")
        if name == "batch_norm" and value.train
    ]
    if not paths:
        return None
    return (
        "model.ssd.freeze_batchnorm: true does not freeze the BatchNorm of "
        f"{', '.join(paths)}, because a batch_norm block overrules it: its "
        "statistics train, as in the original, whose published results were "
        "reached that way. Set enforce_freeze_batchnorm: true to freeze it, "
        "or freeze_batchnorm: false to say what happens."
    )


def _check_levels(ssd: ssd_pb2.Ssd) -> None:
    kind = ssd.anchor_generator.WhichOneof("anchor_generator_oneof")
    if kind != "multiscale_anchor_generator":
        return
    anchors = ssd.anchor_generator.multiscale_anchor_generator
    maps = ssd.feature_extractor.fpn
    if maps.min_level > maps.max_level:
        raise errors.ConfigError(
            f"model.ssd.feature_extractor.fpn.min_level: {maps.min_level} is "
            f"above max_level {maps.max_level}"
        )
    # Equal in number they would fit together, each a wrong stride.
    is_fpn = ssd.feature_extractor.type.endswith("_fpn")
    anchor_levels = (anchors.min_level, anchors.max_level)
    if is_fpn and anchor_levels != (maps.min_level, maps.max_level):
        raise errors.ConfigError(
            f"model.ssd.anchor_generator.{kind}: levels {anchors.min_level} "
            f"to {anchors.max_level} differ from those of "
            f"model.ssd.feature_extractor.fpn, {maps.min_level} to "
            f"{maps.max_level}; give both the same min_level and max_level"
        )


def _check_code_size(ssd: ssd_pb2.Ssd) -> None:
    expected = _CODE_SIZES.get(ssd.box_coder.WhichOneof("box_coder_oneof"))
    predictor = ssd.box_predictor.WhichOneof("box_predictor_oneof")
    if expected is None or predictor is None:
        return
    found = getattr(ssd.box_predictor, predictor).box_code_size
    if found != expected:
        raise errors.ConfigError(
            f"model.ssd.box_predictor.{predictor}.box_code_size: "
            f"{ssd.box_coder.WhichOneof('box_coder_oneof')} makes codes of "
            f"size {expected}, got {found}"
        )


def _check_tower_depth(ssd: ssd_pb2.Ssd) -> None:
    shared = ssd.box_predictor.weight_shared_convolutional_box_predictor
    if shared.num_layers_before_predictor and not shared.depth:
        raise errors.ConfigError(
            "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
            f".depth: is 0, and num_layers_before_predictor "
            f"{shared.num_layers_before_predictor} needs one; set it (256 in "
            "SSD320)"
        )
