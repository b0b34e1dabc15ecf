#!/usr/bin/env bash
# Trains SSD300 on one device, 200 epochs.
#   bash examples/ssd_vgg16/train_full_1p.sh --data_path=DIR [FLAG ...]
# Settings: bash examples/ssd_vgg16/train_full_1p.sh --help
train=$(dirname "${BASH_SOURCE[0]}")/train.sh
exec bash "$train" acc 1 200 "$@"
