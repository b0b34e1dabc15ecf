#!/usr/bin/env bash
# Measures the training speed of 8 GPUs in mixed precision.
#   bash examples/SSD320_FP16_8GPU_BENCHMARK.sh \
#     [MODEL_DIR [CONFIG_DIR]] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" benchmark FP16 8 ssd320_bench.config "$@"
