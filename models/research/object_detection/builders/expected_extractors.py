"""What every feature extractor makes of an image, for tests."""

from typing import NamedTuple

HYPERPARAMS = """
    conv_hyperparams {
      activation: RELU_6
      regularizer { l2_regularizer { weight: 0.00004 } }
      initializer { variance_scaling_initializer { factor: 2.0 } }
      batch_norm { scale: true decay: 0.9 }
    }
"""
WITHOUT_NORMS = """
    conv_hyperparams {
      initializer { variance_scaling_initializer { factor: 2.0 } }
    }
"""
OVERRIDE = "override_base_feature_extractor_hyperparams: true"


class Expected(NamedTuple):
    """What an extractor makes of an image.

    Attributes:
        image_size_px: height and width.
        maps: height, width and channels of each map, at multiplier 1.
        num_variables: with batch normalisation, at multiplier 1.
        names: some of its variables, without the leading scopes
            'FeatureExtractor/<network>'.
        least_multiplier: makes it small, for the tests that compute.
        options: of the config.
        hyperparams: of the config, too.
    """

    image_size_px: tuple[int, int]
    maps: list[tuple[int, int, int]]
    num_variables: int
    names: list[str]
    least_multiplier: float = 1.0
    options: str = OVERRIDE
    hyperparams: str = HYPERPARAMS


def pyramid(
    finest: tuple[int, int], channels: int = 256
) -> list[tuple[int, int, int]]:
    """Five maps, each half of the one before, rounded up."""
    height, width = finest
    maps = []
    for _ in range(5):
        maps.append((height, width, channels))
        height, width = -(-height // 2), -(-width // 2)
    return maps


def resnet_fpn(num_units: int) -> Expected:
    """Returns a row of a ResNet v1 with a feature pyramid."""
    # A conv is weights and 4 of its norm; 3 of a unit, one shortcut a block.
    num_convs = 1 + 3 * num_units + 4
    return Expected(
        (160, 192),
        pyramid((20, 24)),
        5 * num_convs + 3 * 2 + 4 * 5,
        [
            "conv1/BatchNorm/gamma",
            "block3/unit_5/bottleneck_v1/conv3/weights",
            "fpn/projection_3/biases",
            "fpn/smoothing_2/BatchNorm/beta",
            "fpn/bottom_up_block6/weights",
        ],
    )


def resnet_ppn(num_units: int) -> Expected:
    """Returns a row of a ResNet v1 with a pooling pyramid."""
    num_convs = 1 + 3 * num_units + 4
    return Expected(
        (160, 192),
        [
            (10, 12, 1024),
            (5, 6, 1024),
            (3, 3, 1024),
            (2, 2, 1024),
            (1, 1, 1024),
            (1, 1, 1024),
        ],
        5 * (num_convs + 1),
        [
            "Base_Conv2d_1x1_1024/weights",
            "block4/unit_3/bottleneck_v1/conv3/BatchNorm/moving_mean",
        ],
    )


MOBILENET_V2 = Expected(
    (300, 260),
    [
        (19, 17, 576),
        (10, 9, 1280),
        (5, 5, 512),
        (3, 3, 256),
        (2, 2, 256),
        (1, 1, 128),
    ],
    5 * (52 + 8),
    [
        "Conv/weights",
        "expanded_conv/depthwise/depthwise_weights",
        "expanded_conv/project/BatchNorm/gamma",
        "expanded_conv_16/expand/weights",
        "expanded_conv_16/project/BatchNorm/moving_mean",
        "Conv_1/BatchNorm/beta",
        "layer_19_1_Conv2d_2_1x1_256/weights",
        "layer_19_2_Conv2d_5_3x3_s2_128/BatchNorm/gamma",
    ],
    0.25,
)


def vgg(
    image_size_px: tuple[int, int], maps: list[tuple[int, int, int]]
) -> Expected:
    """Returns a row of a VGG-16."""
    # 15 convolutions and two a map beyond them have biases, a norm is a scale.
    return Expected(
        image_size_px,
        maps,
        2 * (15 + 2 * (len(maps) - 2)) + 1,
        [
            "conv1/conv1_1/weights",
            "conv5/conv5_3/biases",
            "conv6/weights",
            "conv7/biases",
            "conv4_3_norm/scale",
            "conv7_1_Conv2d_2_1x1_256/weights",
            "conv7_2_Conv2d_2_3x3_s2_512/biases",
            "conv7_2_Conv2d_5_3x3_s1_256/weights",
        ],
        hyperparams=WITHOUT_NORMS,
    )


def resnet300(
    num_convs: int, unit: str, channels: int = 1024, last_channels: int = 256
) -> Expected:
    """Returns a row of a ResNet v1.5."""
    # A convolution is weights and 4 of its norm.
    return Expected(
        (300, 260),
        [
            (38, 33, channels),
            (19, 17, 512),
            (10, 9, 512),
            (5, 5, 256),
            (3, 3, 256),
            (1, 1, last_channels),
        ],
        5 * (num_convs + 10),
        [
            "conv1/BatchNorm/gamma",
            f"block1/unit_2/{unit}/conv2/weights",
            f"block2/unit_1/{unit}/shortcut/BatchNorm/moving_mean",
            f"block3/unit_1/{unit}/shortcut/weights",
            "block3_1_Conv2d_1_1x1_256/weights",
            "block3_2_Conv2d_1_3x3_s2_512/BatchNorm/beta",
            f"block3_2_Conv2d_5_3x3_s1_{last_channels}/weights",
        ],
        hyperparams=HYPERPARAMS.replace("RELU_6", "RELU"),
    )


EXPECTED = {
    "ssd_mobilenet_v1": Expected(
        (300, 260),
        [
            (19, 17, 512),
            (10, 9, 1024),
            (5, 5, 512),
            (3, 3, 256),
            (2, 2, 256),
            (1, 1, 128),
        ],
        5 * (27 + 8),
        [
            "Conv2d_0/weights",
            "Conv2d_13_depthwise/depthwise_weights",
            "Conv2d_13_pointwise_1_Conv2d_2_1x1_256/weights",
            "Conv2d_13_pointwise_2_Conv2d_2_3x3_s2_512/BatchNorm/gamma",
            "Conv2d_13_pointwise_1_Conv2d_5_1x1_64/weights",
            "Conv2d_13_pointwise_2_Conv2d_5_3x3_s2_128/weights",
        ],
        0.25,
    ),
    "embedded_ssd_mobilenet_v1": Expected(
        (256, 256),
        [
            (16, 16, 512),
            (8, 8, 1024),
            (4, 4, 512),
            (2, 2, 256),
            (1, 1, 256),
        ],
        5 * (27 + 6),
        [
            "Conv2d_13_pointwise_2_Conv2d_3_3x3_s2_256/weights",
            "Conv2d_13_pointwise_1_Conv2d_4_1x1_128/weights",
            "Conv2d_13_pointwise_2_Conv2d_4_2x2_s2_256/weights",
        ],
        0.25,
    ),
    "ssd_mobilenet_v1_fpn": Expected(
        (128, 192),
        pyramid((16, 24)),
        5 * 27 + 3 * 2 + 4 * 5,
        [
            "Conv2d_13_pointwise/BatchNorm/moving_variance",
            "fpn/projection_1/weights",
            "fpn/bottom_up_Conv2d_14/weights",
            "fpn/bottom_up_Conv2d_15/BatchNorm/beta",
        ],
        0.25,
    ),
    "ssd_mobilenet_v1_ppn": Expected(
        (300, 260),
        [
            (19, 17, 512),
            (10, 9, 512),
            (5, 5, 512),
            (3, 3, 512),
            (2, 2, 512),
            (1, 1, 512),
        ],
        5 * 27,
        ["Conv2d_13_pointwise/weights"],
        0.25,
    ),
    "ssd_mobilenet_v2": MOBILENET_V2,
    "ssd_mobilenet_v2_keras": MOBILENET_V2,
    "ssd_mobilenet_v2_fpn": Expected(
        (128, 192),
        pyramid((16, 24)),
        5 * 52 + 3 * 2 + 4 * 5,
        [
            "Conv_1/weights",
            "fpn/projection_3/biases",
            "fpn/smoothing_2/weights",
            "fpn/bottom_up_Conv2d_20/weights",
            "fpn/bottom_up_Conv2d_21/BatchNorm/beta",
        ],
        0.25,
    ),
    "ssd_inception_v2": Expected(
        (300, 260),
        [
            (19, 17, 576),
            (10, 9, 1024),
            (5, 5, 512),
            (3, 3, 256),
            (2, 2, 256),
            (1, 1, 128),
        ],
        # One of the 69 convolutions and those of the extra maps is separable.
        5 * (69 + 8) + 1,
        [
            "Conv2d_1a_7x7/pointwise_weights",
            "Mixed_5c/Branch_2/Conv2d_0c_3x3/weights",
            "Mixed_5c_2_Conv2d_5_3x3_s2_128/BatchNorm/gamma",
        ],
        0.25,
    ),
    "ssd_inception_v3": Expected(
        (300, 260),
        [
            (35, 30, 288),
            (17, 14, 768),
            (8, 6, 2048),
            (4, 3, 512),
            (2, 2, 256),
            (1, 1, 128),
        ],
        5 * (94 + 6),
        [
            "Mixed_5c/Branch_1/Conv_1_0c_5x5/weights",
            "Mixed_6a/Branch_1/Conv2d_1a_1x1/weights",
            "Mixed_6e/Branch_2/Conv2d_0e_1x7/weights",
            "Mixed_7b/Branch_1/Conv2d_0b_3x1/BatchNorm/beta",
            "Mixed_7c/Branch_1/Conv2d_0c_3x1/weights",
            "Mixed_7c_1_Conv2d_3_1x1_256/weights",
            "Mixed_7c_2_Conv2d_5_3x3_s2_128/weights",
        ],
        0.25,
    ),
    "ssd_pnasnet": Expected(
        (129, 160),
        [
            (8, 10, 2160),
            (4, 5, 4320),
            (2, 3, 512),
            (1, 2, 256),
            (1, 1, 256),
            (1, 1, 128),
        ],
        # conv0; 14 cells of a 1x1 and 12 separable convolutions; the first
        # one's pooling; four strided shortcuts; the cells before, matched by
        # 4 reductions and 9 convolutions; the extra maps.
        5 + 14 * (5 + 12 * 6) + 5 + 4 * 5 + 4 * 6 + 9 * 5 + 8 * 5,
        [
            "comb_iter_0/left/separable_5x5_1/depthwise_weights",
            "comb_iter_1/left/bn_sep_7x7_2/moving_variance",
            "comb_iter_4/right/bn_1/gamma",
            "path2_conv/weights",
            "final_path_bn/beta",
            "prev_bn/gamma",
            "beginning_bn/gamma",
            "Cell_11_1_Conv2d_2_1x1_256/weights",
        ],
        options="override_base_feature_extractor_hyperparams: false",
    ),
    "ssd_resnet50_v1_fpn": resnet_fpn(16),
    "ssd_resnet101_v1_fpn": resnet_fpn(33),
    "ssd_resnet152_v1_fpn": resnet_fpn(50),
    "ssd_resnet50_v1_ppn": resnet_ppn(16),
    "ssd_resnet101_v1_ppn": resnet_ppn(33),
    "ssd_resnet152_v1_ppn": resnet_ppn(50),
    "ssd300_vgg16": vgg(
        (300, 260),
        [
            (38, 33, 512),
            (19, 17, 1024),
            (10, 9, 512),
            (5, 5, 256),
            (3, 3, 256),
            (1, 1, 256),
        ],
    ),
    "ssd512_vgg16": vgg(
        (512, 400),
        [
            (64, 50, 512),
            (32, 25, 1024),
            (16, 13, 512),
            (8, 7, 256),
            (4, 4, 256),
            (2, 2, 256),
            (1, 1, 256),
        ],
    ),
    # A first convolution, those of the units, and shortcuts.
    "ssd300_resnet18": resnet300(1 + 2 * 6 + 2, "basic_v1", 256, 128),
    "ssd300_resnet34": resnet300(1 + 2 * 13 + 2, "basic_v1", 256),
    "ssd300_resnet50": resnet300(1 + 3 * 13 + 3, "bottleneck_v1"),
    "ssd300_resnet101": resnet300(1 + 3 * 30 + 3, "bottleneck_v1"),
    "ssd300_resnet152": resnet300(1 + 3 * 47 + 3, "bottleneck_v1"),
    "ssd300_mobilenet_v2": MOBILENET_V2._replace(
        # The four strided layers beyond the network are separable.
        num_variables=5 * (52 + 1 + 4 * 3),
        names=[
            "expand_layer_conv_13/weights",
            "expanded_conv_16/project/BatchNorm/moving_mean",
            "layer_19_1_Conv2d_2_1x1_256/weights",
            "layer_19_2_Conv2d_2_3x3_s2_512_depthwise/depthwise_weights",
            "layer_19_2_Conv2d_5_3x3_s2_128/BatchNorm/gamma",
        ],
        least_multiplier=1.0,
        options=f"{OVERRIDE} use_depthwise: true",
    ),
}
