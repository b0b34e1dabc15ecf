"""Tests of the detector that tools describe."""

import pytest
from google.protobuf import text_format

from object_detection.builders import small_detector
from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.utils import configured_detector

ONE_SIZE = """ssd {
  image_resizer { fixed_shape_resizer { height: 64 width: 128 } }
}"""
SEVERAL_SIZES = """ssd { image_resizer { keep_aspect_ratio_resizer {
  min_dimension: 64 max_dimension: 128 pad_to_max_dimension: false
} } }"""


def write_config(folder, overrides, rest=""):
    config = text_format.Parse(
        f"model {{ {small_detector.CONFIG} }}",
        pipeline_pb2.TrainEvalPipelineConfig(),
    )
    text_format.Merge(f"model {{ {overrides} }} {rest}", config)
    path = folder / "pipeline.config"
    path.write_text(text_format.MessageToString(config))
    return str(path)


def test_a_config_with_paths_to_fill_in_will_do(tmp_path):
    readers = """train_input_reader {
      num_additional_channels: 2
      tf_record_input_reader { input_path: "PATH_TO_BE_CONFIGURED" }
    }"""
    path = write_config(tmp_path, ONE_SIZE, readers)
    model, image_size_px = configured_detector.build(path)
    assert image_size_px == (64, 128)
    assert model.num_image_channels == 5
    assert model.feature_map_shapes(image_size_px)[0] == (4, 8, 8)


def test_images_of_several_sizes_need_a_flag(tmp_path):
    path = write_config(tmp_path, SEVERAL_SIZES)
    detector = configured_detector.build(path, "96x128")
    assert detector.image_size_px == (96, 128)
    for image_size, found in (
        (None, "nothing"),
        ("96", "96"),
        ("0x96", "0x96"),
        ("96x128px", "96x128px"),
    ):
        with pytest.raises(
            errors.ConfigError, match=f"--image_size: .* got {found}$"
        ):
            configured_detector._image_size_px(None, image_size)


def test_a_second_size_is_refused():
    with pytest.raises(errors.ConfigError, match="got 96x128, .* 64x128"):
        configured_detector._image_size_px((64, 128), "96x128")


def test_a_config_that_cannot_work_is_refused(tmp_path):
    path = write_config(tmp_path, "ssd { post_processing { logit_scale: 0 } }")
    with pytest.raises(errors.ConfigError, match="logit_scale"):
        configured_detector.build(path)
