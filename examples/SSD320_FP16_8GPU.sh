#!/usr/bin/env bash
# Trains SSD320 on COCO with 8 GPUs in mixed precision.
#   bash examples/SSD320_FP16_8GPU.sh [MODEL_DIR [CONFIG_DIR]] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" train FP16 8 ssd320_full_8gpus.config "$@"
