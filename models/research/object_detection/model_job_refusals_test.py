"""What cannot work is refused at the start, by one line that names the field.

Each case is a shipped config with overrides as a user types them, taken
through the door that `model_main` takes. The records that it names are not
there, so that nothing can be read.
"""

import pathlib
import re
from typing import NamedTuple

import pytest

from object_detection import model_lib
from object_detection.core import errors
from object_detection.protos import pipeline_pb2
from object_detection.training.training_loop import RunConfig

CONFIGS = pathlib.Path(__file__).parents[3] / "configs"
DATA = pathlib.Path(__file__).parent / "data"

MOBILENET = "ssd_mobilenet_v1_coco"
PYRAMID = "ssd_mobilenet_v1_fpn_coco"
RESNET = "ssd_resnet50_v1_fpn_coco"
EMBEDDED = "embedded_ssd_mobilenet_v1_coco"

SSD = "model.ssd"
RESIZER = f"{SSD}.image_resizer"
FIXED = f"{RESIZER}.fixed_shape_resizer"
KEEPING = f"{RESIZER}.keep_aspect_ratio_resizer"
EXTRACTOR = f"{SSD}.feature_extractor"
PREDICTOR = f"{SSD}.box_predictor.convolutional_box_predictor"
SHARED = f"{SSD}.box_predictor.weight_shared_convolutional_box_predictor"
ANCHORS = f"{SSD}.anchor_generator.ssd_anchor_generator"
MULTISCALE = f"{SSD}.anchor_generator.multiscale_anchor_generator"
MATCHER = f"{SSD}.matcher.argmax_matcher"
CODER = f"{SSD}.box_coder"
LOSS = f"{SSD}.loss"
NMS = f"{SSD}.post_processing.batch_non_max_suppression"
OPTIMIZER = "train_config.optimizer"
RMS_PROP = f"{OPTIMIZER}.rms_prop_optimizer"
RATE = f"{RMS_PROP}.learning_rate"
COSINE = f"{RATE}.cosine_decay_learning_rate"
READERS = ("train_input_reader", "eval_input_reader[0]")
QUANTIZATION = "graph_rewriter.quantization"


class Case(NamedTuple):
    """A mistake and what is said about it.

    Attributes:
        overrides: of --hparams_overrides.
        path: that the message begins with.
        words: a pattern that the rest of the message holds.
        config: name of the shipped config.
    """

    overrides: str
    path: str
    words: str
    config: str = MOBILENET


def empty(path, *kinds):
    return Case(f"{path}={{}}", path, f"expected .*{'.*'.join(kinds)}.*nothing")


def number(path, value, words, config=MOBILENET):
    return Case(f"{path}={value}", path, f"{words}.* got {value}$", config)


CASES = [
    # Images.
    Case(
        f"{KEEPING}={{min_dimension: 600 max_dimension: 300}}",
        f"{KEEPING}.min_dimension",
        "from 1 to max_dimension 300, got 600",
    ),
    Case(
        f"{KEEPING}={{pad_to_max_dimension: true"
        " per_channel_pad_value: [1, 2]}",
        f"{KEEPING}.per_channel_pad_value",
        r"3 numbers.* got \[1.0, 2.0\]",
    ),
    number(f"{FIXED}.height", 0, "above 0"),
    Case(f"{FIXED}.height=32", RESIZER, "32 x 300 px: expected .* 33 px"),
    Case(
        f"{FIXED}.height=300",
        RESIZER,
        "embedded.* 300 x 256 px: expected exactly 256 x 256 px",
        EMBEDDED,
    ),
    Case(
        f"{FIXED}.width=656",
        RESIZER,
        "640 x 656 px: .* twice .* divisible by 32",
        PYRAMID,
    ),
    # Feature extractors.
    Case(
        f"{EXTRACTOR}.type=ssd_mobilnet_v2_fpn",
        f"{EXTRACTOR}.type",
        "'ssd_mobilnet_v2_fpn'; did you mean 'ssd_mobilenet_v2_fpn'",
    ),
    Case(f"{EXTRACTOR}.fpn={{}}", f"{EXTRACTOR}.fpn", "ends in _fpn"),
    Case(
        f"{EXTRACTOR}.override_base_feature_extractor_hyperparams=false",
        f"{EXTRACTOR}.override_base_feature_extractor_hyperparams",
        "ssd_inception_v2 takes only true, got false",
        "ssd_inception_v2_coco",
    ),
    Case(
        f"{EXTRACTOR}.override_base_feature_extractor_hyperparams=true",
        f"{EXTRACTOR}.override_base_feature_extractor_hyperparams",
        "ssd_pnasnet takes only false, got true",
        "ssd_pnasnet_coco",
    ),
    Case(
        f"{EXTRACTOR}.pad_to_multiple=32",
        f"{EXTRACTOR}.pad_to_multiple",
        "takes only 1, got 32",
        EMBEDDED,
    ),
    Case(
        f"{EXTRACTOR}.depth_multiplier=0.5",
        f"{EXTRACTOR}.depth_multiplier",
        "takes only 1.0, got 0.5",
        RESNET,
    ),
    Case(
        f"{EXTRACTOR}.use_explicit_padding=true",
        f"{EXTRACTOR}.use_explicit_padding",
        "takes only false, got true",
        RESNET,
    ),
    number(f"{EXTRACTOR}.min_depth", 0, "at least 1"),
    number(f"{EXTRACTOR}.depth_multiplier", -1, "more than 0"),
    Case(
        f"{EXTRACTOR}.fpn.min_level=1,{MULTISCALE}.min_level=1",
        f"{EXTRACTOR}.fpn",
        "min_level from 2 to 5.* got 1 and 7",
        PYRAMID,
    ),
    # Convolutions.
    Case(
        f"{EXTRACTOR}.conv_hyperparams.initializer={{}}",
        f"{EXTRACTOR}.conv_hyperparams.initializer",
        "expected one of truncated_normal_initializer.* got none",
    ),
    number(
        f"{EXTRACTOR}.conv_hyperparams.batch_norm.decay", 1.5, "expected 0 to 1"
    ),
    Case(
        f"{EXTRACTOR}.conv_hyperparams.op=FC",
        f"{EXTRACTOR}.conv_hyperparams.op",
        "expected CONV, got FC",
    ),
    Case(
        f"{EXTRACTOR}.conv_hyperparams.group_norm={{}}",
        f"{EXTRACTOR}.conv_hyperparams.group_norm",
        "use batch_norm",
    ),
    number(
        f"{PREDICTOR}.conv_hyperparams.regularizer.l2_regularizer.weight",
        -2,
        "at least 0",
    ),
    Case(
        f"{PREDICTOR}.conv_hyperparams.initializer={{}}",
        f"{PREDICTOR}.conv_hyperparams.initializer",
        "expected one of truncated_normal_initializer.* got none",
    ),
    # Anchors.
    Case(
        f"{ANCHORS}.num_layers=5",
        f"{SSD}.anchor_generator",
        f"for 5 feature maps.* {EXTRACTOR} ssd_mobilenet_v1 has 6",
    ),
    Case(
        f"{ANCHORS}.scales=[0.1, 0.5, 0.7]",
        f"{ANCHORS}.scales",
        "6 layers of num_layers, got 3",
    ),
    Case(
        f"{ANCHORS}.height_stride=[8, 16]",
        f"{ANCHORS}.height_stride",
        "as many as of width_stride, got 2 and 0",
    ),
    Case(
        f"{ANCHORS}.aspect_ratios=[1, -2]",
        f"{ANCHORS}.aspect_ratios",
        "above 0, got 1, -2",
    ),
    number(f"{ANCHORS}.base_anchor_width", -1, "above 0"),
    Case(
        f"{MULTISCALE}.aspect_ratios=[]",
        f"{MULTISCALE}.aspect_ratios",
        "above 0, got none",
        PYRAMID,
    ),
    Case(
        f"{EXTRACTOR}.fpn.max_level=6",
        MULTISCALE,
        f"levels 3 to 7 .*{EXTRACTOR}.fpn, 3 to 6",
        PYRAMID,
    ),
    Case(
        f"{ANCHORS}={{num_layers: 5 aspect_ratios: [1, 2, 3]}}",
        SHARED,
        r"same number of anchors .* got \[3, 4, 4, 4, 4\]",
        PYRAMID,
    ),
    # Targets.
    Case(
        f"{MATCHER}.unmatched_threshold=0.6",
        f"{MATCHER}.unmatched_threshold",
        "at most matched_threshold 0.5, got 0.6",
    ),
    Case(
        f"{MATCHER}.negatives_lower_than_unmatched=false",
        f"{MATCHER}.negatives_lower_than_unmatched",
        "got 0.5 for both",
    ),
    number(f"{CODER}.faster_rcnn_box_coder.y_scale", 0, "above 0"),
    Case(
        f"{CODER}.square_box_coder={{}}",
        f"{PREDICTOR}.box_code_size",
        f"{CODER}.square_box_coder makes codes of size 3, got 4",
    ),
    Case(
        f"{CODER}.keypoint_box_coder={{num_keypoints: 5}}",
        f"{READERS[0]}.num_keypoints",
        f"is 0, but {CODER}.keypoint_box_coder.num_keypoints is 5",
    ),
    # Losses.
    Case(
        f"{LOSS}.classification_loss.weighted_sigmoid_focal={{}}",
        f"{LOSS}.hard_example_miner",
        "classification_loss.weighted_sigmoid_focal",
    ),
    number(f"{LOSS}.hard_example_miner.iou_threshold", 2, "from 0 to 1"),
    Case(
        f"{LOSS}.random_example_sampler={{positive_sample_fraction: 0}}",
        f"{LOSS}.random_example_sampler.positive_sample_fraction",
        "above 0 and at most 1, got 0",
    ),
    Case(
        f"{LOSS}.expected_loss_weights=EXPECTED_SAMPLING",
        f"{LOSS}.expected_loss_weights",
        "use NONE",
    ),
    Case(
        f"{LOSS}.hard_negative_miner={{}}",
        f"{LOSS}.hard_negative_miner",
        "does not go with hard_example_miner, .* remove one of them",
    ),
    number(f"{LOSS}.localization_weight", -1, "at least 0"),
    # Classes and detections.
    Case(
        f"{SSD}.explicit_background_class=true",
        f"{SSD}.explicit_background_class",
        f"needs {SSD}.add_background_class: false, got true",
    ),
    Case(
        f"{SSD}.num_classes=3",
        f"{READERS[0]}.label_map_path",
        f"has id 4, but {SSD}.num_classes is 3",
    ),
    Case(
        f"{SSD}.num_classes=91",
        f"{READERS[0]}.label_map_path",
        f"ids up to 90, but {SSD}.num_classes is 91",
    ),
    number(f"{NMS}.max_detections_per_class", 101, "max_total_detections 100,"),
    number(f"{NMS}.iou_threshold", -1, "from 0 to 1"),
    number(f"{SSD}.post_processing.logit_scale", 0, "positive"),
    # Learning rates and optimizers.
    Case(
        f"{COSINE}={{total_steps: 100 warmup_steps: 200}}",
        f"{COSINE}.warmup_steps",
        "at most total_steps 100, got 200",
    ),
    Case(
        f"{COSINE}={{learning_rate_base: 0.5 warmup_learning_rate: 2}}",
        f"{COSINE}.warmup_learning_rate",
        "at most learning_rate_base 0.5, got 2",
    ),
    number(f"{RATE}.exponential_decay_learning_rate.decay_steps", 0, "above 0"),
    Case(
        f"{RATE}.manual_step_learning_rate={{}}",
        f"{RATE}.manual_step_learning_rate.schedule",
        "got none",
    ),
    Case(
        f"{RATE}.manual_step_learning_rate={{schedule {{step: 9}}"
        " schedule {step: 5}}",
        f"{RATE}.manual_step_learning_rate.schedule",
        r"above the one before, got \[9, 5\]",
    ),
    number(f"{RMS_PROP}.momentum_optimizer_value", 7, "from 0 to 1"),
    number(f"{OPTIMIZER}.moving_average_decay", 7, "from 0 to 1"),
    Case(
        f"{OPTIMIZER}.use_moving_average=false",
        "eval_config.use_moving_averages",
        f"needs {OPTIMIZER}.use_moving_average: true, got false",
    ),
    Case(
        "train_config.fine_tune_checkpoint=x,"
        "train_config.fine_tune_checkpoint_type=segmentation",
        "train_config.fine_tune_checkpoint_type",
        "'segmentation'; valid names: classification, detection",
    ),
    number("train_config.weight_decay.weight", -1, "at least 0"),
    number("train_config.loss_scale.initial_scale", 0, "above 0"),
    Case(
        f"{RATE}={{manual_step_learning_rate {{schedule {{step: 3 epoch: 2}}}}"
        "},train_config.examples_per_epoch=99",
        f"{RATE}.manual_step_learning_rate.schedule[0].epoch",
        "stands in place of step, which is set to 3; remove one",
    ),
    # Readers, metrics and quantization.
    Case(
        f"{READERS[0]}.num_additional_channels=1",
        f"{READERS[1]}.num_additional_channels",
        f"is 0, but {READERS[0]}.num_additional_channels is 1",
    ),
    Case(
        "eval_config.metrics_set=coco_detection",
        "eval_config.metrics_set",
        "'coco_detection'.* did you mean 'coco_detection_metrics'",
    ),
    Case(
        f"{QUANTIZATION}.weight_bits=4",
        f"{QUANTIZATION}.weight_bits",
        "expected 8, got 4",
    ),
    Case(
        f"{QUANTIZATION}.activation_bits=16",
        f"{QUANTIZATION}.activation_bits",
        "expected 8, got 16",
    ),
    # Messages of which nothing is chosen, and other detectors.
    empty(RESIZER, "fixed_shape_resizer", "keep_aspect_ratio_resizer"),
    empty(CODER, "faster_rcnn_box_coder", "keypoint_box_coder"),
    empty(f"{SSD}.matcher", "argmax_matcher", "bipartite_matcher"),
    empty(f"{SSD}.similarity_calculator", "iou_similarity", "ioa_similarity"),
    empty(f"{SSD}.anchor_generator", "ssd_anchor_generator"),
    empty(f"{SSD}.box_predictor", "convolutional_box_predictor"),
    empty(f"{LOSS}.classification_loss", "weighted_sigmoid_focal"),
    empty(f"{LOSS}.localization_loss", "weighted_smooth_l1"),
    empty(OPTIMIZER, "momentum_optimizer", "rms_prop_optimizer"),
    empty(RATE, "constant_learning_rate"),
    Case("model={}", "model", "no detector; expected model.ssd"),
    Case("model.faster_rcnn={}", "model.faster_rcnn", "expected model.ssd"),
]


def refusal(case, model_dir):
    """Returns what the user reads."""
    overrides = [
        f"label_map_path={DATA / 'mscoco_label_map.pbtxt'}",
        "train_input_path=/not/there/train.record",
        "eval_input_path=/not/there/val.record",
        case.overrides,
    ]
    with pytest.raises(errors.ConfigError) as info:
        model_lib.create_estimator_and_inputs(
            RunConfig(str(model_dir)),
            str(CONFIGS / f"{case.config}.config"),
            hparams_overrides=",".join(overrides),
        )
    return str(info.value)


def is_config_path(path):
    """Whether every step of a dotted path is a field of the one before."""
    descriptor = pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR
    for step in path.split("."):
        name = re.sub(r"\[\d+\]$", "", step)
        if descriptor is None or name not in descriptor.fields_by_name:
            return False
        descriptor = descriptor.fields_by_name[name].message_type
    return True


@pytest.mark.parametrize("case", CASES, ids=[case.overrides for case in CASES])
def test_a_mistake_is_refused_by_one_line_that_names_the_field(case, tmp_path):
    message = refusal(case, tmp_path / "run")
    path, _, rest = message.partition(": ")
    assert path == case.path
    assert is_config_path(path)
    assert re.search(case.words, rest), message
    assert "\n" not in message
    assert not (tmp_path / "run").exists()


def test_without_a_mistake_the_missing_records_are_what_is_refused(tmp_path):
    message = refusal(Case("batch_size=8", "", ""), tmp_path)
    assert "/not/there/" in message
