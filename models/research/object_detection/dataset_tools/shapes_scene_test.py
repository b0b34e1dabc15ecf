import io

import numpy as np
import pytest
from PIL import Image

from object_detection.dataset_tools import create_shapes_tf_record, shapes_scene

STYLE = shapes_scene.SceneStyle()


def scenes(num_scenes, style=STYLE):
    for seed in range(num_scenes):
        yield shapes_scene.render_scene(np.random.default_rng(seed), style)


def test_same_seed_gives_the_same_picture():
    first, objects = next(scenes(1))
    second, same_objects = next(scenes(1))
    np.testing.assert_array_equal(first, second)
    assert objects == same_objects


def test_pictures_are_varied_photographs():
    pictures = np.stack([pixels for pixels, _ in scenes(12)])
    assert pictures.shape == (12, 160, 192, 3)
    assert pictures.dtype == np.uint8
    assert pictures.std(axis=(1, 2)).min() > 1
    assert np.unique(pictures.mean(axis=(1, 2)).round()).size > 20


def test_boxes_hold_the_visible_pixels():
    num_truncated = 0
    for _, objects in scenes(40):
        for item in objects:
            ymin, xmin, ymax, xmax = item.box_yxyx_px
            assert 0 <= ymin < ymax <= 160
            assert 0 <= xmin < xmax <= 192
            assert 0 < item.area_px <= (ymax - ymin) * (xmax - xmin)
            num_truncated += item.is_truncated
    assert num_truncated


def test_all_classes_and_crowds_appear():
    objects = [item for _, items in scenes(60) for item in items]
    assert {item.class_name for item in objects} == set(
        shapes_scene.CLASS_NAMES
    )
    assert 0 < sum(item.is_crowd for item in objects) < 15


def layer(class_name, rows, columns, full_area_px=None):
    mask = np.zeros((20, 30), bool)
    mask[slice(*rows), slice(*columns)] = True
    full = mask.sum() if full_area_px is None else full_area_px
    return shapes_scene._Layer(class_name, mask, float(full))


def test_occluded_shape_keeps_the_box_of_what_is_seen():
    back = layer("circle", (2, 10), (3, 23))
    front = layer("square", (2, 10), (15, 29))
    circle, square = shapes_scene._visible_objects([back, front])
    assert circle.class_name == "circle"
    assert circle.box_yxyx_px == (2, 3, 10, 15)
    assert circle.area_px == 8 * 12
    assert not circle.is_difficult
    assert square.box_yxyx_px == (2, 15, 10, 29)


def test_heavily_hidden_shape_is_left_out_and_half_hidden_is_difficult():
    front = layer("square", (2, 10), (3, 20))
    hidden = layer("circle", (2, 10), (3, 27))
    half = layer("star", (10, 18), (3, 23), full_area_px=8 * 45)
    objects = shapes_scene._visible_objects([hidden, half, front])
    assert [item.class_name for item in objects] == ["star", "square"]
    assert [item.is_difficult for item in objects] == [True, False]


@pytest.mark.parametrize(
    ("class_name", "fraction"),
    [("circle", 1.0), ("ring", 1 - 0.55**2), ("square", 2 / np.pi)],
)
def test_coverage_has_the_shape_s_area(class_name, fraction):
    outline = shapes_scene.shape_outline(class_name, np.random.default_rng(3))
    coverage = shapes_scene._coverage(
        class_name, outline * 20 + (30, 50), (60, 90, 3)
    )
    assert coverage.shape == (60, 90)
    np.testing.assert_allclose(
        coverage.sum(), fraction * np.pi * 20**2, rtol=0.04
    )
    center_yx = [
        np.average(np.arange(60) + 0.5, weights=coverage.sum(axis=1)),
        np.average(np.arange(90) + 0.5, weights=coverage.sum(axis=0)),
    ]
    np.testing.assert_allclose(center_yx, (30, 50), atol=0.5)


def test_shape_beyond_the_border_covers_nothing():
    outline = np.array([[-9.0, -9.0], [-3.0, -9.0], [-3.0, -3.0]])
    assert not shapes_scene._coverage("triangle", outline, (20, 30, 3)).any()
    far = outline + (60, 60)
    assert not shapes_scene._coverage("triangle", far, (20, 30, 3)).any()


def test_dataset_is_written_sharded_with_a_label_map(tmp_path):
    summaries = create_shapes_tf_record.create_shapes_dataset(
        str(tmp_path),
        num_train=6,
        num_val=3,
        num_shards=2,
        num_workers=1,
        seed=5,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "shapes_label_map.pbtxt",
        "shapes_train.record-00000-of-00002",
        "shapes_train.record-00001-of-00002",
        "shapes_val.record-00000-of-00002",
        "shapes_val.record-00001-of-00002",
    ]
    assert [summary.num_images for summary in summaries] == [6, 3]
    assert list(summaries[0].num_objects) == list(shapes_scene.CLASS_NAMES)


def test_splits_and_seeds_differ():
    render = create_shapes_tf_record.render_example
    train = render(0, split="train", seed=0)
    val = render(0, split="val", seed=0)
    other_seed = render(0, split="train", seed=1)
    assert len({train.encoded, val.encoded, other_seed.encoded}) == 3
    assert (train.source_id, val.source_id) == ("0", "1000000")
    with Image.open(io.BytesIO(train.encoded)) as image:
        assert image.size == (train.width_px, train.height_px) == (192, 160)
