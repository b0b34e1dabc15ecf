"""Restores checkpoints such as a user of the original has them.

They are made here, of the names and shapes that the original's own networks
have (`qa/parity/testdata`), and hold what else a training leaves: optimizer
slots, moving averages, the step, ranges of quantization, heads of 90 classes.
"""

import json
import pathlib
import re
import zlib

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import (
    feature_extractor_builder,
    model_builder,
    train_options_builder,
)
from object_detection.core import errors, naming
from object_detection.protos import ssd_pb2, train_pb2
from object_detection.training import checkpoints, fine_tune
from object_detection.utils import config_util

GOLDEN = pathlib.Path(__file__).resolve().parents[4] / "qa/parity/testdata"
MOBILENET, INCEPTION = "ssd_mobilenet_v2", "ssd_inception_v2"
RESNET, MOBILENET_V1 = "ssd320_full_8gpus", "ssd_mobilenet_v1_fpn_640"

AVERAGE = "/ExponentialMovingAverage"
SLOTS = ("RMSProp", "RMSProp_1", "Momentum", "Adam", "Adam_1")
# Of all variables the files would be large.
MAX_ELEMENTS_WITH_SLOTS = 1 << 12
STEP = 123456
LOADS_ALL = ["", "load_all_detection_checkpoint_vars: true"]
# What no tensor of a file holds.
UNTOUCHED = -7.0


def listing(name):
    return json.loads((GOLDEN / name / "variables.json").read_text())


def value(name, shape):
    """Differs from element to element and from name to name."""
    start = zlib.crc32(name.encode()) % 1000
    size = int(np.prod(shape))
    return np.linspace(start, start + 1, size, dtype="float32").reshape(shape)


def with_slots(shapes):
    """Returns the tensors of a training's checkpoint."""
    values = {name: value(name, shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        if "/moving_" in name or np.prod(shape) > MAX_ELEMENTS_WITH_SLOTS:
            continue
        for suffix in (AVERAGE, *(f"/{slot}" for slot in SLOTS)):
            values[name + suffix] = value(name + suffix, shape)
        if name.endswith("weights"):
            for end in ("weights_quant/min", "act_quant/max"):
                other = f"{name.rpartition('/')[0]}/{end}"
                values[other] = value(other, ())
    for power in ("beta1_power", "beta2_power"):
        values[power] = value(power, ())
    return {**values, checkpoints.GLOBAL_STEP: np.array(STEP, "int64")}


def write_v1(path, values):
    tf.raw_ops.Save(
        filename=path,
        tensor_names=list(values),
        data=[tf.constant(array) for array in values.values()],
    )


def write(directory, values, writer=checkpoints.save):
    """Writes `model.ckpt`, and names it as the zoo's archives do."""
    directory.mkdir()
    writer(str(directory / "model.ckpt"), values)
    (directory / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"')
    return str(directory / "model.ckpt")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """By architecture: the path and the tensors, one in each format."""
    directory = tmp_path_factory.mktemp("zoo")
    found = {}
    for name, writer in (
        (MOBILENET, checkpoints.save),
        (INCEPTION, write_v1),
    ):
        values = with_slots(listing(name))
        found[name] = write(directory / name, values, writer), values
    return found


def build(name, num_classes, **settings):
    configs = config_util.get_configs_from_pipeline_file(
        GOLDEN / name / "pipeline.config"
    )
    configs["model"].ssd.num_classes = num_classes
    return model_builder.build(configs["model"], True, **settings)


@pytest.fixture(scope="module")
def models():
    """As the checkpoints have it, for 3 classes, and for another channel."""
    return {
        "same": build(MOBILENET, 90),
        "classes": build(MOBILENET, 3),
        "channels": build(INCEPTION, 90, num_additional_channels=1),
    }


def clear(variables):
    for variable in variables.values():
        variable.assign(np.full(variable.shape, UNTOUCHED))


def start(variables, path, text):
    """Starts from a checkpoint as a `train_config` with this text does."""
    clear(variables)
    config = text_format.Parse(
        f"""{text} fine_tune_checkpoint: '{path}' optimizer {{
        adam_optimizer {{ learning_rate {{ constant_learning_rate {{}} }} }}
        }}""",
        train_pb2.TrainConfig(),
    )
    options = train_options_builder.build(config, "float32", False, MOBILENET)
    return fine_tune.initialize(variables, options.fine_tune)


def assert_taken(variables, report, values):
    """Every variable holds what the report says, to the last bit."""
    for name, variable in variables.items():
        there = report.matched.get(name)
        expected = UNTOUCHED if there is None else values[there]
        np.testing.assert_array_equal(
            np.asarray(variable.value),
            np.broadcast_to(expected, variable.shape),
            err_msg=name,
        )
    used = len(report.matched) + len(report.mismatched)
    assert report.num_unused == len(values) - used


@pytest.mark.parametrize("loads_all", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "fine_tune_checkpoint_type: 'detection'",
        "from_detection_checkpoint: true",
    ],
)
def test_a_detector_of_the_same_kind_is_taken(text, loads_all, files, models):
    path, values = files[MOBILENET]
    variables = models["same"].checkpoint_variables()
    report = start(variables, path, f"{text} {LOADS_ALL[loads_all]}")
    assert set(report.matched) == {
        name
        for name in listing(MOBILENET)
        if loads_all or name.startswith("FeatureExtractor/")
    }
    assert (report.missing, report.mismatched) == ([], {})
    assert_taken(variables, report, values)


@pytest.mark.parametrize("loads_all", [False, True])
def test_heads_of_other_classes_are_left(loads_all, files, models):
    path, values = files[MOBILENET]
    variables = models["classes"].checkpoint_variables()
    report = start(
        variables,
        path,
        f"from_detection_checkpoint: true {LOADS_ALL[loads_all]}",
    )
    heads = {n for n in listing(MOBILENET) if "/ClassPredictor/" in n}
    assert len(heads) == 12
    assert set(report.mismatched) == (heads if loads_all else set())
    if loads_all:
        assert report.mismatched["BoxPredictor_0/ClassPredictor/biases"] == (
            (273,),
            (12,),
        )
    boxes = "BoxPredictor_5/BoxEncodingPredictor/weights"
    assert (boxes in report.matched) == loads_all
    assert report.missing == []
    assert_taken(variables, report, values)


def test_the_first_convolution_of_more_channels_is_left(files, models):
    path, values = files[INCEPTION]
    variables = models["channels"].checkpoint_variables()
    report = start(
        variables,
        path,
        f"from_detection_checkpoint: true {LOADS_ALL[True]}",
    )
    first = "FeatureExtractor/InceptionV2/Conv2d_1a_7x7"
    assert report.mismatched == {
        f"{first}/depthwise_weights": ((7, 7, 3, 8), (7, 7, 4, 8)),
        f"{first}/pointwise_weights": ((1, 1, 24, 64), (1, 1, 32, 64)),
    }
    assert report.missing == []
    assert len(report.matched) == len(listing(INCEPTION)) - 2
    assert_taken(variables, report, values)


def test_a_detector_is_no_classifier(files, models):
    path, _ = files[MOBILENET]
    variables = models["classes"].checkpoint_variables()
    with pytest.raises(errors.CheckpointError) as info:
        start(variables, path, "")
    message = str(info.value)
    assert "set train_config.fine_tune_checkpoint_type: 'detection'" in message
    assert "\n" not in message
    assert_taken(variables, fine_tune.Report(path, {}, [], {}, 0), {})


@pytest.mark.parametrize("use_moving_averages", [False, True])
def test_a_directory_of_the_zoo_is_evaluated(
    use_moving_averages, files, models
):
    path, values = files[MOBILENET]
    variables = models["same"].checkpoint_variables()
    clear(variables)
    step = checkpoints.restore(
        models["same"],
        str(pathlib.Path(path).parent),
        use_moving_averages=use_moving_averages,
    )
    assert step == STEP
    num_averages = 0
    for name, variable in variables.items():
        is_average = use_moving_averages and name + AVERAGE in values
        num_averages += is_average
        np.testing.assert_array_equal(
            variable.value, values[name + AVERAGE * is_average], err_msg=name
        )
    assert bool(num_averages) == use_moving_averages


@pytest.mark.parametrize(
    ("model", "name", "words"),
    [
        ("classes", MOBILENET, r"ClassPredictor.*, 273\] .*, 12\] "),
        ("channels", INCEPTION, r"1a_7x7.* \[7, 7, 3, 8\] .* \[7, 7, 4, 8\] "),
        ("classes", INCEPTION, "300 of 324 tensors are not in it.*another"),
    ],
)
def test_what_does_not_fit_is_not_evaluated(model, name, words, files, models):
    variables = models[model].checkpoint_variables()
    clear(variables)
    with pytest.raises(errors.CheckpointError) as info:
        checkpoints.restore(models[model], files[name][0])
    message = str(info.value)
    assert message.startswith(files[name][0])
    assert re.search(words, message) and "\n" not in message
    for variable in variables.values():
        assert np.all(np.asarray(variable.value) == UNTOUCHED)


@pytest.mark.parametrize("has_state_file", [False, True])
@pytest.mark.parametrize("use_moving_averages", [False, True])
def test_averages_alone_are_weights(
    has_state_file, use_moving_averages, tmp_path, models
):
    values = {
        name + AVERAGE * ("/moving_" not in name): value(name, shape)
        for name, shape in listing(MOBILENET).items()
    }
    directory = tmp_path / "averages"
    write(directory, values)
    if not has_state_file:
        (directory / "checkpoint").unlink()
    step = checkpoints.restore(
        models["same"], directory, use_moving_averages=use_moving_averages
    )
    assert step == 0
    for name, variable in models["same"].checkpoint_variables().items():
        np.testing.assert_array_equal(
            variable.value, value(name, variable.shape), err_msg=name
        )


def test_averages_that_were_not_exported_are_not_evaluated(tmp_path, models):
    path = write(tmp_path / "exported", {"a/weights": np.ones(3, "float32")})
    with pytest.raises(
        errors.CheckpointError, match="eval_config.use_moving_averages.* false"
    ):
        checkpoints.restore(models["same"], path, use_moving_averages=True)


BACKBONES = [
    ("ssd_mobilenet_v2_keras", MOBILENET, "MobilenetV2", checkpoints.save),
    ("embedded_ssd_mobilenet_v1", MOBILENET_V1, "MobilenetV1", write_v1),
    ("ssd_mobilenet_v1_ppn", MOBILENET_V1, "MobilenetV1", checkpoints.save),
    ("ssd_resnet50_v1_ppn", RESNET, "resnet_v1_50", write_v1),
]


@pytest.mark.parametrize(
    ("kind", "name", "scope", "writer"),
    BACKBONES,
    ids=[kind for kind, *_ in BACKBONES],
)
def test_a_classifier_is_the_backbone(kind, name, scope, writer, tmp_path):
    """Slots, averages and logits of 1001 classes are asked for by nobody."""
    shapes = {
        n.removeprefix("FeatureExtractor/"): shape
        for n, shape in listing(name).items()
        if n.startswith("FeatureExtractor/")
        and not re.search("/fpn/|/layer_19_", n)
    }
    logits = {
        f"{scope}/Logits/Conv2d_1c_1x1/weights": (1, 1, 32, 1001),
        f"{scope}/Logits/Conv2d_1c_1x1/biases": (1001,),
    }
    values = with_slots({**shapes, **logits})
    path = write(tmp_path / "classifier", values, writer)

    config = text_format.Parse(
        f"""type: '{kind}' override_base_feature_extractor_hyperparams: true
        conv_hyperparams {{ batch_norm {{ scale: true }}
          initializer {{ truncated_normal_initializer {{}} }} }}""",
        ssd_pb2.SsdFeatureExtractor(),
    )
    extractor = feature_extractor_builder.build(config, True)
    variables = naming.checkpoint_variables(extractor)
    report = start(variables, path, "fine_tune_checkpoint_type: ''")
    assert set(report.matched.values()) == set(shapes)
    assert report.mismatched == {}
    extra = re.compile("_[12]_Conv2d_[2-5]_|/Base_Conv2d_1x1_1024/")
    assert all(extra.search(name) for name in report.missing)
    assert bool(report.missing) == (kind != "ssd_mobilenet_v1_ppn")
    assert_taken(variables, report, values)
