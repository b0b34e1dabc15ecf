"""Inception v2 (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567).

The network of Ioffe and Szegedy 2015 (https://arxiv.org/abs/1502.03167) with
its first convolution made separable, as TF1-slim has it.
"""

from slim.nets.inception_blocks import Conv, Mixed, Pool

# Standard deviations that hold whatever the config says, as in the original.
_STEM_STDDEV = 1.0
_REDUCE_STDDEV = 0.09
_PROJECT_STDDEV = 0.1

_MAX_STEM_MULTIPLIER = 8


def _reduce(depth: int) -> Conv:
    return Conv("Conv2d_0a_1x1", depth, 1, stddev=_REDUCE_STDDEV)


def _keep_size(
    direct: int,
    single: tuple[int, int],
    double: tuple[int, int, int],
    pool: str,
    projection: int,
) -> Mixed:
    """The module whose outputs have the size of its inputs."""
    return Mixed(
        [
            [Conv("Conv2d_0a_1x1", direct, 1)],
            [_reduce(single[0]), Conv("Conv2d_0b_3x3", single[1], 3)],
            [
                _reduce(double[0]),
                Conv("Conv2d_0b_3x3", double[1], 3),
                Conv("Conv2d_0c_3x3", double[2], 3),
            ],
            [
                Pool(pool, 3),
                Conv("Conv2d_0b_1x1", projection, 1, stddev=_PROJECT_STDDEV),
            ],
        ]
    )


def _halve_size(single: tuple[int, int], double: tuple[int, int, int]) -> Mixed:
    """The module whose outputs have half the size of its inputs."""
    return Mixed(
        [
            [
                _reduce(single[0]),
                Conv("Conv2d_1a_3x3", single[1], 3, stride=2),
            ],
            [
                _reduce(double[0]),
                Conv("Conv2d_0b_3x3", double[1], 3),
                Conv("Conv2d_1a_3x3", double[2], 3, stride=2),
            ],
            [Pool("max", 3, stride=2)],
        ]
    )


LAYERS = {
    "Conv2d_1a_7x7": Conv(
        "Conv2d_1a_7x7",
        64,
        7,
        stride=2,
        stddev=_STEM_STDDEV,
        max_channel_multiplier=_MAX_STEM_MULTIPLIER,
    ),
    "MaxPool_2a_3x3": Pool("max", 3, stride=2),
    "Conv2d_2b_1x1": Conv("Conv2d_2b_1x1", 64, 1, stddev=_PROJECT_STDDEV),
    "Conv2d_2c_3x3": Conv("Conv2d_2c_3x3", 192, 3),
    "MaxPool_3a_3x3": Pool("max", 3, stride=2),
    "Mixed_3b": _keep_size(64, (64, 64), (64, 96, 96), "average", 32),
    "Mixed_3c": _keep_size(64, (64, 96), (64, 96, 96), "average", 64),
    "Mixed_4a": _halve_size((128, 160), (64, 96, 96)),
    "Mixed_4b": _keep_size(224, (64, 96), (96, 128, 128), "average", 128),
    "Mixed_4c": _keep_size(192, (96, 128), (96, 128, 128), "average", 128),
    "Mixed_4d": _keep_size(160, (128, 160), (128, 160, 160), "average", 96),
    "Mixed_4e": _keep_size(96, (128, 192), (160, 192, 192), "average", 96),
    "Mixed_5a": _halve_size((128, 192), (192, 256, 256)),
    "Mixed_5b": _keep_size(352, (192, 320), (160, 224, 224), "average", 128),
    "Mixed_5c": _keep_size(352, (192, 320), (192, 224, 224), "max", 128),
}
