#!/usr/bin/env bash
# Measures the speed of SSD300 on one device in two epochs.
#   bash examples/ssd_vgg16/train_performance_1p.sh --data_path=DIR [FLAG ...]
# Settings: bash examples/ssd_vgg16/train_performance_1p.sh --help
train=$(dirname "${BASH_SOURCE[0]}")/train.sh
exec bash "$train" perf 1 2 "$@"
