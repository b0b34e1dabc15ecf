import logging

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import optimizer_builder
from object_detection.core import errors
from object_detection.protos import train_pb2
from object_detection.utils import epoch_steps

RATE = "train_config.optimizer.momentum_optimizer.learning_rate"
MANUAL = "manual_step_learning_rate"
COSINE = "cosine_decay_learning_rate"
SCHEDULE = """ initial_learning_rate: 0.8 warmup_steps: 300
  schedule { epoch: 43 learning_rate: 0.08 }
  schedule { epoch: 54 learning_rate: 0.008 } """


def make_config(text="", schedule=MANUAL, fields=SCHEDULE):
    return text_format.Parse(
        f"""{text} optimizer {{ momentum_optimizer {{ learning_rate {{
        {schedule} {{ {fields} }} }} }} use_moving_average: false }}""",
        train_pb2.TrainConfig(),
    )


def schedule_of(config):
    rate = config.optimizer.momentum_optimizer.learning_rate
    return getattr(rate, rate.WhichOneof("learning_rate"))


def resolve(config, batches_per_step=1, num_examples=None):
    def count():
        assert num_examples is not None, "counted in vain"
        return num_examples

    epoch_steps.resolve(config, batches_per_step, count)
    return config


def rates(config, *steps):
    built = optimizer_builder.build(config.optimizer)
    return np.asarray(built.learning_rate(np.array(steps)))


@pytest.mark.parametrize(
    ("num_examples", "batches_per_step", "batch_size", "expected"),
    [
        # MindSpore's SSD300 on eight devices.
        (117_266, 8, 32, 458),
        (117_266, 1, 32, 3664),
        (21_503, 1, 8, 2687),
        (31, 1, 32, 1),
        (64, 2, 32, 1),
    ],
)
def test_an_epoch_has_as_many_steps_as_full_batches(
    num_examples, batches_per_step, batch_size, expected
):
    text = f"examples_per_epoch: {num_examples} batch_size: {batch_size}"
    config = make_config(f"{text} num_epochs: 3")
    assert epoch_steps.steps_per_epoch(config, batches_per_step) == expected
    resolve(config, batches_per_step)
    assert config.num_steps == 3 * expected
    assert [s.step for s in schedule_of(config).schedule] == [
        43 * expected,
        54 * expected,
    ]


def test_what_is_saved_of_a_config_gives_the_same_without_the_data(caplog):
    config = make_config("num_epochs: 2.5 batch_size: 4")
    with caplog.at_level(logging.INFO):
        resolve(config, num_examples=39)
    assert "39 examples, 9 steps an epoch, 22 steps" in caplog.text
    assert config.examples_per_epoch == 39
    assert not config.HasField("num_epochs")
    assert not schedule_of(config).schedule[0].HasField("epoch")
    again = type(config).FromString(config.SerializeToString())
    # No epoch is left, so that nothing is counted.
    assert resolve(again, batches_per_step=7) == config


def test_examples_are_not_counted_without_epochs():
    fields = "initial_learning_rate: 0.5 schedule { step: 7 }"
    config = make_config("num_steps: 9", fields=fields)
    assert resolve(make_config("num_steps: 9", fields=fields)) == config
    # Nor where there is no optimizer yet, or no schedule.
    resolve(train_pb2.TrainConfig())
    text = "optimizer { adam_optimizer {} }"
    resolve(text_format.Parse(text, train_pb2.TrainConfig()))


def test_a_number_of_steps_wins(caplog):
    config = make_config("num_steps: 11 num_epochs: 5 examples_per_epoch: 64")
    resolve(config)
    assert config.num_steps == 11
    assert not config.HasField("num_epochs")
    assert "train_config.num_epochs: 5 has no effect" in caplog.text
    # The schedule stays in epochs.
    assert schedule_of(config).schedule[0].step == 2 * 43


def test_an_epoch_is_known_where_a_number_of_steps_wins():
    fields = "initial_learning_rate: 0.5 schedule { step: 7 }"
    config = make_config(
        "num_steps: 11 num_epochs: 5 batch_size: 4", fields=fields
    )
    resolve(config, num_examples=39)
    assert (config.num_steps, config.examples_per_epoch) == (11, 39)
    assert epoch_steps.steps_per_epoch(config, 2) == 4


def test_an_epoch_of_no_example_is_refused():
    with pytest.raises(errors.DataError, match="train_input_reader: .* no ex"):
        resolve(make_config("num_epochs: 2"), num_examples=0)
    with pytest.raises(ValueError, match="examples_per_epoch is not known"):
        epoch_steps.steps_per_epoch(make_config("num_steps: 3"), 1)


def test_a_cosine_in_epochs():
    config = make_config(
        "examples_per_epoch: 117266 num_epochs: 500 batch_size: 32",
        COSINE,
        "total_epochs: 500 warmup_epochs: 2 learning_rate_base: 0.05",
    )
    cosine = schedule_of(resolve(config, 8))
    assert config.num_steps == cosine.total_steps == 500 * 458
    assert cosine.warmup_steps == 2 * 458
    config = make_config(
        "examples_per_epoch: 320", COSINE, "total_epochs: 3 warmup_epochs: 0"
    )
    cosine = schedule_of(resolve(config))
    assert (cosine.total_steps, cosine.warmup_steps) == (30, 0)
    # Not the default, which is for the original's configs.
    assert cosine.HasField("warmup_steps")


@pytest.mark.parametrize(
    ("text", "schedule", "fields", "message"),
    [
        ("num_epochs: 0", MANUAL, "", "train_config.num_epochs: .* above 0"),
        ("num_epochs: -1", MANUAL, "", "train_config.num_epochs: .* got -1"),
        ("num_epochs: inf", MANUAL, "", "train_config.num_epochs: .* got inf"),
        ("num_epochs: nan", MANUAL, "", "train_config.num_epochs: .* got nan"),
        (
            "num_epochs: 1e12",
            MANUAL,
            "",
            "train_config.num_epochs: 1e[+]12 epochs of 2 steps are more than",
        ),
        (
            "",
            MANUAL,
            "schedule { step: 3 } schedule { epoch: 4 step: 9 }",
            rf"{RATE}.{MANUAL}.schedule\[1\].epoch: .* step, .* 9; remove",
        ),
        (
            "",
            COSINE,
            "total_epochs: 4 total_steps: 9",
            f"{RATE}.{COSINE}.total_epochs: .* total_steps, .* 9; remove",
        ),
        (
            "",
            COSINE,
            "warmup_epochs: 4 warmup_steps: 9",
            f"{RATE}.{COSINE}.warmup_epochs: .* warmup_steps, .* 9; remove",
        ),
        (
            "",
            COSINE,
            "warmup_epochs: -1",
            f"{RATE}.{COSINE}.warmup_epochs: .* from 0 up, got -1",
        ),
    ],
)
def test_what_cannot_be_is_refused(text, schedule, fields, message):
    config = make_config(f"{text} examples_per_epoch: 64", schedule, fields)
    with pytest.raises(errors.ConfigError, match=f"^{message}"):
        resolve(config)


def test_the_rates_of_ssd_vgg():
    config = make_config(
        schedule=MANUAL,
        fields="""initial_learning_rate: 0.00075
        schedule { step: 320001 learning_rate: 0.0001 }
        schedule { step: 400001 learning_rate: 0.00001 }""",
    )
    np.testing.assert_allclose(
        rates(config, 1, 320_000, 320_001, 400_000, 400_001, 537_600),
        [0.00075, 0.00075, 0.0001, 0.0001, 0.00001, 0.00001],
    )


def test_the_rates_of_mindspores_ssd300():
    config = make_config(
        "examples_per_epoch: 117266 num_epochs: 500 batch_size: 32",
        COSINE,
        """learning_rate_base: 0.05 warmup_learning_rate: 0.001
        total_epochs: 500 warmup_epochs: 2 end_learning_rate_ratio: 0.001""",
    )
    resolve(config, 8)
    warmup, total, base = 2 * 458, 500 * 458, 0.05
    assert config.num_steps == total
    steps = np.array([0, 1, 500, warmup - 1, warmup, 100_000, total - 1, total])
    end = 0.001 * base
    expected = np.where(
        steps < warmup,
        0.001 + (base - 0.001) * steps / warmup,
        end
        + (base - end)
        * (1 + np.cos(np.pi * (steps - warmup) / (total - warmup)))
        / 2,
    )
    np.testing.assert_allclose(rates(config, *steps), expected, rtol=2e-5)
    assert expected[0] == 0.001 and expected[4] == base
    # It stays there.
    np.testing.assert_allclose(rates(config, total + 999), end, rtol=1e-6)


def test_the_rates_of_nvidias_ssd300():
    num_processes, batch_size, warmup = 8, 64, 300
    base = 2.6e-3 * num_processes * batch_size / 32
    config = make_config(
        f"examples_per_epoch: 118287 num_epochs: 65 batch_size: {batch_size}",
        fields=f"""initial_learning_rate: {base} warmup_steps: {warmup}
        schedule {{ epoch: 43 learning_rate: {base / 10} }}
        schedule {{ epoch: 54 learning_rate: {base / 100} }}""",
    )
    resolve(config, num_processes)
    epoch = 118_287 // (8 * 64)
    assert (epoch, config.num_steps) == (231, 65 * 231)
    reached = base * (warmup - 1) / warmup
    np.testing.assert_allclose(
        rates(config, 0, 1, 150, 298, 299, 300, 43 * epoch - 1),
        [0, base / warmup, base / 2, base * 298 / 300, *[reached] * 3],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        rates(config, 43 * epoch, 54 * epoch - 1, 54 * epoch, 65 * epoch),
        [reached / 10, reached / 10, reached / 100, reached / 100],
        rtol=1e-6,
    )
