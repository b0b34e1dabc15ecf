#!/usr/bin/env bash
# Evaluates the newest checkpoint of a training, or the one that is named.
#   bash examples/SSD320_evaluate.sh CHECKPOINT_DIR [CONFIG_DIR] [FLAG ...]
# Settings: bash examples/run.sh --help
run=$(dirname "${BASH_SOURCE[0]}")/run.sh
exec bash "$run" evaluate FP32 1 ssd320_full_1gpus.config "$@"
