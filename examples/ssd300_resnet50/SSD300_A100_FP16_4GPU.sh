#!/usr/bin/env bash
# Trains SSD300 on COCO with 4 A100s in mixed precision.
#   bash SSD300_A100_FP16_4GPU.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 4 --amp --batch-size 256 --learning-rate 2.7e-3 \
  --warmup 1200 -- "$@"
