"""Tests of each field's way from the config to the training options."""

import dataclasses
import logging

import pytest
from google.protobuf import text_format

from object_detection.builders import (
    feature_extractor_builder,
    train_options_builder,
)
from object_detection.core import errors
from object_detection.protos import train_pb2

OPTIMIZER = """optimizer { momentum_optimizer {
  learning_rate { constant_learning_rate { learning_rate: 0.5 } } } } """


def build(
    text="",
    compute_dtype="float32",
    allow_xla=False,
    feature_extractor_type="ssd_mobilenet_v2",
    **arguments,
):
    return train_options_builder.build(
        text_format.Parse(OPTIMIZER + text, train_pb2.TrainConfig()),
        compute_dtype,
        allow_xla,
        feature_extractor_type,
        **arguments,
    )


def test_defaults():
    options = build()
    assert options.clip_norm == 0
    assert options.bias_gradient_factor == 1
    assert options.add_regularization_loss
    assert options.update_patterns == options.freeze_patterns == ()
    assert options.fine_tune is None
    assert not options.use_loss_scale
    assert not options.jit_compile
    assert not options.summarize_gradients
    assert float(options.learning_rate(3)) == 0.5


def test_every_field_arrives():
    options = build(
        """gradient_clipping_by_norm: 2.5 add_regularization_loss: false
        update_trainable_variables: 'a' update_trainable_variables: 'b'
        freeze_variables: 'c' summarize_gradients: true
        bias_grad_multiplier: 2.5""",
        allow_xla=True,
    )
    assert options.clip_norm == 2.5
    assert not options.add_regularization_loss
    assert options.update_patterns == ("a", "b")
    assert options.freeze_patterns == ("c",)
    assert options.summarize_gradients
    assert options.bias_gradient_factor == 2.5
    assert options.jit_compile


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", False), ("bfloat16", False), ("float16", True)],
)
def test_float16_alone_scales_its_loss(dtype, expected):
    assert build(compute_dtype=dtype).use_loss_scale == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (2.0**15, False, 2000, 1)),
        (
            "initial_scale: 4294967296 growth_steps: 1000 "
            "overflows_before_shrink: 2",
            (2.0**32, False, 1000, 2),
        ),
        ("initial_scale: 1024 is_static: true", (1024.0, True, 2000, 1)),
    ],
)
def test_the_loss_scale_is_that_of_the_config(text, expected):
    scale = build(f"loss_scale {{ {text} }}", "float16").loss_scale
    assert dataclasses.astuple(scale) == expected
    assert dataclasses.astuple(build().loss_scale) == (2.0**15, False, 2000, 1)


def test_a_loss_scale_without_effect_is_said(caplog):
    with caplog.at_level(logging.INFO):
        assert not build("loss_scale {}", "bfloat16").use_loss_scale
        build("loss_scale {}", "float16")
        build()
    (record,) = caplog.records
    assert "train_config.loss_scale: has no effect in bfloat16" in (
        record.getMessage()
    )


@pytest.mark.parametrize("field", ["growth_steps", "overflows_before_shrink"])
def test_a_static_scale_takes_no_rule_of_change(field):
    with pytest.raises(
        errors.ConfigError, match=rf"^train_config\.loss_scale\.{field}: "
    ):
        build(f"loss_scale {{ is_static: true {field}: 3 }}")


def test_weight_decay():
    assert build().weight_decay == 0.0
    options = build(
        "weight_decay { weight: 0.25 exclude_variables: ['.*/biases', 'b'] }"
    )
    assert options.weight_decay == 0.25
    assert options.no_decay_patterns == (".*/biases", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "classification"),
        ("from_detection_checkpoint: true", "detection"),
        ("fine_tune_checkpoint_type: 'detection'", "detection"),
        (
            "from_detection_checkpoint: true "
            "fine_tune_checkpoint_type: 'classification'",
            "classification",
        ),
    ],
)
def test_the_newer_field_decides_the_type_of_checkpoint(text, expected):
    fine_tune = build("fine_tune_checkpoint: '/x/net.ckpt' " + text).fine_tune
    assert fine_tune.path == "/x/net.ckpt"
    assert fine_tune.checkpoint_type == expected
    assert not fine_tune.load_all_variables


def test_an_unknown_type_of_checkpoint_is_refused():
    with pytest.raises(
        errors.ConfigError,
        match="^train_config.fine_tune_checkpoint_type: .* mean 'detection'",
    ):
        build("fine_tune_checkpoint: 'x' fine_tune_checkpoint_type: 'detecton'")


@pytest.mark.parametrize("kind", feature_extractor_builder.types())
def test_one_backbone_starts_from_the_averages_in_its_checkpoint(kind):
    fine_tune = build(
        "fine_tune_checkpoint: 'x'", feature_extractor_type=kind
    ).fine_tune
    assert fine_tune.prefers_averages == (kind == "ssd_pnasnet")


def test_the_whole_detector_is_loaded_when_asked():
    assert build(
        "fine_tune_checkpoint: 'x' load_all_detection_checkpoint_vars: true"
    ).fine_tune.load_all_variables


@pytest.mark.parametrize("takes_bgr", [False, True])
def test_the_order_of_colours_arrives(takes_bgr):
    options = build("fine_tune_checkpoint: 'x.npz'", takes_bgr=takes_bgr)
    assert options.fine_tune.takes_bgr == takes_bgr
