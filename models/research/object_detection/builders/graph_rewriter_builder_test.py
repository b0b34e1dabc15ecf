"""Tests of each field's way from the config to the quantization."""

import pytest
from google.protobuf import text_format

from object_detection.builders import graph_rewriter_builder
from object_detection.core import errors
from object_detection.protos import graph_rewriter_pb2


def build(text):
    return graph_rewriter_builder.build(
        text_format.Parse(text, graph_rewriter_pb2.GraphRewriter())
    )


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("quantization {}", 500000),
        ("quantization { delay: 0 }", 0),
        ("quantization { delay: 7 weight_bits: 8 activation_bits: 8 }", 7),
    ],
)
def test_delay(text, delay):
    settings = build(text)
    assert settings.delay == delay
    assert int(settings.step.value) == 0
    assert not settings.step.trainable


def test_without_quantization_it_has_no_effect(caplog):
    assert build("") is None
    assert "graph_rewriter: has no effect" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("weight_bits: 4", "weight_bits: expected 8, got 4"),
        ("activation_bits: 16", "activation_bits: expected 8, got 16"),
        ("delay: -1", "delay: expected 0 or more training steps, got -1"),
    ],
)
def test_what_cannot_work_names_its_field(text, message):
    with pytest.raises(errors.ConfigError) as info:
        build(f"quantization {{ {text} }}")
    assert str(info.value).startswith(f"graph_rewriter.quantization.{message}")
