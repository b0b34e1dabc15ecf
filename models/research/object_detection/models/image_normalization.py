"""What images become before a network sees them."""

import dataclasses
from typing import Any

from keras import ops

Tensor = Any

_NUM_COLOURS = 3


@dataclasses.dataclass(frozen=True)
class ImageNormalization:
    """Maps each channel to (value - mean) / stddev.

    Attributes:
        mean: by channel, in 0..255 and in the order of the results.
        stddev: by channel, like `mean`, none of them 0.
        reverses_colours: whether the results are blue, green, red; images
            are red, green, blue.
    """

    mean: tuple[float, ...]
    stddev: tuple[float, ...]
    reverses_colours: bool = False

    def __call__(self, images: Tensor) -> Tensor:
        """Normalises images.

        Args:
            images: float32 or uint8 [B, H, W, F] in 0..255, colours first; F
                is the number of means.

        Returns:
            float32 [B, H, W, F].
        """
        images = ops.cast(images, "float32")
        if self.reverses_colours:
            colours = images[..., :_NUM_COLOURS]
            images = ops.concatenate(
                [ops.flip(colours, axis=-1), images[..., _NUM_COLOURS:]],
                axis=-1,
            )
        mean = ops.convert_to_tensor(self.mean, "float32")
        stddev = ops.convert_to_tensor(self.stddev, "float32")
        return (images - mean) / stddev


# Of TF1-slim's VGG networks: ImageNet's mean red, green and blue.
MEAN_COLOUR = ImageNormalization(
    mean=(123.68, 116.779, 103.939), stddev=(1.0, 1.0, 1.0)
)
# Of torchvision's networks.
UNIT_VARIANCE = ImageNormalization(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    stddev=(0.229 * 255, 0.224 * 255, 0.225 * 255),
)
