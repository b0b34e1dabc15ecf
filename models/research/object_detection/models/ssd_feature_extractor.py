"""What every SSD feature extractor is: images in, feature maps out.

A feature extractor is a backbone from `slim/nets`, the names of those of its
endpoints that are used, and a neck from `feature_map_generators` that makes
feature maps of them. The modules `ssd_<name>_feature_extractor` put the three
together, one `build(options)` each.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
from keras import ops

from object_detection.core import conv_layers
from object_detection.core import hyperparams as hyperparams_lib

Tensor = Any

SCOPE = "FeatureExtractor"

# Mean red, green and blue of ImageNet's training images, in 0..255.
_CHANNEL_MEANS = (123.68, 116.779, 103.939)


@dataclasses.dataclass(frozen=True)
class ExtractorOptions:
    """How a feature extractor is made; not every one uses every option.

    Attributes:
        hyperparams: of the layers beyond the backbone.
        backbone_hyperparams: of the backbone.
        depth_multiplier: multiplies the channels of every layer.
        min_depth: least number of channels of a layer.
        use_depthwise: makes the convolutions beyond the backbone separable.
        use_explicit_padding: `conv_layers.explicit_padding` in place of
            'same'.
        pad_to_multiple: inputs are padded with zeros at the bottom and right
            to a multiple of this many pixels.
        in_channels: of the images.
        min_level: finest level of a pyramid, 2 or more; level l has stride
            2**l.
        max_level: its coarsest level, `min_level` or more.
        additional_layer_depth: channels of its maps, at multiplier 1.
        dtype: Keras dtype policy.
    """

    hyperparams: hyperparams_lib.ConvHyperparams
    backbone_hyperparams: hyperparams_lib.ConvHyperparams
    depth_multiplier: float = 1.0
    min_depth: int = 16
    use_depthwise: bool = False
    use_explicit_padding: bool = False
    pad_to_multiple: int = 1
    in_channels: int = 3
    min_level: int = 3
    max_level: int = 7
    additional_layer_depth: int = 256
    dtype: conv_layers.DTypePolicy = None

    def scaled_depth(self, depth: int) -> int:
        """Returns how many channels a layer of `depth` gets."""
        return max(int(depth * self.depth_multiplier), self.min_depth)


class Backbone(Protocol):
    """What `slim/nets` offer: a Keras layer from images to endpoints."""

    endpoint_channels: dict[str, int]

    def __call__(
        self, images: Tensor, training: bool = False
    ) -> dict[str, Tensor]: ...


class Neck(Protocol):
    """What `feature_map_generators` offer: from endpoints to feature maps."""

    feature_map_channels: list[int]

    def __call__(
        self, endpoints: Sequence[Tensor], training: bool = False
    ) -> list[Tensor]: ...


@dataclasses.dataclass(frozen=True)
class ImageSizeRule:
    """Which image sizes an extractor takes.

    Attributes:
        min_side_px: least height and width.
        only_size_px: the one height and width it takes, or None.
        doubling_levels: finest and coarsest level of the endpoints that a
            pyramid adds up, each of which must be twice the size of the next
            one; None for no such levels.
    """

    min_side_px: int = 33
    only_size_px: tuple[int, int] | None = None
    doubling_levels: tuple[int, int] | None = None

    def check(
        self, image_size_px: Sequence[int | None], multiple: int = 1
    ) -> None:
        """Checks height and width, None where they are not known yet.

        Args:
            image_size_px: before padding to a multiple.
            multiple: that it is padded to.

        Raises:
            ValueError: says which size would do.
        """
        size = " x ".join("?" if s is None else f"{s}" for s in image_size_px)
        if self.only_size_px not in (None, tuple(image_size_px)):
            height, width = self.only_size_px
            raise ValueError(
                f"image of {size} px: expected exactly {height} x {width} px"
            )
        for side in image_size_px:
            if side is None:
                continue
            if side < self.min_side_px:
                raise ValueError(
                    f"image of {size} px: expected sides of at least "
                    f"{self.min_side_px} px; resize to more in image_resizer"
                )
            if not self._doubles(-(-side // multiple) * multiple):
                coarsest_stride_px = 2 ** self.doubling_levels[1]
                raise ValueError(
                    f"image of {size} px: the maps of a feature pyramid must "
                    "each be twice the size of the next: use an image size "
                    f"divisible by {coarsest_stride_px}, or pad_to_multiple: "
                    f"{coarsest_stride_px}"
                )

    def _doubles(self, side: int) -> bool:
        if self.doubling_levels is None:
            return True
        finest, coarsest = self.doubling_levels
        return -(-side // 2**finest) % 2 ** (coarsest - finest) == 0


class SSDFeatureExtractor(keras.layers.Layer):
    """A backbone, the endpoints used, and a neck.

    Attributes:
        feature_map_channels: list of the channels of each map, finest first.
        preprocess: normalises resized images, float32 or uint8 [B, H, W, F]
            in 0..255, to what the backbone takes, float32.
        image_size_rule: which images it takes.
        pad_to_multiple: see ExtractorOptions.
    """

    def __init__(
        self,
        backbone: Backbone,
        endpoints: Sequence[str],
        neck: Neck,
        *,
        preprocess: Callable[[Tensor], Tensor],
        image_size_rule: ImageSizeRule = ImageSizeRule(),
        pad_to_multiple: int = 1,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Joins the parts; `endpoints` are the neck's inputs in its order."""
        super().__init__(dtype=dtype)
        self._backbone = backbone
        self._endpoints = list(endpoints)
        self._neck = neck
        self.feature_map_channels = list(neck.feature_map_channels)
        self.preprocess = preprocess
        self.image_size_rule = image_size_rule
        self.pad_to_multiple = pad_to_multiple
        self.built = True

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
            ValueError: a known side is not one that the extractor takes.
        """
        self.check_image_size(preprocessed_images.shape[1:3])
        images = pad_to_multiple(preprocessed_images, self.pad_to_multiple)
        endpoints = self._backbone(images, training=training)
        return self._neck(
            [endpoints[name] for name in self._endpoints], training=training
        )

    def check_image_size(self, image_size_px: Sequence[int | None]) -> None:
        """Raises ValueError when it does not take images of this size."""
        self.image_size_rule.check(image_size_px, self.pad_to_multiple)

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


def subtract_mean_color(images: Tensor) -> Tensor:
    """Subtracts ImageNet's mean colour from images of three channels."""
    images = ops.cast(images, "float32")
    if images.shape[-1] != len(_CHANNEL_MEANS):
        return images
    return images - ops.convert_to_tensor(_CHANNEL_MEANS, "float32")
