#!/usr/bin/env bash
# Trains SSD300 on COCO with 4 GPUs in float32.
#   bash SSD300_FP32_4GPU.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 4 --batch-size 32 --warmup 300 -- "$@"
