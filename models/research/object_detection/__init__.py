"""Single-shot object detectors that train from a pipeline.config."""

import os

# TensorFlow reads this while it loads: without it each command opens with
# lines on instruction sets. Warnings still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
