#!/usr/bin/env bash
# Measures the speed of SSD300's network in float32.
#   bash SSD300_FP32_INFERENCE_BENCHMARK.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 1 --mode benchmark-inference --eval-batch-size 32 -- "$@"
