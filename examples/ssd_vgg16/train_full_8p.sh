#!/usr/bin/env bash
# Trains SSD300 on 8 devices, which share the images of each epoch.
#   bash examples/ssd_vgg16/train_full_8p.sh --data_path=DIR [FLAG ...]
# Settings: bash examples/ssd_vgg16/train_full_8p.sh --help
train=$(dirname "${BASH_SOURCE[0]}")/train.sh
exec bash "$train" acc 8 200 "$@"
