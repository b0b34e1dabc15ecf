import subprocess
import sys

import numpy as np
import tensorflow as tf

from object_detection.data_decoders import sample_image_sets


def run_tool(folder, *flags):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "object_detection.dataset_tools.create_txt_tf_record",
            f"--image_dir={folder}/images",
            f"--annotations_file={folder}/boxes.txt",
            f"--label_map_path={folder}/map.pbtxt",
            f"--output_path={folder}/out.record",
            "--num_workers=1",
            *flags,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_writes_what_the_decoder_reads(tmp_path):
    images = sample_image_sets.make_images(3)
    sample_image_sets.write_txt(tmp_path, images)
    sample_image_sets.write_label_map(tmp_path)
    lines = (tmp_path / "boxes.txt").read_text()
    (tmp_path / "boxes.txt").write_text(f"gone.jpg 1,2,3,4,1\n{lines}")

    done = run_tool(tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"missing {tmp_path}/boxes.txt:1: no image" in done.stdout
    assert "3 images, 3 objects (cat 1, dog 1, toothbrush 1)" in done.stdout
    assert "1 lines left out, named above" in done.stdout
    record = list(tf.data.TFRecordDataset(f"{tmp_path}/out.record"))[1]
    feature = tf.train.Example.FromString(record.numpy()).features.feature
    assert feature["image/source_id"].bytes_list.value[0] == b"3"
    assert feature["image/object/class/label"].int64_list.value == [3, 1]
    np.testing.assert_allclose(
        feature["image/object/bbox/xmax"].float_list.value, [13 / 35, 1]
    )

    (tmp_path / "boxes.txt").write_text("000001.jpg 1,2,3\n")
    refused = run_tool(tmp_path)
    assert refused.returncode == 3
    assert refused.stderr.startswith(f"ERROR: {tmp_path}/boxes.txt:1: expected")
    assert refused.stderr.count("\n") == 1
