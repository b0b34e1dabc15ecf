import pytest

from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util, eval_readers


def make_configs(*names):
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    pipeline.model.ssd.num_classes = 2
    pipeline.train_input_reader.tf_record_input_reader.SetInParent()
    for number, name in enumerate(names):
        reader = pipeline.eval_input_reader.add(name=name)
        reader.sample_1_of_n_examples = 10 + number
    return config_util.get_configs_from_pipeline_proto(pipeline)


def build(configs, *names, sample_1_of_n=None):
    return eval_readers.build(
        configs, names or [eval_readers.VALIDATION], sample_1_of_n, 5
    )


def refusal(function, *arguments):
    with pytest.raises(errors.ConfigError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "directories"),
    [
        ([""], ["eval"]),
        (["day"], ["eval"]),
        (["", "night"], ["eval", "eval_night"]),
        (["day", "night"], ["eval", "eval_night"]),
        (["", "", ""], ["eval", "eval_1", "eval_2"]),
        (["a", "../../etc/x y\n"], ["eval", "eval_.._.._etc_x_y_"]),
        (["", "x" * 5000], ["eval", "eval_" + "x" * 100]),
    ],
)
def test_directories(names, directories):
    assert list(build(make_configs(*names))) == directories


def test_readers_keep_their_order_path_and_fields():
    configs = make_configs("day", "night")
    readers = build(configs)
    assert [reader.path for reader in readers.values()] == [
        "eval_input_reader[0]",
        "eval_input_reader[1]",
    ]
    assert [
        reader.config.sample_1_of_n_examples for reader in readers.values()
    ] == [10, 11]
    sampled = build(configs, sample_1_of_n=3)
    assert [
        reader.config.sample_1_of_n_examples for reader in sampled.values()
    ] == [3, 3]
    assert configs["eval_input_configs"][1].sample_1_of_n_examples == 11


def test_names_that_would_mix_results_are_refused():
    assert refusal(build, make_configs("a", "b", "a")).startswith(
        "eval_input_reader[2].name: 'a' is the name of eval_input_reader[0]"
    )
    assert refusal(build, make_configs("", "a/b", "a b")).startswith(
        "eval_input_reader[2].name: 'a b' would write its results to "
        "'eval_a_b', as eval_input_reader[1] does"
    )
    assert refusal(build, make_configs("", "2", "")).startswith(
        "eval_input_reader[2].name: '' would write its results to 'eval_2'"
    )
    assert "as --eval_training_data does" in refusal(
        build, make_configs("", "training_data")
    )


def test_the_training_set():
    configs = make_configs("a", "b")
    (reader,) = build(configs, eval_readers.TRAINING).values()
    assert reader.path == "train_input_reader"
    assert reader.config.sample_1_of_n_examples == 5
    assert list(build(configs, "eval", "eval_training_data")) == [
        "eval",
        "eval_b",
        "eval_training_data",
    ]
    configs["train_input_config"].Clear()
    assert refusal(build, configs, eval_readers.TRAINING).startswith(
        "train_input_reader: is not set"
    )


def test_every_label_map_is_checked(tmp_path):
    two, three = tmp_path / "two", tmp_path / "three"
    two.write_text("item { id: 1 name: 'a' } item { id: 2 name: 'b' }")
    three.write_text(two.read_text() + "item { id: 3 name: 'c' }")
    configs = make_configs("", "other")
    first, second = configs["eval_input_configs"]

    def check(is_training=True):
        eval_readers.check_label_maps(configs, build(configs), is_training)

    first.label_map_path = str(two)
    assert refusal(check).startswith(
        "eval_input_reader[1].label_map_path: is missing"
    )
    second.label_map_path = str(three)
    message = refusal(check)
    assert message.startswith(f"eval_input_reader[1].label_map_path: {three}")
    assert "num_classes is 2" in message
    second.label_map_path = str(two)
    check()  # Records of the training set may number their classes.
    configs["train_input_config"].label_map_path = str(three)
    assert refusal(check).startswith("train_input_reader.label_map_path: ")
    check(is_training=False)
