#!/usr/bin/env bash
# Trains SSD300 on COCO with 1 GPU in mixed precision.
#   bash SSD300_FP16_1GPU.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 1 --amp --batch-size 64 --warmup 300 -- "$@"
