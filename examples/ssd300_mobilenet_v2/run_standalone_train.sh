#!/usr/bin/env bash
# Trains SSD300 with MobileNet v2 on one device.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: [SETTING=VALUE ...] bash run_standalone_train.sh DEVICE_ID EPOCH_SIZE LR
         DATASET [PRE_TRAINED PRE_TRAINED_EPOCH_SIZE]
  DEVICE_ID       number of the GPU, if there is one
  EPOCH_SIZE, LR  epochs to reach, highest learning rate: 500 0.05
  DATASET         coco, voc or other
  PRE_TRAINED     checkpoint to go on from, after PRE_TRAINED_EPOCH_SIZE epochs
Writes LOG<DEVICE_ID>/log.txt and the checkpoints
LOG<DEVICE_ID>/ckpt_0/ssd-EPOCH_STEPS.ckpt. A training that stopped goes on when
the same command is given again.
EOT
  settings
}

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
(($# == 4 || $# == 6)) || wrong_arguments
require_number "$1"
require_dataset "$4"
flags=("--device_id=$1" "--epoch_size=$2" "--lr=$3" "--dataset=$4")
(($# == 4)) || flags+=("--pre_trained=$5" "--pre_trained_epoch_size=$6")
set_program ssd300_mobilenet_v2_train "${flags[@]}"
train 1 "$PWD/LOG$1"
