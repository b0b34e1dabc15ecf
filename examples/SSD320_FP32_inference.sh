#!/usr/bin/env bash
# Measures the speed of inference in float32 or TF32.
#   bash examples/SSD320_FP32_inference.sh [CONFIG_DIR] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" inference FP32 1 ssd320_full_1gpus.config "$@"
