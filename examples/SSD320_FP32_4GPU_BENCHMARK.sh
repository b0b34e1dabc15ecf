#!/usr/bin/env bash
# Measures the training speed of 4 GPUs in float32 or TF32.
#   bash examples/SSD320_FP32_4GPU_BENCHMARK.sh \
#     [MODEL_DIR [CONFIG_DIR]] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" benchmark FP32 4 ssd320_bench.config "$@"
