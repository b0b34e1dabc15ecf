"""Inception v3 (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567)."""

from slim.nets.inception_blocks import Conv, Fork, Mixed, Pool


def _valid(
    name: str, depth: int, kernel_size: int = 3, stride: int = 1
) -> Conv:
    return Conv(name, depth, kernel_size, stride, "valid")


def _pool_branch(depth: int) -> list[Conv | Pool]:
    return [Pool("average", 3), Conv("Conv2d_0b_1x1", depth, 1)]


def _mixed_5(
    projection: int,
    reduce_name: str = "Conv2d_0a_1x1",
    wide_name: str = "Conv2d_0b_5x5",
) -> Mixed:
    return Mixed(
        [
            [Conv("Conv2d_0a_1x1", 64, 1)],
            [Conv(reduce_name, 48, 1), Conv(wide_name, 64, 5)],
            [
                Conv("Conv2d_0a_1x1", 64, 1),
                Conv("Conv2d_0b_3x3", 96, 3),
                Conv("Conv2d_0c_3x3", 96, 3),
            ],
            _pool_branch(projection),
        ]
    )


def _mixed_6(depth: int) -> Mixed:
    """Kernels of 7 pixels in one direction; `depth` channels inside."""
    return Mixed(
        [
            [Conv("Conv2d_0a_1x1", 192, 1)],
            [
                Conv("Conv2d_0a_1x1", depth, 1),
                Conv("Conv2d_0b_1x7", depth, (1, 7)),
                Conv("Conv2d_0c_7x1", 192, (7, 1)),
            ],
            [
                Conv("Conv2d_0a_1x1", depth, 1),
                Conv("Conv2d_0b_7x1", depth, (7, 1)),
                Conv("Conv2d_0c_1x7", depth, (1, 7)),
                Conv("Conv2d_0d_7x1", depth, (7, 1)),
                Conv("Conv2d_0e_1x7", 192, (1, 7)),
            ],
            _pool_branch(192),
        ]
    )


def _mixed_7(tall_name: str) -> Mixed:
    return Mixed(
        [
            [Conv("Conv2d_0a_1x1", 320, 1)],
            [
                Conv("Conv2d_0a_1x1", 384, 1),
                Fork(
                    [
                        Conv("Conv2d_0b_1x3", 384, (1, 3)),
                        Conv(tall_name, 384, (3, 1)),
                    ]
                ),
            ],
            [
                Conv("Conv2d_0a_1x1", 448, 1),
                Conv("Conv2d_0b_3x3", 384, 3),
                Fork(
                    [
                        Conv("Conv2d_0c_1x3", 384, (1, 3)),
                        Conv("Conv2d_0d_3x1", 384, (3, 1)),
                    ]
                ),
            ],
            _pool_branch(192),
        ]
    )


_POOL = Pool("max", 3, 2, "valid")

# Some names do not follow the pattern; checkpoints have them like this.
LAYERS = {
    "Conv2d_1a_3x3": _valid("Conv2d_1a_3x3", 32, stride=2),
    "Conv2d_2a_3x3": _valid("Conv2d_2a_3x3", 32),
    "Conv2d_2b_3x3": Conv("Conv2d_2b_3x3", 64, 3),
    "MaxPool_3a_3x3": _POOL,
    "Conv2d_3b_1x1": _valid("Conv2d_3b_1x1", 80, 1),
    "Conv2d_4a_3x3": _valid("Conv2d_4a_3x3", 192),
    "MaxPool_5a_3x3": _POOL,
    "Mixed_5b": _mixed_5(32),
    "Mixed_5c": _mixed_5(64, "Conv2d_0b_1x1", "Conv_1_0c_5x5"),
    "Mixed_5d": _mixed_5(64),
    "Mixed_6a": Mixed(
        [
            [_valid("Conv2d_1a_1x1", 384, stride=2)],
            [
                Conv("Conv2d_0a_1x1", 64, 1),
                Conv("Conv2d_0b_3x3", 96, 3),
                _valid("Conv2d_1a_1x1", 96, stride=2),
            ],
            [_POOL],
        ]
    ),
    "Mixed_6b": _mixed_6(128),
    "Mixed_6c": _mixed_6(160),
    "Mixed_6d": _mixed_6(160),
    "Mixed_6e": _mixed_6(192),
    "Mixed_7a": Mixed(
        [
            [
                Conv("Conv2d_0a_1x1", 192, 1),
                _valid("Conv2d_1a_3x3", 320, stride=2),
            ],
            [
                Conv("Conv2d_0a_1x1", 192, 1),
                Conv("Conv2d_0b_1x7", 192, (1, 7)),
                Conv("Conv2d_0c_7x1", 192, (7, 1)),
                _valid("Conv2d_1a_3x3", 192, stride=2),
            ],
            [_POOL],
        ]
    ),
    "Mixed_7b": _mixed_7("Conv2d_0b_3x1"),
    "Mixed_7c": _mixed_7("Conv2d_0c_3x1"),
}
