"""Resizers: images of any size to the size the detector sees.

Sampling is that of TensorFlow 1 (`align_corners=False`, no half-pixel
centres): output pixel i reads input position i * in / out. `tf.image.resize`
differs. Checkpoints trained with the old sampling need it.

Dimensions: B image, H height, W width, C channel.
"""

import dataclasses
import enum

import numpy as np
import tensorflow as tf

from object_detection.core import checks

# Pixels read for one that is written, from which on a cast costs more than
# the vector code saves that it makes possible.
_MAX_CAST_RATIO = 2


class ResizeMethod(enum.Enum):
    """How a pixel between pixels is made."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest_neighbor"
    BICUBIC = "bicubic"
    AREA = "area"


@dataclasses.dataclass(frozen=True)
class FixedShapeResizer:
    """Resizes to one height and width, whatever the aspect ratio.

    Attributes:
        height: pixels.
        width: pixels.
        method: ResizeMethod.
        convert_to_grayscale: the result has one channel.
    """

    height: int = 300
    width: int = 300
    method: ResizeMethod = ResizeMethod.BILINEAR
    convert_to_grayscale: bool = False

    def __post_init__(self) -> None:
        checks.require_positive(height=[self.height], width=[self.width])

    @property
    def static_size_px(self) -> tuple[int, int]:
        """Height and width of every result."""
        return self.height, self.width

    def __call__(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Resizes one image or a batch of images of one size.

        Args:
            images: uint8 or float32 [H, W, C] or [B, H, W, C].

        Returns:
            float32 images in the same range, and their true shapes: int32
            [3] or [B, 3], height, width and channels without padding.
        """
        images = tf.convert_to_tensor(images)
        resized = _resize(images, (self.height, self.width), self.method)
        if self.convert_to_grayscale:
            resized = _to_grayscale(resized)
        return resized, _true_shapes(resized, (self.height, self.width))

    def resize_masks(self, masks_NHW: tf.Tensor) -> tf.Tensor:
        """Resizes masks, float32 [N, H, W], to the nearest neighbour."""
        return _resize_masks(masks_NHW, (self.height, self.width))

    def move_boxes(self, boxes: tf.Tensor, true_shapes: tf.Tensor) -> tf.Tensor:
        """Returns the boxes as they are: nothing is padded."""
        del true_shapes
        return boxes


@dataclasses.dataclass(frozen=True)
class KeepAspectRatioResizer:
    """Resizes the shorter side to a length unless the longer gets too long.

    Attributes:
        min_dimension: pixels of the shorter side.
        max_dimension: most pixels of the longer side.
        method: ResizeMethod.
        pad_to_max_dimension: the result is padded at the bottom and right to
            [max_dimension, max_dimension].
        per_channel_pad_value: what is padded with, one number a channel.
        convert_to_grayscale: the result has one channel.
    """

    min_dimension: int = 600
    max_dimension: int = 1024
    method: ResizeMethod = ResizeMethod.BILINEAR
    pad_to_max_dimension: bool = False
    per_channel_pad_value: tuple[float, ...] = (0.0, 0.0, 0.0)
    convert_to_grayscale: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_dimension <= self.max_dimension:
            raise ValueError(
                "min_dimension: must be from 1 to max_dimension "
                f"{self.max_dimension}, got {self.min_dimension}"
            )

    @property
    def static_size_px(self) -> tuple[int, int] | None:
        """Height and width of every result; None when they differ."""
        if self.pad_to_max_dimension:
            return self.max_dimension, self.max_dimension
        return None

    def __call__(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Resizes one image or a batch of images of one size.

        Args:
            images: uint8 or float32 [H, W, C] or [B, H, W, C].

        Returns:
            float32 images in the same range, and their true shapes: int32
            [3] or [B, 3], height, width and channels without padding.

        Raises:
            ValueError: a pad value is missing or too much for C channels.
        """
        images = tf.convert_to_tensor(images)
        size_px = self._target_size_px(images, height_axis=-3)
        resized = _resize(images, size_px, self.method)
        pad_values = tf.constant(self.per_channel_pad_value, tf.float32)
        if self.convert_to_grayscale:
            resized = _to_grayscale(resized)
            pad_values = tf.image.rgb_to_grayscale(pad_values)
        if self.pad_to_max_dimension:
            resized = tf.stack(
                [
                    self._pad(channel, size_px, pad_value)
                    for channel, pad_value in zip(
                        tf.unstack(resized, axis=-1),
                        tf.unstack(pad_values),
                        strict=True,
                    )
                ],
                axis=-1,
            )
        return resized, _true_shapes(resized, size_px)

    def resize_masks(self, masks_NHW: tf.Tensor) -> tf.Tensor:
        """Resizes masks, float32 [N, H, W], to the nearest neighbour."""
        size_px = self._target_size_px(masks_NHW, height_axis=-2)
        resized_NHW = _resize_masks(masks_NHW, size_px)
        if not self.pad_to_max_dimension:
            return resized_NHW
        return self._pad(resized_NHW, size_px, 0.0)

    def move_boxes(self, boxes: tf.Tensor, true_shapes: tf.Tensor) -> tf.Tensor:
        """Moves boxes from the frame of the image into the padded frame.

        Differs from TF OD API, which left them in the frame of the image.

        Args:
            boxes: float32 [..., n, 4] yxyx, normalised to the image.
            true_shapes: int32 [..., 3], as returned with the images.

        Returns:
            float32 [..., n, 4], normalised to the padded image.
        """
        if not self.pad_to_max_dimension:
            return boxes
        share = tf.cast(true_shapes[..., :2], tf.float32) / float(
            self.max_dimension
        )
        return boxes * tf.concat([share, share], axis=-1)[..., tf.newaxis, :]

    def _target_size_px(
        self, images: tf.Tensor, height_axis: int
    ) -> tuple[int, int] | tuple[tf.Tensor, tf.Tensor]:
        """Height and width without padding: ints where the input's are."""
        static = images.shape[height_axis], images.shape[height_axis + 1]
        if None not in static:
            height, width = (np.float32(side) for side in static)
            return tuple(int(x) for x in self._scaled(height, width, np))
        shape = tf.shape(images)
        height, width = (
            tf.cast(shape[axis], tf.float32)
            for axis in (height_axis, height_axis + 1)
        )
        return tuple(
            tf.cast(x, tf.int32) for x in self._scaled(height, width, tf)
        )

    def _scaled(self, height, width, xp):  # noqa: ANN001, ANN202
        # float32 throughout, and halves round to even: both decide the size.
        scale_up = self.min_dimension / xp.minimum(height, width)
        scale_down = self.max_dimension / xp.maximum(height, width)
        longer = xp.round(xp.maximum(height, width) * scale_up)
        scale = xp.where(longer > self.max_dimension, scale_down, scale_up)
        return tuple(
            xp.maximum(xp.round(side * scale), 1.0) for side in (height, width)
        )

    def _pad(
        self,
        images: tf.Tensor,
        size_px: tuple[int, int] | tuple[tf.Tensor, tf.Tensor],
        pad_value: float,
    ) -> tf.Tensor:
        """Pads the last two axes, height and width, at their ends."""
        paddings = [[0, 0]] * (images.shape.rank - 2) + [
            [0, self.max_dimension - size] for size in size_px
        ]
        padded = tf.pad(images, paddings, constant_values=pad_value)
        side = self.max_dimension
        return tf.ensure_shape(padded, [*images.shape[:-2], side, side])


Resizer = FixedShapeResizer | KeepAspectRatioResizer


def _resize(
    images: tf.Tensor,
    size_px: tuple[int, int] | tuple[tf.Tensor, tf.Tensor],
    method: ResizeMethod,
) -> tf.Tensor:
    """float32 [..., height, width, C] of uint8 or float32 images."""
    is_single = images.shape.rank == 3
    images_BHWC = images[tf.newaxis] if is_single else images
    size = tf.stack(size_px)
    # All kernels read uint8 and write float32.
    if method is ResizeMethod.BILINEAR:
        resized = _resize_bilinear(images_BHWC, size)
    elif method is ResizeMethod.BICUBIC:
        resized = tf.raw_ops.ResizeBicubic(images=images_BHWC, size=size)
    elif method is ResizeMethod.AREA:
        resized = tf.raw_ops.ResizeArea(images=images_BHWC, size=size)
    else:
        resized = tf.cast(
            tf.raw_ops.ResizeNearestNeighbor(images=images_BHWC, size=size),
            tf.float32,
        )
    static = [side if isinstance(side, int) else None for side in size_px]
    resized = tf.ensure_shape(
        resized, [images_BHWC.shape[0], *static, images_BHWC.shape[-1]]
    )
    return resized[0] if is_single else resized


def _resize_bilinear(images_BHWC: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """float32, equal whichever way is taken."""

    def resize(images: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.ResizeBilinear(images=images, size=size)

    if images_BHWC.dtype == tf.float32:
        return resize(images_BHWC)
    # The kernel has vector code for float32 alone, which is twice as fast, the
    # cast included; but a cast reads all pixels, and the kernel only some.
    num_read = tf.reduce_prod(tf.shape(images_BHWC)[1:3])
    return tf.cond(
        num_read > _MAX_CAST_RATIO * tf.reduce_prod(size),
        lambda: resize(images_BHWC),
        lambda: resize(tf.cast(images_BHWC, tf.float32)),
    )


def _to_grayscale(images: tf.Tensor) -> tf.Tensor:
    """One channel, which images that are gray have already."""
    if images.shape[-1] == 1:
        return images
    return tf.image.rgb_to_grayscale(images)


def _resize_masks(
    masks_NHW: tf.Tensor,
    size_px: tuple[int, int] | tuple[tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    return _resize(
        masks_NHW[..., tf.newaxis], size_px, ResizeMethod.NEAREST_NEIGHBOR
    )[..., 0]


def _true_shapes(
    images: tf.Tensor,
    size_px: tuple[int, int] | tuple[tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    true_shape = tf.cast(tf.stack([*size_px, images.shape[-1]]), tf.int32)
    if images.shape.rank == 3:
        return true_shape
    return tf.tile(true_shape[tf.newaxis], [tf.shape(images)[0], 1])
