#!/usr/bin/env bash
# Trains SSD300 on COCO with 8 A100s in TensorFloat-32.
#   bash SSD300_A100_FP32_8GPU.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 8 --batch-size 128 --learning-rate 2.7e-3 \
  --warmup 1200 -- "$@"
