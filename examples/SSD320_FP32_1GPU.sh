#!/usr/bin/env bash
# Trains SSD320 on COCO with one GPU in float32 or TF32.
#   bash examples/SSD320_FP32_1GPU.sh [MODEL_DIR [CONFIG_DIR]] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" train FP32 1 ssd320_full_1gpus.config "$@"
