"""Every dictionary key that crosses a module border, in one place."""


class InputDataFields:
    """Keys of a decoded example, of `features` and of `labels`.

    A decoded example holds tensors of one image; `features` and `labels` hold
    batches padded to static shapes. Boxes are yxyx, normalised.
    """

    image = "image"
    filename = "filename"
    key = "key"
    source_id = "source_id"
    hash = "hash"
    original_image_spatial_shape = "original_image_spatial_shape"
    is_size_misstated = "is_size_misstated"
    true_image_shape = "true_image_shape"
    original_image = "original_image"
    image_additional_channels = "image_additional_channels"
    num_groundtruth_boxes = "num_groundtruth_boxes"
    num_truncated_boxes = "num_truncated_boxes"
    num_crowd_boxes = "num_crowd_boxes"
    groundtruth_boxes = "groundtruth_boxes"
    groundtruth_classes = "groundtruth_classes"
    groundtruth_confidences = "groundtruth_confidences"
    groundtruth_weights = "groundtruth_weights"
    groundtruth_area = "groundtruth_area"
    groundtruth_is_crowd = "groundtruth_is_crowd"
    groundtruth_difficult = "groundtruth_difficult"
    groundtruth_group_of = "groundtruth_group_of"
    groundtruth_image_classes = "groundtruth_image_classes"
    groundtruth_instance_masks = "groundtruth_instance_masks"
    groundtruth_keypoints = "groundtruth_keypoints"


class PredictionFields:
    """Keys of what `predict` returns."""

    box_encodings = "box_encodings"
    class_predictions_with_background = "class_predictions_with_background"
    anchors = "anchors"
    image_size = "image_size"  # height and width in px, padding included


class LossFields:
    """Keys of what `loss` returns, and of the losses in an evaluation."""

    localization_loss = "Loss/localization_loss"
    classification_loss = "Loss/classification_loss"
    regularization_loss = "Loss/regularization_loss"
    total_loss = "Loss/total_loss"


class DetectionResultFields:
    """Keys of what `postprocess` returns; classes count from 0."""

    detection_boxes = "detection_boxes"
    detection_scores = "detection_scores"
    detection_classes = "detection_classes"
    detection_keypoints = "detection_keypoints"
    num_detections = "num_detections"
