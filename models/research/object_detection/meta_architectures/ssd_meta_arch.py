"""The single-shot detector: images in, losses or detections out.

No method needs another to have been called before: what one computes is
returned, and what another needs is an argument.

Letters: B image, H W pixel, A anchor (all levels), K class including a
background column, G groundtruth box (padded), D detection.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
from keras import ops

from object_detection.core import (
    containers,
    detection_loss,
    gather,
    naming,
    post_processing,
    target_assigner,
)
from object_detection.core.standard_fields import (
    DetectionResultFields,
    LossFields,
    PredictionFields,
)
from object_detection.matchers import matcher
from object_detection.models import ssd_feature_extractor

Tensor = Any
Size = Any  # a Python int, or a scalar int tensor where it is not known yet


class ImageResizer(Protocol):
    """What resizes images; it lives outside the compute core."""

    # Height and width of every result, None when they differ.
    static_size_px: tuple[int, int] | None

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]: ...


class AnchorGenerator(Protocol):
    """What `anchor_generators` offer."""

    num_anchors_per_location: list[int]
    # Whether the anchors of a map go by shape, y, x; else by y, x, shape.
    is_shape_major: bool

    def generate(
        self,
        feature_map_sizes: Sequence[tuple[Size, Size]],
        image_size: tuple[Size, Size],
    ) -> Tensor: ...


class SSDMetaArch:
    """A feature extractor, a box predictor and what turns them into losses.

    Attributes:
        num_classes: without the background.
        is_training: whether `predict` trains unless it is told.
        num_image_channels: of the images, grey or additional ones included.
        feature_extractor: from images to feature maps.
        box_predictor: from feature maps to predictions.
        anchor_generator: makes the anchors of the maps.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        is_training: bool,
        image_resizer: ImageResizer,
        num_image_channels: int,
        feature_extractor: ssd_feature_extractor.SSDFeatureExtractor,
        box_predictor: keras.layers.Layer,
        anchor_generator: AnchorGenerator,
        target_assigner: target_assigner.TargetAssigner,
        detection_loss: detection_loss.DetectionLoss,
        post_processor: post_processing.PostProcessor,
        background_class_last: bool = False,
    ) -> None:
        self.num_classes = num_classes
        self.is_training = is_training
        self._image_resizer = image_resizer
        self.num_image_channels = num_image_channels
        self.feature_extractor = feature_extractor
        self.box_predictor = box_predictor
        self.anchor_generator = anchor_generator
        self._target_assigner = target_assigner
        self._detection_loss = detection_loss
        self._post_processor = post_processor
        self._background_class_last = background_class_last

    def preprocess(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Resizes and normalises images.

        Args:
            images: float32 or uint8 [B, H, W, 3] in 0..255.

        Returns:
            float32 [B, H', W', 3] as `predict` takes them; int32 [B, 3],
            height, width and channels of each before padding.
        """
        resized_images, true_image_shapes_B3 = self._image_resizer(
            ops.convert_to_tensor(images)
        )
        return self.normalize(resized_images), true_image_shapes_B3

    def normalize(self, resized_images: Tensor) -> Tensor:
        """Does the second half of `preprocess`, for images resized before."""
        return self.feature_extractor.preprocess(resized_images)

    def predict(
        self,
        preprocessed_images: Tensor,
        true_image_shapes_B3: Tensor,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        """Predicts a box and class scores for every anchor.

        Args:
            preprocessed_images: float32 [B, H, W, 3] from `preprocess`.
            true_image_shapes_B3: int32 [B, 3] from `preprocess`.
            training: whether normalisations use (and learn) batch statistics
                and dropout is on; `is_training` if None.

        Returns:
            By the keys of `PredictionFields`: box_encodings float32 [B, A,
            code_size], class_predictions_with_background float32 [B, A, K]
            (logits; a background is the first column, or the last one where
            `background_class_last`), anchors float32 [A, 4] yxyx, image_size
            float32 [2].

        Raises:
            ValueError: the predictor has another number of anchors than the
                anchor generator.
        """
        del true_image_shapes_B3  # Padding is predicted on like the rest.
        if training is None:
            training = self.is_training
        feature_maps = self.feature_extractor(
            preprocessed_images, training=training
        )
        box_encodings, class_predictions_BAK = self.box_predictor(
            feature_maps, training=training
        )
        image_size = _size(preprocessed_images)
        anchors_A4 = self.anchor_generator.generate(
            [_size(feature_map) for feature_map in feature_maps], image_size
        )
        num_predicted = box_encodings.shape[1]
        num_anchors = anchors_A4.shape[0]
        if None not in (num_predicted, num_anchors) and (
            num_predicted != num_anchors
        ):
            raise ValueError(
                f"the box predictor predicts {num_predicted} boxes, but the "
                f"anchor generator makes {num_anchors} anchors"
            )
        return {
            PredictionFields.box_encodings: box_encodings,
            PredictionFields.class_predictions_with_background: (
                class_predictions_BAK
            ),
            PredictionFields.anchors: ops.convert_to_tensor(anchors_A4),
            PredictionFields.image_size: ops.stack(
                [ops.cast(side_px, "float32") for side_px in image_size]
            ),
        }

    def loss(
        self,
        predictions: Mapping[str, Tensor],
        true_image_shapes_B3: Tensor,
        groundtruth: containers.Groundtruth,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        """Returns how wrong the predictions are, in two float32 scalars.

        Args:
            predictions: from `predict`.
            true_image_shapes_B3: int32 [B, 3] from `preprocess`.
            groundtruth: of the same images.
            training: whether targets may be confidences and a random sample
                of anchors is drawn anew; `is_training` if None.

        Returns:
            `Loss/localization_loss` and `Loss/classification_loss`, weighted
            and normalised. Regularisation is not part of them.
        """
        return self.loss_and_summaries(
            predictions, true_image_shapes_B3, groundtruth, training
        )[0]

    def loss_and_summaries(
        self,
        predictions: Mapping[str, Tensor],
        true_image_shapes_B3: Tensor,
        groundtruth: containers.Groundtruth,
        training: bool | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Does the work of `loss`, and says what it was summed over.

        Args:
            predictions: as of `loss`, like the others.

        Returns:
            The result of `loss`; float32 scalars by name, for TensorBoard.
        """
        del true_image_shapes_B3  # The boxes are in the padded image's frame.
        if training is None:
            training = self.is_training
        anchors_A4 = predictions[PredictionFields.anchors]
        reduced = self._detection_loss.reduce(
            predictions[PredictionFields.box_encodings],
            self._background_first(predictions),
            self._target_assigner.assign_targets(
                anchors_A4, groundtruth, training
            ),
            functools.partial(
                self._target_assigner.box_coder.decode_boxes,
                anchors=anchors_A4,
            ),
            training,
        )
        losses = {
            LossFields.localization_loss: reduced.localization,
            LossFields.classification_loss: reduced.classification,
        }
        return losses, reduced.summaries

    def assignment_summaries(
        self, groundtruth: containers.Groundtruth
    ) -> dict[str, Tensor]:
        """Returns how many boxes and anchors of each kind an image has.

        Args:
            groundtruth: of a batch.

        Returns:
            float32 scalars by name, means over the batch. Those of anchors
            are missing when the resizer makes images of several sizes.
        """
        averages = {
            "AvgNumGroundtruthBoxesPerImage": ops.mean(
                ops.cast(groundtruth.num_boxes, "float32")
            )
        }
        if self._image_resizer.static_size_px is None:
            return averages
        match = self._target_assigner.assign_targets(
            self._static_anchors, groundtruth
        ).match
        kinds = {
            "Positive": match.gt_index >= 0,
            "Negative": ops.equal(match.gt_index, matcher.UNMATCHED),
            "Ignored": ops.equal(match.gt_index, matcher.IGNORED),
        }
        for kind, is_kind_BA in kinds.items():
            num_anchors_B = ops.sum(ops.cast(is_kind_BA, "float32"), axis=1)
            averages[f"AvgNum{kind}AnchorsPerImage"] = ops.mean(num_anchors_B)
        return averages

    def postprocess(
        self, predictions: Mapping[str, Tensor], true_image_shapes_B3: Tensor
    ) -> dict[str, Tensor]:
        """Turns predictions into detections.

        Args:
            predictions: from `predict`.
            true_image_shapes_B3: int32 [B, 3] from `preprocess`; boxes are
                clipped to this part of the padded image.

        Returns:
            By the keys of `DetectionResultFields`, best first and padded with
            zeros: detection_boxes float32 [B, D, 4] yxyx, normalised to the
            padded image; detection_scores float32 [B, D]; detection_classes
            float32 [B, D], counted from 0; num_detections float32 [B]. Where
            the box coder has keypoints, also detection_keypoints float32 [B,
            D, k, 2] (y, x), normalised alike and not clipped.
        """
        true_size_B2 = ops.cast(true_image_shapes_B3[:, :2], "float32")
        share_B2 = true_size_B2 / predictions[PredictionFields.image_size]
        boxes_BA4 = self._target_assigner.box_coder.decode_boxes(
            predictions[PredictionFields.box_encodings],
            predictions[PredictionFields.anchors],
        )
        detections = self._post_processor.detect(
            boxes_BA4,
            self._background_first(predictions),
            ops.concatenate([ops.zeros_like(share_B2), share_B2], axis=1),
        )
        results = {
            DetectionResultFields.detection_boxes: detections.boxes,
            DetectionResultFields.detection_scores: detections.scores,
            DetectionResultFields.detection_classes: detections.class_ids,
            DetectionResultFields.num_detections: detections.num_detections,
        }
        if self._target_assigner.box_coder.num_keypoints:
            results[DetectionResultFields.detection_keypoints] = (
                self._decode_keypoints(predictions, detections)
            )
        return results

    def class_scores(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Returns float32 [B, A, K], scores in the order of the predictions.

        Args:
            predictions: from `predict`.
        """
        return self._post_processor.scores(
            predictions[PredictionFields.class_predictions_with_background]
        )

    def _background_first(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Returns float32 [B, A, K] logits as losses and detections are made.

        Everything but the predictions has a background in the first column.
        """
        logits_BAK = predictions[
            PredictionFields.class_predictions_with_background
        ]
        if self._background_class_last:
            logits_BAK = ops.roll(logits_BAK, 1, axis=-1)
        return logits_BAK

    def _decode_keypoints(
        self,
        predictions: Mapping[str, Tensor],
        detections: post_processing.Detections,
    ) -> Tensor:
        """Returns float32 [B, D, k, 2], zeros in the padding."""
        index_BD = detections.anchor_index
        keypoints_BDk2 = self._target_assigner.box_coder.decode_keypoints(
            gather.take_rows(
                predictions[PredictionFields.box_encodings], index_BD
            ),
            ops.take(predictions[PredictionFields.anchors], index_BD, axis=0),
        )
        place_D = ops.arange(index_BD.shape[1], dtype="float32")
        is_used_BD = place_D < detections.num_detections[:, None]
        return ops.where(is_used_BD[:, :, None, None], keypoints_BDk2, 0.0)

    def regularization_loss(self) -> Tensor:
        """Returns the float32 scalar regularisation of all weights."""
        return (
            self.feature_extractor.regularization_loss()
            + self.box_predictor.regularization_loss()
        )

    def checkpoint_variables(self) -> dict[str, keras.Variable]:
        """Returns every variable by its name in checkpoints."""
        return naming.checkpoint_variables(
            self.feature_extractor, self.box_predictor
        )

    @property
    def variables(self) -> list[keras.Variable]:
        """Every variable."""
        return list(self.checkpoint_variables().values())

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables that have a gradient."""
        return [v for v in self.variables if v.trainable]

    def feature_map_shapes(
        self, image_size_px: tuple[int, int]
    ) -> list[tuple[int, int, int]]:
        """Returns height, width and channels of the maps, finest first.

        Args:
            image_size_px: height and width of the resized images.
        """
        feature_maps = self.feature_extractor.compute_output_spec(
            keras.KerasTensor((1, *image_size_px, self.num_image_channels)),
            training=False,
        )
        return [feature_map.shape[1:] for feature_map in feature_maps]

    @functools.cached_property
    def _static_anchors(self) -> Tensor:
        """float32 [A, 4]: the anchors of every image, if all have one size."""
        image_size = self._image_resizer.static_size_px
        return self.anchor_generator.generate(
            [shape[:2] for shape in self.feature_map_shapes(image_size)],
            image_size,
        )


def _size(images: Tensor) -> tuple[Size, Size]:
    """Returns height and width of [B, H, W, F]."""
    return tuple(ops.shape(images)[1:3])
