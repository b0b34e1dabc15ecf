#!/usr/bin/env bash
# Measures the speed of SSD300's network in mixed precision.
#   bash SSD300_FP16_INFERENCE_BENCHMARK.sh REPO DATA [FLAG ...]
# Settings: bash run.sh --help
set -euo pipefail
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" 1 --amp --mode benchmark-inference --eval-batch-size 32 -- "$@"
