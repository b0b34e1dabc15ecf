"""A small detector, for tests that need a whole one."""

from typing import Any

import numpy as np
from google.protobuf import text_format

from object_detection.builders import model_builder
from object_detection.core import containers
from object_detection.meta_architectures import ssd_meta_arch
from object_detection.protos import model_pb2

CONFIG = """
ssd {
  num_classes: 3
  box_coder { faster_rcnn_box_coder {} }
  matcher { argmax_matcher { force_match_for_each_row: true } }
  similarity_calculator { iou_similarity {} }
  encode_background_as_zeros: true
  anchor_generator { multiscale_anchor_generator {
    min_level: 4 max_level: 6 aspect_ratios: [1.0, 2.0] scales_per_octave: 1
  } }
  image_resizer { keep_aspect_ratio_resizer {
    min_dimension: 64 max_dimension: 128 pad_to_max_dimension: true
  } }
  box_predictor { weight_shared_convolutional_box_predictor {
    depth: 8 num_layers_before_predictor: 1 class_prediction_bias_init: -2
    conv_hyperparams {
      regularizer { l2_regularizer { weight: 0.1 } }
      initializer { random_normal_initializer { stddev: 0.3 } }
      batch_norm {}
    }
  } }
  feature_extractor {
    type: 'ssd_mobilenet_v1_fpn' depth_multiplier: 0.25 min_depth: 8
    fpn { min_level: 4 max_level: 6 additional_layer_depth: 8 }
    conv_hyperparams {
      regularizer { l2_regularizer { weight: 0.1 } }
      initializer { random_normal_initializer { stddev: 0.3 } }
      batch_norm {}
    }
  }
  loss {
    classification_loss { weighted_sigmoid_focal {} }
    localization_loss { weighted_smooth_l1 {} }
  }
  post_processing {
    batch_non_max_suppression {
      max_detections_per_class: 20 max_total_detections: 30
    }
    score_converter: SIGMOID
  }
}
"""
# 8 x 8, 4 x 4 and 2 x 2 places of a 128 px image, two anchors each.
NUM_ANCHORS = 2 * (64 + 16 + 4)


def build(
    overrides: str = "", is_training: bool = False, **arguments: Any
) -> ssd_meta_arch.SSDMetaArch:
    """Builds the detector of CONFIG with `overrides` merged on top."""
    config = text_format.Parse(CONFIG, model_pb2.DetectionModel())
    text_format.Merge(overrides, config)
    return model_builder.build(config, is_training, **arguments)


def make_groundtruth(num_classes: int = 3) -> containers.Groundtruth:
    """Returns one box in the first of two images, of the second class."""
    return containers.Groundtruth(
        boxes=np.float32([[[0.1, 0.2, 0.4, 0.7]], [[0.0, 0.0, 0.0, 0.0]]]),
        classes=np.eye(num_classes, dtype=np.float32)[[[1], [0]]]
        * np.float32([[[1]], [[0]]]),
        weights=np.float32([[1.0], [0.0]]),
        num_boxes=np.int32([1, 0]),
    )


IMAGES = np.random.default_rng(0).integers(0, 256, (2, 60, 120, 3), np.uint8)
