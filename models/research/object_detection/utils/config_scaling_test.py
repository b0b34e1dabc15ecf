import pathlib

import pytest
from google.protobuf import text_format

from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_scaling, config_util

SSD320 = pathlib.Path(__file__).parents[4] / "configs/ssd320_full_1gpus.config"
COSINE = (
    "momentum_optimizer { learning_rate { cosine_decay_learning_rate { "
    "learning_rate_base: 0.02 warmup_learning_rate: 0.005 } } }"
)
MANUAL = (
    "rms_prop_optimizer { learning_rate { manual_step_learning_rate { "
    "initial_learning_rate: 0.5 schedule { step: 3 learning_rate: 0.25 } "
    "schedule { step: 9 learning_rate: 0.125 } } } }"
)
EXPONENTIAL = (
    "momentum_optimizer { learning_rate { exponential_decay_learning_rate { "
    "initial_learning_rate: 0.5 burnin_learning_rate: 0.25 } } }"
)
CONSTANT = "adam_optimizer { learning_rate { constant_learning_rate {} } }"


@pytest.fixture
def ssd320():
    return config_util.read_pipeline_config(SSD320)


def with_optimizer(text):
    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse(text, pipeline.train_config.optimizer)
    return pipeline


def error_of(function, pipeline, value):
    with pytest.raises(errors.ConfigError) as info:
        function(pipeline, value)
    return str(info.value)


@pytest.mark.parametrize(
    ("value", "expected"), [("16", 16), (2.6, 3), (0.2, 1), (-4, 1)]
)
def test_batch_size_is_rounded_and_at_least_1(ssd320, value, expected):
    config_scaling.set_batch_size(ssd320, value)
    assert ssd320.train_config.batch_size == expected


def test_cosine_keeps_the_ratio_of_its_warmup():
    pipeline = with_optimizer(COSINE)
    config_scaling.set_learning_rate(pipeline, "0.08")
    momentum = pipeline.train_config.optimizer.momentum_optimizer
    cosine = momentum.learning_rate.cosine_decay_learning_rate
    assert cosine.learning_rate_base == pytest.approx(0.08)
    assert cosine.warmup_learning_rate == pytest.approx(0.02)


def test_a_share_of_a_rate_is_no_rate():
    shares = "end_learning_rate_ratio: 0.25 warmup_epochs: 2"
    pipeline = with_optimizer(COSINE.replace("0.005", f"0.005 {shares}"))
    momentum = pipeline.train_config.optimizer.momentum_optimizer
    cosine = momentum.learning_rate.cosine_decay_learning_rate
    config_scaling.scale_learning_rates(pipeline.train_config, 8)
    assert cosine.learning_rate_base == pytest.approx(0.16)
    assert cosine.warmup_learning_rate == pytest.approx(0.04)
    config_scaling.set_learning_rate(pipeline, 0.08)
    assert cosine.warmup_learning_rate == pytest.approx(0.02)
    assert cosine.end_learning_rate_ratio == 0.25
    assert (cosine.warmup_epochs, cosine.total_steps) == (2, 4_000_000)


def test_manual_steps_with_a_warmup_are_scaled_by_their_rates_alone():
    pipeline = with_optimizer(
        MANUAL.replace("step: 3", "epoch: 3").replace(
            "0.5", "0.5 warmup_steps: 7"
        )
    )
    rms_prop = pipeline.train_config.optimizer.rms_prop_optimizer
    manual = rms_prop.learning_rate.manual_step_learning_rate
    config_scaling.scale_learning_rates(pipeline.train_config, 4)
    assert (manual.warmup_steps, manual.schedule[0].epoch) == (7, 3)
    assert manual.initial_learning_rate == 2.0
    assert [s.learning_rate for s in manual.schedule] == [1.0, 0.5]


def test_manual_steps_keep_their_ratio():
    pipeline = with_optimizer(MANUAL)
    config_scaling.set_learning_rate(pipeline, 0.125)
    rms_prop = pipeline.train_config.optimizer.rms_prop_optimizer
    manual = rms_prop.learning_rate.manual_step_learning_rate
    assert manual.initial_learning_rate == 0.125
    assert [(s.step, s.learning_rate) for s in manual.schedule] == [
        (3, 0.0625),
        (9, 0.03125),
    ]


def test_exponential_keeps_its_burnin():
    pipeline = with_optimizer(EXPONENTIAL)
    config_scaling.set_learning_rate(pipeline, 0.125)
    momentum = pipeline.train_config.optimizer.momentum_optimizer
    exponential = momentum.learning_rate.exponential_decay_learning_rate
    assert exponential.initial_learning_rate == 0.125
    assert exponential.burnin_learning_rate == 0.25


def test_constant_rate():
    pipeline = with_optimizer(CONSTANT)
    config_scaling.set_learning_rate(pipeline, 0.125)
    adam = pipeline.train_config.optimizer.adam_optimizer
    assert adam.learning_rate.constant_learning_rate.learning_rate == 0.125


@pytest.mark.parametrize(
    ("value", "expected"), [("0.75", 0.75), (1.5, 1.0), (-0.5, 0.0)]
)
def test_momentum_is_clamped(ssd320, value, expected):
    config_scaling.set_momentum(ssd320, value)
    momentum = ssd320.train_config.optimizer.momentum_optimizer
    assert momentum.momentum_optimizer_value == expected


def test_losses(ssd320):
    loss = ssd320.model.ssd.loss
    loss.localization_weight = 3.0
    config_scaling.set_loss_weight_ratio(ssd320, "2.5")
    assert (loss.localization_weight, loss.classification_weight) == (1.0, 2.5)
    config_scaling.set_focal_loss_gamma(ssd320, "1.5")
    config_scaling.set_focal_loss_alpha(ssd320, 0.75)
    focal = loss.classification_loss.weighted_sigmoid_focal
    assert (focal.gamma, focal.alpha) == (1.5, 0.75)


def test_load_pretrained(ssd320):
    path = ssd320.train_config.fine_tune_checkpoint
    config_scaling.set_load_pretrained(ssd320, "true")
    assert ssd320.train_config.fine_tune_checkpoint == path != ""
    config_scaling.set_load_pretrained(ssd320, False)
    assert ssd320.train_config.fine_tune_checkpoint == ""
    assert error_of(
        config_scaling.set_load_pretrained, ssd320, "maybe"
    ).startswith("load_pretrained: expected true or false")


def test_what_the_config_has_no_place_for():
    set_rate = config_scaling.set_learning_rate
    empty = pipeline_pb2.TrainEvalPipelineConfig()
    assert "train_config has no optimizer" in error_of(set_rate, empty, 1)
    assert "has no learning rate schedule" in error_of(
        set_rate, with_optimizer("momentum_optimizer {}"), 1
    )
    zero = with_optimizer(COSINE.replace("0.02", "0"))
    assert "the config's rate is 0" in error_of(set_rate, zero, 1)
    assert error_of(
        config_scaling.set_momentum, with_optimizer(CONSTANT), 0.5
    ) == ("momentum_optimizer_value: AdamOptimizer has no momentum")
    empty.model.faster_rcnn.num_classes = 3
    assert "needs an ssd model, got faster_rcnn" in error_of(
        config_scaling.set_loss_weight_ratio, empty, 2
    )


@pytest.mark.parametrize("value", ["x", "nan", "inf", None, "", [1]])
def test_not_a_number(ssd320, value):
    for function in (
        config_scaling.set_batch_size,
        config_scaling.set_learning_rate,
        config_scaling.set_focal_loss_gamma,
    ):
        assert "expected a number, got" in error_of(function, ssd320, value)


def test_focal_keys_need_a_focal_loss(ssd320):
    loss = ssd320.model.ssd.loss.classification_loss
    loss.weighted_softmax.SetInParent()
    assert error_of(config_scaling.set_focal_loss_alpha, ssd320, 0.5) == (
        "focal_loss_alpha: the classification loss is weighted_softmax, not "
        "weighted_sigmoid_focal"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COSINE, {"learning_rate_base": 0.06, "warmup_learning_rate": 0.015}),
        (CONSTANT, {"learning_rate": 0.006}),
        (
            EXPONENTIAL,
            {"initial_learning_rate": 1.5, "burnin_learning_rate": 0.75},
        ),
        (MANUAL, {"initial_learning_rate": 1.5}),
    ],
)
def test_every_rate_is_scaled(text, expected):
    pipeline = with_optimizer(text)
    config_scaling.scale_learning_rates(pipeline.train_config, 3)
    optimizer = pipeline.train_config.optimizer
    of_kind = getattr(optimizer, optimizer.WhichOneof("optimizer"))
    rate = of_kind.learning_rate
    schedule = getattr(rate, rate.WhichOneof("learning_rate"))
    for name, value in expected.items():
        assert getattr(schedule, name) == pytest.approx(value)
    if text == MANUAL:
        rates = [step.learning_rate for step in schedule.schedule]
        assert rates == [0.75, 0.375]
        assert [step.step for step in schedule.schedule] == [3, 9]
