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


def test_ssd320_is_in_order():
    config_check_model.check_ssd(ssd320())


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


@pytest.mark.parametrize(
    ("similarity", "threshold", "is_refused"),
    [
        ("iou_similarity {}", 1, False),
        ("iou_similarity {}", "1 strict_threshold: true", True),
        ("iou_similarity {}", "0.9 strict_threshold: true", False),
        ("iou_similarity {}", 1.5, True),
        ("neg_sq_dist_similarity {}", 0.5, True),
        ("neg_sq_dist_similarity {}", -0.1, False),
    ],
)
def test_a_threshold_that_nothing_reaches(similarity, threshold, is_refused):
    text = (
        f"similarity_calculator {{ {similarity} }} matcher {{ argmax_matcher "
        f"{{ matched_threshold: {threshold} "
    )
    unforced = text + "force_match_for_each_row: false } }"
    if is_refused:
        assert refusal(unforced).startswith(
            "model.ssd.matcher.argmax_matcher.matched_threshold: no box would"
        )
    else:
        config_check_model.check_ssd(ssd320(unforced))
    for way in ("force_match_for_each_row", "ignore_thresholds"):
        config_check_model.check_ssd(ssd320(f"{text} {way}: true }} }}"))
