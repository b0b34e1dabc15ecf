#!/usr/bin/env bash
# Measures the speed of inference in mixed precision.
#   bash examples/SSD320_FP16_inference.sh [CONFIG_DIR] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" inference FP16 1 ssd320_full_1gpus.config "$@"
