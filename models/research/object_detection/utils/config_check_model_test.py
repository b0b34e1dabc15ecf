import pathlib

import pytest
from google.protobuf import text_format

from object_detection.core import errors
from object_detection.utils import config_check_model, config_util

SSD320 = pathlib.Path(__file__).parents[4] / "configs/ssd320_full_1gpus.config"
SHARED_PREDICTOR = (
    "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
)


def ssd320(text=""):
    """Returns the model of SSD320 with text merged on top."""
    ssd = config_util.read_pipeline_config(SSD320).model.ssd
    text_format.Merge(text, ssd)
    return ssd


def in_predictor(text):
    return (
        "box_predictor { weight_shared_convolutional_box_predictor { "
        f"{text} }} }}"
    )


def refusal(text):
    with pytest.raises(errors.ConfigError) as info:
        config_check_model.check_ssd(ssd320(text))
    return str(info.value)


def paths_without_effect(text):
    found = config_check_model.find_fields_without_effect_here(ssd320(text))
    return [path for path, _ in found]


def test_ssd320_is_in_order():
    config_check_model.check_ssd(ssd320())
    assert paths_without_effect("") == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            "feature_extractor { min_depth: 8 }",
            "model.ssd.feature_extractor.min_depth",
        ),
        (
            "feature_extractor { use_depthwise: true }",
            "model.ssd.feature_extractor.use_depthwise",
        ),
        (
            in_predictor("conv_hyperparams { activation: NONE }"),
            f"{SHARED_PREDICTOR}.conv_hyperparams.activation",
        ),
        (
            in_predictor("conv_hyperparams { group_norm {} }"),
            f"{SHARED_PREDICTOR}.conv_hyperparams.group_norm",
        ),
    ],
)
def test_fields_that_another_field_robs_of_their_effect(text, path):
    assert paths_without_effect(text) == [path]


def test_min_depth_and_depthwise_count_for_mobilenet():
    text = (
        "feature_extractor { type: 'ssd_mobilenet_v1_fpn' min_depth: 8 "
        "use_depthwise: true }"
    )
    assert paths_without_effect(text) == []


def test_batchnorm_warning_names_the_blocks_that_overrule():
    warning = config_check_model.freeze_batchnorm_warning(ssd320())
    assert "model.ssd.feature_extractor.conv_hyperparams, " in warning
    assert f"{SHARED_PREDICTOR}.conv_hyperparams, " in warning
    frozen = in_predictor("conv_hyperparams { batch_norm { train: false } }")
    warning = config_check_model.freeze_batchnorm_warning(ssd320(frozen))
    assert SHARED_PREDICTOR not in warning


@pytest.mark.parametrize(
    "text",
    [
        "freeze_batchnorm: false",
        "freeze_batchnorm: true enforce_freeze_batchnorm: true",
        "feature_extractor { conv_hyperparams { batch_norm { train: false }}}"
        + in_predictor("conv_hyperparams { batch_norm { train: false } }"),
    ],
)
def test_no_batchnorm_warning_where_the_config_says_what_happens(text):
    assert config_check_model.freeze_batchnorm_warning(ssd320(text)) is None


def test_levels_of_anchors_and_maps_must_agree():
    # As many levels, each one stride too coarse: shapes alone would fit.
    message = refusal(
        "anchor_generator { multiscale_anchor_generator { min_level: 4 "
        "max_level: 8 } }"
    )
    assert message.startswith(
        "model.ssd.anchor_generator.multiscale_anchor_generator: levels 4 to 8"
    )
    assert "model.ssd.feature_extractor.fpn, 3 to 7" in message


def test_levels_in_the_wrong_order():
    assert refusal("feature_extractor { fpn { max_level: 2 } }") == (
        "model.ssd.feature_extractor.fpn.min_level: 3 is above max_level 2"
    )


def test_box_code_size_must_be_the_coders():
    assert refusal(in_predictor("box_code_size: 5")) == (
        f"{SHARED_PREDICTOR}.box_code_size: faster_rcnn_box_coder makes codes "
        "of size 4, got 5"
    )


def test_towers_need_a_depth():
    assert refusal(in_predictor("depth: 0")).startswith(
        f"{SHARED_PREDICTOR}.depth: is 0, and num_layers_before_predictor 4"
    )
    no_towers = ssd320(in_predictor("depth: 0 num_layers_before_predictor: 0"))
    config_check_model.check_ssd(no_towers)
