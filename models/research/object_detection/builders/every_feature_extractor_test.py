"""Holds what is true of every feature extractor, whatever its network is.

Each has one row in `expected_extractors`: a type without a row fails.
"""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import feature_extractor_builder
from object_detection.builders.expected_extractors import EXPECTED
from object_detection.core import naming
from object_detection.protos import pipeline_pb2, ssd_pb2

GOLDEN = pathlib.Path(__file__).resolve().parents[4] / "qa/parity/testdata"

TYPES = feature_extractor_builder.types()
SLOW = {
    "ssd300_resnet50",
    "ssd300_vgg16",
    "ssd512_vgg16",
    "ssd_inception_v3",
    "ssd_pnasnet",
}
DEEP = ("101", "152")
# The deep ones differ from ssd_resnet50 in a number alone.
COMPUTED = [
    pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind
    for kind in TYPES
    if not any(depth in kind for depth in ("34", "101", "152"))
]


def build(kind, extra="", **arguments):
    config = text_format.Parse(
        f"type: '{kind}' {EXPECTED[kind].hyperparams} "
        f"{EXPECTED[kind].options} {extra}",
        ssd_pb2.SsdFeatureExtractor(),
    )
    return feature_extractor_builder.build(config, True, **arguments)


def build_small(kind, **arguments):
    multiplier = EXPECTED[kind].least_multiplier
    return build(kind, f"depth_multiplier: {multiplier}", **arguments)


def images(kind):
    size = EXPECTED[kind].image_size_px
    return np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype("f4")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow)
        if any(depth in kind for depth in DEEP)
        else kind
        for kind in TYPES
    ],
)
def test_shapes_and_names(kind):
    expected = EXPECTED[kind]
    extractor = build(kind)
    maps = extractor.compute_output_spec(
        keras.KerasTensor((2, *expected.image_size_px, 3)), training=False
    )
    assert [tuple(m.shape[1:]) for m in maps] == expected.maps
    assert extractor.feature_map_channels == [m[2] for m in expected.maps]
    names = naming.checkpoint_variables(extractor)
    assert len(names) == expected.num_variables
    stems = {name.split("/", 2)[2] for name in names}
    assert set(expected.names) <= stems


@pytest.mark.parametrize("kind", COMPUTED)
def test_a_train_step_reaches_every_variable(kind):
    """Each map sends a gradient to the weights it comes from."""
    extractor = build_small(kind)
    with tf.GradientTape() as tape:
        maps = extractor(images(kind), training=True)
        loss = sum(tf.reduce_mean(tf.square(m)) for m in maps)
    variables = naming.checkpoint_variables(extractor)
    trained = {n: v for n, v in variables.items() if v.trainable}
    grads = tape.gradient(loss, [v.value for v in trained.values()])
    unused = {name for name, g in zip(trained, grads, strict=True) if g is None}
    # Only what lies behind the last endpoint may be without one.
    assert len(unused) < len(trained) / 4
    if not kind.endswith("_ppn"):
        assert not unused
    assert all(np.isfinite(g).all() for g in grads if g is not None)
    moved = [n for n in variables if n.endswith("moving_mean")]
    assert moved or "vgg16" in kind
    assert all(np.any(np.asarray(variables[n].value)) for n in moved)


@pytest.mark.parametrize("kind", COMPUTED)
def test_mixed_precision_is_close_to_full_precision(kind):
    keras.utils.set_random_seed(1)
    full = build_small(kind)
    mixed = build_small(kind, dtype_policy="mixed_bfloat16")
    assert {v.dtype for v in mixed.variables} == {"float32"}
    for own, other in zip(mixed.variables, full.variables, strict=True):
        own.assign(other)
    for found, expected in zip(
        mixed(images(kind)), full(images(kind)), strict=True
    ):
        assert found.dtype == tf.bfloat16
        pair = np.stack(
            [np.ravel(tf.cast(m, "float64")) for m in (found, expected)]
        )
        assert np.all(np.any(pair, axis=1))
        lengths = np.linalg.norm(pair, axis=1)
        cosine = np.prod(pair / lengths[:, None], axis=0).sum()
        # Rounding to 8 bits in each of 15 to 100 layers with random weights.
        assert cosine > 0.97


@pytest.mark.parametrize(
    "name", [p.parent.name for p in sorted(GOLDEN.glob("*/variables.json"))]
)
def test_recorded_names_and_shapes_are_all_there(name):
    """The original's own listings, where there is one."""
    config = text_format.Parse(
        (GOLDEN / name / "pipeline.config").read_text(),
        pipeline_pb2.TrainEvalPipelineConfig(),
    ).model.ssd.feature_extractor
    extractor = feature_extractor_builder.build(config, True)
    expected = json.loads((GOLDEN / name / "variables.json").read_text())
    found = naming.checkpoint_variables(extractor)
    assert {n: list(v.shape) for n, v in found.items()} == {
        n: shape
        for n, shape in expected.items()
        if n.startswith("FeatureExtractor/")
    }
