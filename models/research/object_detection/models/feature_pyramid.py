"""Feature pyramid network: what joins fine and coarse endpoints.

Dimensions: B image, H height, W width, F channels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from object_detection.core import conv_blocks, conv_layers, quantization
from object_detection.core import hyperparams as hyperparams_lib
from object_detection.models import ssd_feature_extractor

Tensor = Any


class FeaturePyramid(keras.layers.Layer):
    """Feature pyramid network (Lin et al. 2017, arxiv.org/abs/1612.03144).

    As in the TF1 API, and unlike in the paper, the coarsest endpoint's
    projection is used as it is, without a smoothing convolution, and the
    maps beyond it come from it by strided convolutions.

    Attributes:
        feature_map_channels: list of the channels of each map, finest first.
    """

    def __init__(
        self,
        scope: str,
        in_channels: Sequence[int],
        depth: int,
        coarse_scopes: Sequence[str],
        hyperparams: hyperparams_lib.ConvHyperparams,
        *,
        separable: bool = False,
        pad_explicitly: bool = False,
        dtype: conv_layers.DTypePolicy = None,
    ) -> None:
        """Makes all variables.

        Args:
            scope: such as 'FeatureExtractor/resnet_v1_50/fpn'.
            in_channels: channels of the endpoints, finest first; each
                endpoint has half the resolution of the one before.
            depth: channels of every map of the pyramid.
            coarse_scopes: names below `scope` of the convolutions that make
                the maps beyond the endpoints.
            hyperparams: of the 3x3 convolutions; the projections are linear
                with biases.
            separable: whether the 3x3 convolutions are.
            pad_explicitly: `conv_layers.explicit_padding` in place of 'same'.
            dtype: Keras dtype policy.
        """
        super().__init__(dtype=dtype)
        self._pad_explicitly = pad_explicitly
        projection_hyperparams = hyperparams.linear().without_norm()
        self._projections = [
            conv_blocks.conv_block(
                f"{scope}/projection_{number}",
                channels,
                depth,
                1,
                projection_hyperparams,
                dtype=dtype,
            )
            for number, channels in enumerate(in_channels, start=1)
        ]

        def conv3x3(name: str, stride: int) -> conv_blocks.ConvBlock:
            return conv_blocks.conv_block(
                f"{scope}/{name}",
                depth,
                depth,
                3,
                hyperparams,
                stride=stride,
                pad_explicitly=pad_explicitly,
                separable=separable,
                dtype=dtype,
            )

        self._sum_quantizers = [
            quantization.FakeQuantizer(f"{scope}/projection_{number}/add_quant")
            for number in range(1, len(in_channels))
        ]
        self._smoothings = [
            conv3x3(f"smoothing_{number}", stride=1)
            for number in range(1, len(in_channels))
        ]
        self._coarse = [conv3x3(name, stride=2) for name in coarse_scopes]
        num_maps = len(in_channels) + len(coarse_scopes)
        self.feature_map_channels = [depth] * num_maps
        self.built = True

    def call(
        self, endpoints: Sequence[Tensor], training: bool = False
    ) -> list[Tensor]:
        """Computes the maps.

        Args:
            endpoints: [B, H_i, W_i, in_channels[i]], finest first.
            training: whether trained normalisations use batch statistics.

        Returns:
            [B, H_i, W_i, depth] for each endpoint, then the coarser maps,
            each half (rounded up) of the one before.

        Raises:
            ValueError: an endpoint is not twice the size of the next one,
                without explicit padding.
        """
        top_down = self._projections[-1](endpoints[-1], training=training)
        maps = [top_down]
        for level in reversed(range(len(endpoints) - 1)):
            projected = self._projections[level](
                endpoints[level], training=training
            )
            if self._pad_explicitly:
                # Differs from the published network: the padding of the
                # smoothing convolution stays, so the next finer level sees
                # this map shifted by two pixels. Trained checkpoints do too.
                if level < len(endpoints) - 2:
                    top_down = conv_layers.explicit_padding(top_down, 3)
                top_down = _add_upsampled_and_cropped(top_down, projected)
            else:
                top_down = add_upsampled(top_down, projected)
            (top_down,) = self._sum_quantizers[level].fake_quantize(
                [top_down], training
            )
            smoothing = self._smoothings[level]
            maps.insert(0, smoothing(top_down, training=training))
        coarse = maps[-1]
        for block in self._coarse:
            coarse = block(coarse, training=training)
            maps.append(coarse)
        return maps


def add_upsampled(coarse: Tensor, fine: Tensor) -> Tensor:
    """Adds to each pixel of `fine` the pixel of `coarse` that covers it.

    The same as nearest-neighbour upsampling by two and adding, without ever
    making the upsampled map; so is its gradient.

    Args:
        coarse: [B, H, W, F].
        fine: [B, 2 * H, 2 * W, F].

    Returns:
        [B, 2 * H, 2 * W, F].

    Raises:
        ValueError: a size is known and is not double.
    """
    for coarse_side, fine_side in zip(
        coarse.shape[1:3], fine.shape[1:3], strict=True
    ):
        if (
            None not in (coarse_side, fine_side)
            and fine_side != 2 * coarse_side
        ):
            raise ValueError(
                "feature pyramid: expected each map to be twice the size of "
                f"the next, got {tuple(fine.shape[1:3])} above "
                f"{tuple(coarse.shape[1:3])}; use an image size divisible by "
                "the coarsest stride (32), or pad_to_multiple: 32"
            )
    batch, height, width, channels = ops.shape(coarse)
    # Five dimensions, for elementwise operations broadcast no more of them.
    coarse_5d = ops.reshape(coarse, (batch * height, 1, width, 1, channels))
    fine_5d = ops.reshape(fine, (batch * height, 2, width, 2, channels))
    return ops.reshape(
        coarse_5d + fine_5d, (batch, 2 * height, 2 * width, channels)
    )


def _add_upsampled_and_cropped(coarse: Tensor, fine: Tensor) -> Tensor:
    """Does `add_upsampled` where `coarse` covers more than `fine`."""
    upsampled = ops.repeat(ops.repeat(coarse, 2, axis=1), 2, axis=2)
    _, height, width, _ = ops.shape(fine)
    return upsampled[:, :height, :width, :] + fine


def extractor_with_pyramid(
    backbone: ssd_feature_extractor.Backbone,
    scope: str,
    endpoint_of_level: Mapping[int, str],
    name_coarse_layer: Callable[[int], str],
    options: ssd_feature_extractor.ExtractorOptions,
    *,
    depth: int,
    preprocess: Callable[[Tensor], Tensor],
    min_side_px: int,
) -> ssd_feature_extractor.SSDFeatureExtractor:
    """Puts a feature pyramid on a backbone.

    Args:
        backbone: has the endpoints.
        scope: of the backbone; that of the pyramid is 'fpn' below it.
        endpoint_of_level: the endpoint at stride 2**level.
        name_coarse_layer: level that a coarse map is made from -> name of
            the convolution that does so.
        options: levels, padding, hyperparams and use_depthwise count.
        depth: channels of every map.
        preprocess: see SSDFeatureExtractor.
        min_side_px: see ImageSizeRule.
    """
    coarsest_endpoint_level = min(options.max_level, max(endpoint_of_level))
    endpoints = [
        endpoint_of_level[level]
        for level in range(options.min_level, coarsest_endpoint_level + 1)
    ]
    pyramid = FeaturePyramid(
        f"{scope}/fpn",
        [backbone.endpoint_channels[endpoint] for endpoint in endpoints],
        depth,
        [
            name_coarse_layer(level)
            for level in range(coarsest_endpoint_level, options.max_level)
        ],
        options.hyperparams,
        separable=options.use_depthwise,
        pad_explicitly=options.use_explicit_padding,
        dtype=options.dtype,
    )
    doubling_levels = None
    if not options.use_explicit_padding:
        doubling_levels = (options.min_level, coarsest_endpoint_level)
    return ssd_feature_extractor.SSDFeatureExtractor(
        backbone,
        endpoints,
        pyramid,
        preprocess=preprocess,
        image_size_rule=ssd_feature_extractor.ImageSizeRule(
            min_side_px, doubling_levels=doubling_levels
        ),
        pad_to_multiple=options.pad_to_multiple,
        dtype=options.dtype,
    )
