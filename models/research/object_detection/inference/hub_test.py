"""Tests of detectors by name and of the helpers around them."""

import pathlib
import shutil

import numpy as np
import pytest

from object_detection.core import errors
from object_detection.inference import (
    detector,
    hub,
    model_loading,
    sample_detector,
)


def found(count):
    return detector.Detections(
        boxes=np.float32([[0.1, 0.2, 0.5, 0.9]] * count),
        scores=np.linspace(0.9, 0.25, count, dtype=np.float32),
        classes=np.arange(1, count + 1),
        size_px=(20, 30),
    )


@pytest.fixture(scope="module")
def config_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    sample_detector.write(str(folder))
    shutil.copy(folder / "pipeline.config", folder / hub.CONFIG_NAMES["ssd300"])
    return folder


def test_a_network_by_its_name(config_dir):
    network = hub.create_network(
        "ssd300",
        str(config_dir / "model.ckpt-7"),
        config_dir=str(config_dir),
        batch_size=2,
    )
    assert network.batch_size == 2
    assert network.class_name(2) == sample_detector.CLASS_NAMES[1]


def test_random_weights_without_a_checkpoint(config_dir):
    network = hub.create_network("ssd300", config_dir=str(config_dir))
    assert isinstance(network, detector.Detector)


def test_an_unknown_name_is_not_implemented():
    with pytest.raises(NotImplementedError, match="ssd301.*ssd300_resnet50"):
        hub.create_network("ssd301")


def test_math_is_of_16_or_32_bits():
    with pytest.raises(errors.ConfigError, match="got 'fp8'"):
        hub.nvidia_ssd(model_math="fp8")


def test_results_have_the_left_side_first():
    (decoded,) = hub.decode_results([found(3)])
    np.testing.assert_allclose(decoded.boxes_ltrb[2], [0.2, 0.1, 0.9, 0.5])
    assert decoded.classes.tolist() == [1, 2, 3]


def test_results_are_cut():
    a, b = hub.decode_results([found(25), found(2)])
    assert (len(a.scores), len(b.scores)) == (20, 2)
    (c,) = hub.decode_results([found(25)], max_output=4)
    assert c.classes.tolist() == [1, 2, 3, 4]


def test_the_best_score_above_a_threshold():
    utils = hub.nvidia_ssd_processing_utils()
    (decoded,) = utils.decode_results([found(3)])
    assert utils.pick_best(decoded).classes.tolist() == [1, 2]
    assert utils.pick_best(decoded, 0.6).classes.tolist() == [1]
    assert utils.pick_best(decoded, 0.95).boxes_ltrb.shape == (0, 4)


def test_names_of_coco():
    names = hub.get_coco_object_dictionary()
    assert len(names) == 80
    assert (names[0], names[11], names[79]) == (
        "person",
        "stop sign",
        "toothbrush",
    )


def test_an_input_that_is_not_there_is_named(tmp_path):
    with pytest.raises(errors.DataError, match="no.jpg: cannot be read: No"):
        hub.prepare_input(str(tmp_path / "no.jpg"))


@pytest.mark.parametrize("name", sorted(set(hub.CONFIG_NAMES.values())))
def test_every_network_has_a_config_that_can_be_used(name):
    path = pathlib.Path(hub.default_config_dir()) / name
    configs = model_loading.read_configs(str(path))
    assert model_loading.find_label_map(configs) is not None
