"""Tests of the frame that a saved detector's boxes are in, by numbers."""

import numpy as np
import tensorflow as tf

from object_detection.inference import detection_module
from object_detection.preprocessing import image_resizer


class OneBox:
    """Detects one box and point in the middle of the padded image."""

    variables = ()

    def normalize(self, images):
        return images

    def predict(self, images, true_shapes, training):
        assert training is False
        return {}

    def postprocess(self, predictions, true_shapes):
        count = tf.shape(true_shapes)[0]

        def of_each(values, dtype=tf.float32):
            value = tf.constant(values, dtype)[tf.newaxis]
            return tf.repeat(value, count, axis=0)

        return {
            "detection_boxes": of_each([[0.25, 0.25, 0.5, 0.75]]),
            "detection_keypoints": of_each([[[0.375, 0.5], [0.1, 0.2]]]),
            "detection_scores": of_each([0.9]),
            "detection_classes": of_each([4.0]),
            "num_detections": of_each(1.0),
        }


def module(**settings):
    resizer = image_resizer.KeepAspectRatioResizer(
        min_dimension=20, max_dimension=40, **settings
    )
    return detection_module.DetectionModule(OneBox(), resizer)


def test_boxes_and_points_are_in_the_frame_of_the_image():
    padded = module(pad_to_max_dimension=True)
    # 10 x 20 becomes 20 x 40 of 40 x 40: its height is half of the padded.
    found = padded.image_tensor(np.zeros((2, 10, 20, 3), np.uint8))
    for image in (0, 1):
        np.testing.assert_allclose(
            found["detection_boxes"][image], [[0.5, 0.25, 1.0, 0.75]]
        )
        np.testing.assert_allclose(
            found["detection_keypoints"][image], [[[0.75, 0.5], [0.2, 0.2]]]
        )


def test_each_image_of_a_batch_has_its_own_frame():
    padded = module(pad_to_max_dimension=True)
    files = [
        tf.io.encode_png(np.zeros((*size, 3), np.uint8))
        for size in ((10, 20), (30, 20), (7, 7))
    ]
    found = padded.encoded_image_string_tensor(tf.stack(files))
    # 20 x 40, 30 x 20 and 20 x 20 of 40 x 40.
    np.testing.assert_allclose(
        found["detection_boxes"][:, 0],
        [[0.5, 0.25, 1, 0.75], [1 / 3, 0.5, 2 / 3, 1.5], [0.5, 0.5, 1, 1.5]],
        rtol=1e-6,
    )


def test_without_padding_boxes_stay():
    found = module().image_tensor(np.zeros((1, 10, 20, 3), np.uint8))
    np.testing.assert_allclose(
        found["detection_boxes"], [[[0.25, 0.25, 0.5, 0.75]]]
    )


def test_classes_count_from_1():
    found = module().image_tensor(np.zeros((1, 10, 20, 3), np.uint8))
    assert found["detection_classes"].numpy().tolist() == [[5.0]]


def test_raw_pixels_of_a_record_have_the_stated_size():
    example = tf.train.Example()
    feature = example.features.feature
    feature["image/encoded"].bytes_list.value.append(bytes(10 * 20 * 3))
    feature["image/format"].bytes_list.value.append(b"raw")
    feature["image/height"].int64_list.value.append(10)
    feature["image/width"].int64_list.value.append(20)
    padded = module(pad_to_max_dimension=True)
    found = padded.tf_example(tf.constant([example.SerializeToString()]))
    np.testing.assert_allclose(
        found["detection_boxes"], [[[0.5, 0.25, 1.0, 0.75]]]
    )


def test_a_gray_detector_gets_one_channel():
    gray = module(pad_to_max_dimension=True, convert_to_grayscale=True)
    images, _ = gray.detect_resized.input_signature
    assert images.shape.as_list() == [None, 40, 40, 1]
    found = gray.image_tensor(np.zeros((1, 10, 20, 3), np.uint8))
    assert found["num_detections"].numpy().tolist() == [1.0]
