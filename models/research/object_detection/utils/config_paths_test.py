import pytest

from object_detection.core import errors
from object_detection.protos import image_resizer_pb2, pipeline_pb2
from object_detection.utils import config_paths


@pytest.fixture
def pipeline():
    message = pipeline_pb2.TrainEvalPipelineConfig()
    message.model.ssd.num_classes = 90
    message.model.ssd.image_resizer.fixed_shape_resizer.height = 320
    for minimum in (0.25, 0.75):
        option = message.train_config.data_augmentation_options.add()
        option.random_crop_image.min_area = minimum
    message.eval_input_reader.add(name="a")
    message.eval_input_reader.add(name="b")
    return message


def error_of(pipeline, path, value):
    with pytest.raises(errors.ConfigError) as info:
        config_paths.set_by_path(pipeline, path, value)
    assert str(info.value).startswith(path)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("train_config.batch_size", "16", 16),
        ("train_config.batch_size", 16, 16),
        ("train_config.batch_size", "4294967295", 4294967295),
        ("model.ssd.num_classes", " -3 ", -3),
        ("model.ssd.loss.localization_weight", "2", 2.0),
        ("model.ssd.loss.localization_weight", "1e-3", pytest.approx(1e-3)),
        ("model.ssd.loss.localization_weight", ".5", 0.5),
        ("model.ssd.freeze_batchnorm", "true", True),
        ("model.ssd.freeze_batchnorm", "False", False),
        ("model.ssd.freeze_batchnorm", "1", True),
        ("model.ssd.freeze_batchnorm", True, True),
        ("train_config.fine_tune_checkpoint", "/a/b's/c", "/a/b's/c"),
        ("train_config.fine_tune_checkpoint", "'/a,b'", "/a,b"),
        ("train_config.fine_tune_checkpoint", "", ""),
        ("model.ssd.post_processing.score_converter", "SOFTMAX", 2),
        ("model.ssd.post_processing.score_converter", "1", 1),
        ("train_config.freeze_variables", "[a, 'b,c']", ["a", "b,c"]),
        ("train_config.freeze_variables", ["x"], ["x"]),
        ("train_config.freeze_variables", "[]", []),
        ("train_config.freeze_variables", "solo", ["solo"]),
    ],
)
def test_values(pipeline, path, value, expected):
    config_paths.set_by_path(pipeline, path, value)
    found = pipeline
    for name in path.split("."):
        found = getattr(found, name)
    assert found == expected
    *parents, last = path.split(".")
    parent = pipeline
    for name in parents:
        parent = getattr(parent, name)
    field = parent.DESCRIPTOR.fields_by_name[last]
    assert field.label == field.LABEL_REPEATED or parent.HasField(last)


def test_lists_of_numbers_replace(pipeline):
    path = (
        "model.ssd.anchor_generator.multiscale_anchor_generator.aspect_ratios"
    )
    for value in ("[1, 2.5]", [3.0]):
        config_paths.set_by_path(pipeline, path, value)
    generator = pipeline.model.ssd.anchor_generator
    assert generator.multiscale_anchor_generator.aspect_ratios == [3.0]
    config_paths.set_by_path(pipeline, f"{path}[0]", "0.5")
    assert generator.multiscale_anchor_generator.aspect_ratios == [0.5]


def test_entries_by_index_and_star(pipeline):
    option = "train_config.data_augmentation_options"
    config_paths.set_by_path(
        pipeline, f"{option}[1].random_crop_image.min_area", "0.5"
    )
    areas = [
        step.random_crop_image.min_area
        for step in pipeline.train_config.data_augmentation_options
    ]
    assert areas == [0.25, 0.5]
    config_paths.set_by_path(pipeline, "eval_input_reader[*].shuffle", "false")
    assert [r.shuffle for r in pipeline.eval_input_reader] == [False, False]
    assert all(r.HasField("shuffle") for r in pipeline.eval_input_reader)


def test_message_value_replaces_the_message(pipeline):
    config_paths.set_by_path(
        pipeline,
        "model.ssd.image_resizer.fixed_shape_resizer",
        "{ width: 200 }",
    )
    assert pipeline.model.ssd.image_resizer.fixed_shape_resizer == (
        image_resizer_pb2.FixedShapeResizer(width=200)
    )
    config_paths.set_by_path(
        pipeline, "eval_input_reader[0]", "{ name: 'c', shuffle: false }"
    )
    assert [r.name for r in pipeline.eval_input_reader] == ["c", "b"]


def test_all_entries_of_a_repeated_message(pipeline):
    path = "eval_input_reader"
    config_paths.set_by_path(
        pipeline, path, "[{ name: 'c,d' shuffle: false }, {}, { name: 'e' }]"
    )
    assert [r.name for r in pipeline.eval_input_reader] == ["c,d", "", "e"]
    assert [r.shuffle for r in pipeline.eval_input_reader] == [0, 1, 1]
    config_paths.set_by_path(pipeline, path, "{ name: 'f' }")
    assert [r.name for r in pipeline.eval_input_reader] == ["f"]
    config_paths.set_by_path(pipeline, path, "[]")
    assert not pipeline.eval_input_reader
    assert "no field 'nam'" in error_of(pipeline, path, "[{ nam: 'c' }]")


def test_empty_message_value_is_present(pipeline):
    config_paths.set_by_path(
        pipeline, "model.ssd.loss.localization_loss.weighted_l2", "{}"
    )
    loss = pipeline.model.ssd.loss.localization_loss
    assert loss.WhichOneof("localization_loss") == "weighted_l2"


def test_other_member_of_a_oneof_replaces_with_a_warning(pipeline, caplog):
    path = "model.ssd.image_resizer.keep_aspect_ratio_resizer.min_dimension"
    config_paths.set_by_path(pipeline, path, 64)
    resizer = pipeline.model.ssd.image_resizer
    assert resizer.WhichOneof("image_resizer_oneof") == (
        "keep_aspect_ratio_resizer"
    )
    assert caplog.messages == [f"{path}: replaces 'fixed_shape_resizer'"]
    caplog.clear()
    config_paths.set_by_path(pipeline, path, 65)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("train_config.batch_size", "1.5", "an integer from 0 to 4294967295"),
        ("train_config.batch_size", "-1", "an integer from 0 to"),
        ("train_config.batch_size", True, "an integer from 0 to"),
        ("train_config.batch_size", "", "got ''"),
        ("train_config.batch_size", None, "got None"),
        ("model.ssd.num_classes", "2147483648", "an integer from -2147483648"),
        ("model.ssd.freeze_batchnorm", "maybe", "true or false, got 'maybe'"),
        ("model.ssd.loss.localization_weight", "two", "a number, got 'two'"),
        ("model.ssd.loss.localization_weight", True, "a number, got True"),
        ("train_config.fine_tune_checkpoint", 3, "text in quotes, got 3"),
        (
            "model.ssd.post_processing.score_converter",
            "SIGMOD",
            "'SIGMOD' is not a value of ScoreConverter; did you mean 'SIGMOID'",
        ),
        ("train_config.freeze_variables", ["a", 3], "text in quotes, got 3"),
        (
            "train_config.bach_size",
            "3",
            "TrainConfig has no field 'bach_size'; did you mean 'batch_size'?",
        ),
        ("modle.ssd.num_classes", "3", "did you mean 'model'?"),
        ("train_config.batch_size.x", "3", "'batch_size' has no fields"),
        ("train_config.batch_size[0]", "3", "'batch_size' is not repeated"),
        ("train_config[0].batch_size", "3", "'train_config' is not repeated"),
        ("eval_input_reader.shuffle", "true", "has 2 entries, choose one as "),
        ("eval_input_reader[2].shuffle", "true", "has 2 entries"),
        ("eval_input_reader", "3", "is a repeated message; set the fields"),
        ("model.ssd", "3", "is a message, not a value; add a field name"),
        ("model.ssd", "{ num_clases: 3 }", "did you mean 'num_classes'?"),
        ("train_config..batch_size", "3", "'' is not a field name"),
        ("train_config.batch size", "3", "'batch size' is not a field name"),
    ],
)
def test_mistakes_name_the_path(pipeline, path, value, expected):
    assert expected in error_of(pipeline, path, value)


def test_split_top_level():
    split = config_paths.split_top_level
    assert split("a=1, b=[2,3],c={x: 1, y: 2}") == [
        "a=1",
        "b=[2,3]",
        "c={x: 1, y: 2}",
    ]
    assert split("a='x,y',b=/home/bob's/d,c=2") == [
        "a='x,y'",
        "b=/home/bob's/d",
        "c=2",
    ]
    assert split("") == [""]
    for text in ("a=[1,2", "a='x", "a=1]"):
        with pytest.raises(errors.ConfigError, match="is not closed"):
            split(text)
