"""The feature maps beyond a backbone's endpoints, by strided convolutions.

Dimensions: B image, H height, W width, F channels.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from object_detection.core import chain, conv_blocks
from object_detection.models import ssd_feature_extractor

Tensor = Any

_USUAL_SIZES = ssd_feature_extractor.ImageSizeRule()


class ExtraLayer(NamedTuple):
    """A feature map beyond the endpoints.

    Attributes:
        depth: channels at depth multiplier 1.
        kernel_size: of its second convolution.
        stride: of the same.
        padding: of the same, 'same', or 'valid' where it is not separable.
        pad_end_px: rows of zeros at the bottom, and columns at the right,
            that the same gets beside its padding.
        middle_depth: channels of the first convolution; None for half of
            `depth`.
    """

    depth: int
    kernel_size: int = 3
    stride: int = 2
    padding: str = "same"
    pad_end_px: int = 0
    middle_depth: int | None = None


class ExtraFeatureMaps(keras.layers.Layer):
    """The endpoints as they are, then ever coarser maps from the last one.

    Each further map comes from the one before by a 1x1 convolution, usually
    to half of its depth, and a strided one (Liu et al. 2016,
    arxiv.org/abs/1512.02325, section 2.1).

    Attributes:
        feature_map_channels: list of the channels of each map, finest first.
    """

    def __init__(
        self,
        scope: str,
        in_channels: Sequence[int],
        extra_layers: Sequence[ExtraLayer],
        options: ssd_feature_extractor.ExtractorOptions,
        *,
        first_layer: keras.layers.Layer | None = None,
    ) -> None:
        """Makes all variables.

        Args:
            scope: what the names of the convolutions begin with, such as
                'FeatureExtractor/MobilenetV1/Conv2d_13_pointwise'.
            in_channels: channels of the endpoints, finest first, and of the
                first one after `first_layer`.
            extra_layers: the maps beyond the endpoints.
            options: hyperparams, depths, padding and use_depthwise count.
            first_layer: what makes the first map of the first endpoint; None
                takes it as it is.
        """
        super().__init__(dtype=options.dtype)
        self._first_layer = first_layer
        self.feature_map_channels = list(in_channels)
        self._extra = []
        for number, layer in enumerate(extra_layers, start=len(in_channels)):
            blocks = _extra_map(
                scope, number, self.feature_map_channels[-1], layer, options
            )
            self._extra.append(chain.Chain(blocks, options.dtype))
            self.feature_map_channels.append(options.scaled_depth(layer.depth))
        self.built = True

    def call(
        self, endpoints: Sequence[Tensor], training: bool = False
    ) -> list[Tensor]:
        """Computes the maps.

        Args:
            endpoints: [B, H_i, W_i, in_channels[i]], finest first.
            training: whether trained normalisations use batch statistics.

        Returns:
            The endpoints, then for each extra layer [B, H_j, W_j, depth_j],
            usually half the size (rounded up) of the map before.
        """
        maps = list(endpoints)
        if self._first_layer is not None:
            maps[0] = self._first_layer(maps[0], training=training)
        for blocks in self._extra:
            maps.append(blocks(maps[-1], training=training))
        return maps


def _extra_map(
    scope: str,
    number: int,
    in_channels: int,
    layer: ExtraLayer,
    options: ssd_feature_extractor.ExtractorOptions,
) -> list[chain.Part]:
    """Makes the convolutions of feature map `number`."""
    middle_depth = options.scaled_depth(layer.middle_depth or layer.depth // 2)
    depth = options.scaled_depth(layer.depth)
    kernel_size = layer.kernel_size
    strided_scope = (
        f"{scope}_2_Conv2d_{number}_{kernel_size}x{kernel_size}"
        f"_s{layer.stride}_{depth}"
    )
    blocks = [
        conv_blocks.conv_block(
            f"{scope}_1_Conv2d_{number}_1x1_{middle_depth}",
            in_channels,
            middle_depth,
            1,
            options.hyperparams,
            dtype=options.dtype,
        )
    ]
    if layer.pad_end_px:
        blocks.append(functools.partial(_pad_end, num_px=layer.pad_end_px))
    strided = {
        "stride": layer.stride,
        "pad_explicitly": (
            options.use_explicit_padding and layer.padding == "same"
        ),
        "dtype": options.dtype,
    }
    if options.use_depthwise:
        blocks.append(
            conv_blocks.depthwise_block(
                f"{strided_scope}_depthwise",
                middle_depth,
                kernel_size,
                options.hyperparams,
                **strided,
            )
        )
        kernel_size, strided = 1, {"dtype": options.dtype}
    else:
        strided["padding"] = layer.padding
    blocks.append(
        conv_blocks.conv_block(
            strided_scope,
            middle_depth,
            depth,
            kernel_size,
            options.hyperparams,
            **strided,
        )
    )
    return blocks


def _pad_end(inputs: Tensor, num_px: int) -> Tensor:
    """Adds zeros at the bottom and at the right."""
    return ops.pad(inputs, ((0, 0), (0, num_px), (0, num_px), (0, 0)))


def extractor_with_extra_maps(
    backbone: ssd_feature_extractor.Backbone,
    scope: str,
    endpoints: Sequence[str],
    extra_layers: Sequence[ExtraLayer],
    options: ssd_feature_extractor.ExtractorOptions,
    *,
    image_size_rule: ssd_feature_extractor.ImageSizeRule = _USUAL_SIZES,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Puts extra maps on a backbone of images in -1..1.

    Args:
        backbone: has the endpoints.
        scope: the extra maps' names begin with it and the last endpoint's.
        endpoints: the first maps, finest first.
        extra_layers: the maps beyond them.
        options: see ExtraFeatureMaps; pad_to_multiple counts, too.
        image_size_rule: see SSDFeatureExtractor.
    """
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        endpoints,
        ExtraFeatureMaps(
            f"{scope}/{endpoints[-1]}",
            [backbone.endpoint_channels[name] for name in endpoints],
            extra_layers,
            options,
        ),
        preprocess=ssd_feature_extractor.scale_to_unit_range,
        image_size_rule=image_size_rule,
        pad_to_multiple=options.pad_to_multiple,
        dtype=options.dtype,
    )
