"""What every SSD feature extractor is: images in, feature maps out."""

from typing import Any

import keras
from keras import ops

from object_detection.core import conv_layers

Tensor = Any


class SSDFeatureExtractor(keras.layers.Layer):
    """Base of the feature extractors.

    A subclass sets `feature_map_channels`, may raise `min_side_px` and
    defines `preprocess` and `_extract`.

    Attributes:
        feature_map_channels: list of the channels of each map, finest first.
        min_side_px: least height and width of an input.
        pad_to_multiple: inputs are padded with zeros at the bottom and right
            to a multiple of this many pixels.
    """

    min_side_px = 33

    def __init__(
        self, pad_to_multiple: int, dtype: conv_layers.DTypePolicy
    ) -> None:
        super().__init__(dtype=dtype)
        self.pad_to_multiple = pad_to_multiple
        self.feature_map_channels: list[int] = []

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalises resized images, float32 [B, H, W, 3] in 0..255."""
        raise NotImplementedError

    def call(
        self, preprocessed_images: Tensor, training: bool = False
    ) -> list[Tensor]:
        """Computes the feature maps.

        Args:
            preprocessed_images: float32 [B, H, W, F], from `preprocess`.
            training: whether trained normalisations use batch statistics.

        Returns:
            Maps [B, H_i, W_i, feature_map_channels[i]] of the compute dtype,
            finest first.

        Raises:
            ValueError: a side is known and below `min_side_px`.
        """
        for side in preprocessed_images.shape[1:3]:
            if side is not None and side < self.min_side_px:
                raise ValueError(
                    f"image of {tuple(preprocessed_images.shape[1:3])} px: "
                    f"expected sides of at least {self.min_side_px} px; "
                    "resize to more in image_resizer"
                )
        images = pad_to_multiple(preprocessed_images, self.pad_to_multiple)
        return self._extract(images, training)

    def _extract(self, images: Tensor, training: bool) -> list[Tensor]:
        raise NotImplementedError

    def regularization_loss(self) -> Tensor:
        """Returns the float32 scalar regularisation of its weights."""
        return conv_layers.regularization_loss(self.variables)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Pads the bottom and right with zeros up to a multiple of `multiple`.

    Args:
        images: [B, H, W, F].
        multiple: of the padded height and width, in pixels.

    Returns:
        [B, H', W', F].
    """
    if multiple == 1:
        return images
    _, height, width, _ = ops.shape(images)
    return ops.pad(
        images,
        ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)),
    )


def scale_to_unit_range(images: Tensor) -> Tensor:
    """Maps 0..255 to -1..1."""
    return ops.cast(images, "float32") * (2.0 / 255.0) - 1.0
