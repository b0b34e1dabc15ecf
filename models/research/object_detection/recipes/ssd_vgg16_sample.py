"""A small detector and its data for the commands of SSD-VGG, for tests."""

import pathlib
import shutil

import numpy as np

from object_detection import sample_inputs
from object_detection.inference import model_loading, sample_detector
from object_detection.training import checkpoints

_HYPERPARAMS = """conv_hyperparams {
  regularizer { l2_regularizer { weight: 0.1 } }
  initializer { random_normal_initializer { stddev: 0.1 } }
}"""
# Of the parts of SSD-VGG that its commands speak of, on a smaller network.
_CONFIG = """
model {{ ssd {{
  num_classes: 2
  image_resizer {{ fixed_shape_resizer {{ height: 48 width: 64 }} }}
  feature_extractor {{
    type: "ssd_mobilenet_v1" depth_multiplier: 0.25 min_depth: 4 {hyperparams}
  }}
  box_coder {{ faster_rcnn_box_coder {{}} }}
  matcher {{ argmax_matcher {{
    matched_threshold: 0.25 unmatched_threshold: 0.25 strict_threshold: true
  }} }}
  similarity_calculator {{ iou_similarity {{}} }}
  background_class_last: true
  anchor_generator {{ default_box_generator {{
    level {{ scale: 0.25 aspect_ratio: [2, 0.5] }}
    level {{ scale: 0.5 aspect_ratio: [2, 0.5] }}
    level {{ scale: 0.6 }} level {{ scale: 0.7 }} level {{ scale: 0.8 }}
    level {{ scale: 0.9 }}
    extra_scale: 1 box_order: SHAPE_MAJOR
  }} }}
  box_predictor {{ convolutional_box_predictor {{
    kernel_size: 3 use_dropout: false {hyperparams}
  }} }}
  loss {{
    classification_loss {{ weighted_softmax {{}} }}
    localization_loss {{ weighted_smooth_l1 {{}} }}
    hard_negative_miner {{}} normalization: BY_IMAGE
  }}
  post_processing {{
    score_converter: SOFTMAX
    batch_non_max_suppression {{
      score_threshold: 0.01 iou_threshold: 0.45 one_class_per_anchor: true
    }}
  }}
}} }}
train_config {{
  num_epochs: 200
  optimizer {{
    momentum_optimizer {{
      learning_rate {{ manual_step_learning_rate {{}} }}
    }}
    use_moving_average: false
  }}
  loss_scale {{
    initial_scale: 4294967296 growth_steps: 1000 overflows_before_shrink: 2
  }}
}}
train_input_reader {{
  label_map_path: "{folder}/map"
  tf_record_input_reader {{ input_path: "{folder}/*.record" }}
}}
eval_config {{
  metrics_set: "pascal_voc_detection_metrics" batch_size: 4
  use_11_point_average_precision: true count_difficult: true
  num_visualizations: 1
}}
eval_input_reader {{
  label_map_path: "{folder}/map" shuffle: false
  tf_record_input_reader {{ input_path: "{folder}/b.record" }}
}}
"""
NUM_IMAGES = sample_inputs.NUM_RECORDS


def write(folder: pathlib.Path) -> pathlib.Path:
    """Writes a --data-dir as process_dataset does; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    sample_inputs.write_folder(folder)
    text = _CONFIG.format(folder=folder, hyperparams=_HYPERPARAMS)
    (folder / "pipeline.config").write_text(text)
    return folder


def write_run(name: pathlib.Path, data_dir: pathlib.Path) -> pathlib.Path:
    """Writes the folder of a run of one epoch; returns it.

    Args:
        name: of the folder.
        data_dir: from `write`.
    """
    name.mkdir(parents=True, exist_ok=True)
    shutil.copy(data_dir / "pipeline.config", name)
    loaded = model_loading.build(model_loading.read_configs(str(name)), None)
    rng = np.random.default_rng(5)
    variables = {
        # By the biases one class of an anchor is more likely than the other.
        key: rng.normal(0, 0.5, variable.shape).astype(np.float32)
        if key.endswith("biases")
        else sample_detector.draw_weights(variable, rng)
        for key, variable in loaded.model.checkpoint_variables().items()
    }
    step = {checkpoints.GLOBAL_STEP: np.int64(2)}
    for checkpoint in ("e1.ckpt", "final.ckpt"):
        checkpoints.save(str(name / checkpoint), {**variables, **step})
    return name
