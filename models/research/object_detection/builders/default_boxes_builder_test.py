"""The default boxes of other systems, against their own formulas."""

import itertools

import numpy as np
import pytest
from google.protobuf import text_format

from object_detection.builders import anchor_generator_builder
from object_detection.core import box_ops, errors
from object_detection.protos import anchor_generator_pb2

PATH = "model.ssd.anchor_generator.default_box_generator"
NARROW, WIDE = (2, 0.5), (2, 3, 0.5, 1 / 3)


def build(fields):
    text = f"default_box_generator {{ {fields} }}"
    config = text_format.Parse(text, anchor_generator_pb2.AnchorGenerator())
    return anchor_generator_builder.build(config)


def level(scale, ratios, step=None):
    step = "" if step is None else f"step_px: {step}"
    return f"level {{ scale: {scale} aspect_ratio: {list(ratios)} {step} }} "


def generate(fields, sides, image_px):
    """Returns the generator and (cx, cy, w, h) of its boxes."""
    generator = build(fields)
    anchors = generator.generate(
        [(side, side) for side in sides], (image_px, image_px)
    )
    boxes = np.asarray(box_ops.yxyx_to_cyxhw(anchors))
    return generator, boxes[:, [1, 0, 3, 2]]


def counts(generator, sides):
    return [
        side**2 * num_boxes
        for side, num_boxes in zip(
            sides, generator.num_anchors_per_location, strict=True
        )
    ]


VGG = {
    300: dict(
        sides=(38, 19, 10, 5, 3, 1),
        scales=(0.1, 0.2, 0.375, 0.55, 0.725, 0.9),
        extra=1.075,
        counts=[5776, 2166, 600, 150, 36, 4],
        last=0.9836,
    ),
    512: dict(
        sides=(64, 32, 16, 8, 4, 2, 1),
        scales=(0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9),
        extra=1.05,
        counts=[16384, 6144, 1536, 384, 96, 16, 4],
        last=np.sqrt(0.9 * 1.05),
    ),
}


def vgg_ratios(num_maps):
    narrow = {0, num_maps - 2, num_maps - 1}
    return [NARROW if i in narrow else WIDE for i in range(num_maps)]


def vgg_fields(preset):
    ratios = vgg_ratios(len(preset["sides"]))
    levels = map(level, preset["scales"], ratios)
    return (
        "".join(levels)
        + f"extra_scale: {preset['extra']} box_order: SHAPE_MAJOR"
    )


def vgg_reference(preset):
    boxes = []
    scales = [*preset["scales"], preset["extra"]]
    ratios = vgg_ratios(len(preset["sides"]))
    for k, side in enumerate(preset["sides"]):
        s = scales[k]
        shapes = [(s, s)]
        shapes += [(s * a**0.5, s / a**0.5) for a in ratios[k]]
        shapes += [((s * scales[k + 1]) ** 0.5,) * 2]
        for (w, h), j, i in itertools.product(shapes, range(side), range(side)):
            boxes.append(((i + 0.5) / side, (j + 0.5) / side, w, h))
    return boxes


@pytest.mark.parametrize("image_px", VGG)
def test_vgg_16(image_px):
    preset = VGG[image_px]
    sides = preset["sides"]
    generator, boxes = generate(vgg_fields(preset), sides, image_px)
    assert generator.is_shape_major
    assert counts(generator, sides) == preset["counts"]
    np.testing.assert_allclose(boxes, vgg_reference(preset), atol=1e-6)
    scale, center = preset["scales"][0], 0.5 / sides[0]
    close = pytest.approx
    assert boxes[0].tolist() == close([center, center, scale, scale], abs=1e-6)
    last = preset["last"]
    assert boxes[-1].tolist() == close([0.5, 0.5, last, last], abs=1e-4)
    # The column runs fastest, then the row, then the shape.
    assert boxes[1].tolist() == close([3 * center, center, scale, scale])
    assert boxes[sides[0]].tolist() == close([center, 3 * center, scale, scale])
    assert boxes[sides[0] ** 2, 2:].tolist() == close(
        [scale * 2**0.5, scale / 2**0.5]
    )


def test_the_first_and_the_last_box_of_vgg_300():
    _, boxes = generate(vgg_fields(VGG[300]), VGG[300]["sides"], 300)
    np.testing.assert_allclose(
        boxes[[0, -1]],
        [[0.01316, 0.01316, 0.1, 0.1], [0.5, 0.5, 0.9836, 0.9836]],
        atol=5e-5,
    )
    assert len(boxes) == 8732


MOBILENET_SIDES = (19, 10, 5, 3, 2, 1)
MOBILENET_STEPS = (16, 32, 64, 100, 150, 300)


def mobilenet_fields():
    scales = [0.2 + 0.15 * k for k in range(6)]
    first = (
        f"level {{ step_px: {MOBILENET_STEPS[0]} shape {{ scale: 0.1 }} "
        "shape { scale: 0.2 aspect_ratio: 2 } "
        "shape { scale: 0.2 aspect_ratio: 0.5 } } "
    )
    levels = [
        level(scale, (2, 0.5, 3, 1 / 3), step)
        for scale, step in zip(scales[1:], MOBILENET_STEPS[1:], strict=True)
    ]
    return first + "".join(levels) + "extra_scale: 1"


def mobilenet_reference():
    boxes = []
    scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0]
    for k, side in enumerate(MOBILENET_SIDES):
        s, shapes = scales[k], []
        for a in (2, 3):
            w, h = s * a**0.5, s / a**0.5
            shapes += [(w, h), (h, w)]
        if k == 0:
            shapes = [(0.1, 0.1), *shapes[:2]]
        else:
            shapes = [(s, s), *shapes, ((s * scales[k + 1]) ** 0.5,) * 2]
        f = 300 / MOBILENET_STEPS[k]
        for i, j, (w, h) in itertools.product(range(side), range(side), shapes):
            boxes.append(((j + 0.5) / f, (i + 0.5) / f, w, h))
    return boxes


def test_mobilenet_v2():
    generator, boxes = generate(mobilenet_fields(), MOBILENET_SIDES, 300)
    assert not generator.is_shape_major
    assert counts(generator, MOBILENET_SIDES) == [1083, 600, 150, 54, 24, 6]
    np.testing.assert_allclose(boxes, mobilenet_reference(), atol=1e-6)
    # The last centres of the maps, of which one is outside the image.
    ends = np.cumsum(counts(generator, MOBILENET_SIDES)) - 1
    np.testing.assert_allclose(
        boxes[ends, 0], [0.9867, 1.0133, 0.96, 0.8333, 0.75, 0.5], atol=5e-5
    )
    np.testing.assert_allclose(
        boxes[:3],
        [
            [8 / 300, 8 / 300, 0.1, 0.1],
            [8 / 300, 8 / 300, 0.2 * 2**0.5, 0.2 / 2**0.5],
            [8 / 300, 8 / 300, 0.2 / 2**0.5, 0.2 * 2**0.5],
        ],
        atol=1e-6,
    )
    # The next place is to the right.
    np.testing.assert_allclose(boxes[3, :2], [24 / 300, 8 / 300], atol=1e-6)


RESNET_SIDES = (38, 19, 10, 5, 3, 1)
RESNET_STEPS = (8, 16, 32, 64, 100, 300)
RESNET_SIZES = (21, 45, 99, 153, 207, 261, 315)
RESNET_RATIOS = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))


def resnet_fields(extra="clamp: true"):
    levels = [
        level(
            size / 300,
            [ratio for a in ratios for ratio in (a, 1 / a)],
            step,
        )
        for size, ratios, step in zip(
            RESNET_SIZES[:-1], RESNET_RATIOS, RESNET_STEPS, strict=True
        )
    ]
    return (
        "".join(levels)
        + f"extra_scale: {RESNET_SIZES[-1] / 300} box_order: SHAPE_MAJOR "
        + f"shape_order: SQUARE_INTERPOLATED_RATIOS {extra}"
    )


def resnet_reference():
    boxes = []
    for k, side in enumerate(RESNET_SIDES):
        s, next_s = RESNET_SIZES[k] / 300, RESNET_SIZES[k + 1] / 300
        shapes = [(s, s), ((s * next_s) ** 0.5,) * 2]
        for a in RESNET_RATIOS[k]:
            w, h = s * a**0.5, s / a**0.5
            shapes += [(w, h), (h, w)]
        f = 300 / RESNET_STEPS[k]
        for (w, h), j, i in itertools.product(shapes, range(side), range(side)):
            boxes.append(((i + 0.5) / f, (j + 0.5) / f, w, h))
    return np.clip(boxes, 0, 1)


def test_resnet_50():
    generator, boxes = generate(resnet_fields(), RESNET_SIDES, 300)
    assert generator.is_shape_major
    assert counts(generator, RESNET_SIDES) == [5776, 2166, 600, 150, 36, 4]
    np.testing.assert_allclose(boxes, resnet_reference(), atol=1e-6)
    # Of the last map: s, sqrt(s * next s), and 1.23 x 0.615 clamped.
    s = 0.87
    np.testing.assert_allclose(
        boxes[-4:],
        [
            [0.5, 0.5, s, s],
            [0.5, 0.5, (s * 1.05) ** 0.5, (s * 1.05) ** 0.5],
            [0.5, 0.5, 1, s / 2**0.5],
            [0.5, 0.5, s / 2**0.5, 1],
        ],
        atol=1e-6,
    )
    assert boxes.max() == 1
    _, unclamped = generate(resnet_fields("clamp: false"), RESNET_SIDES, 300)
    assert unclamped.max() == pytest.approx(s * 2**0.5, abs=1e-6)
    # Corners are made of the clamped numbers and are not clipped.
    corners = generator.generate([(n, n) for n in RESNET_SIDES], (300, 300))
    assert corners.min() < 0 and corners.max() > 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", "level: expected one or more"),
        ("level {}", r"level\[0\]: expected a scale, or shapes"),
        (
            "level { scale: 0.1 shape { scale: 0.1 } } extra_scale: 1",
            r"level\[0\].shape: does not go with",
        ),
        ("level { shape {} }", r"level\[0\].shape\[0\].scale: .* got 0"),
        ("level { scale: 0.1 }", "extra_scale: expected one"),
        (
            "level { scale: 0 } extra_scale: 1",
            r"level\[0\].scale: expected above 0, got 0",
        ),
        (
            "level { scale: 0.1 step_px: -8 } extra_scale: 1",
            r"level\[0\].step_px: expected above 0, got -8",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(fields, message):
    with pytest.raises(errors.ConfigError, match=f"^{PATH}.{message}"):
        build(fields)
