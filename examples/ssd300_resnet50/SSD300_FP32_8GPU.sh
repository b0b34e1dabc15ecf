#!/usr/bin/env bash
# Trains SSD300 on COCO with 8 GPUs in float32.
#   bash SSD300_FP32_8GPU.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 8 --batch-size 32 --warmup 300 -- "$@"
