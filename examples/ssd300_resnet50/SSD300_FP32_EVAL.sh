#!/usr/bin/env bash
# Evaluates a checkpoint of SSD300 on COCO in float32.
#   bash SSD300_FP32_EVAL.sh REPO DATA CHECKPOINT [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" --eval 1 --eval-batch-size 32 -- "$@"
