#!/usr/bin/env bash
# Trains SSD300 with MobileNet v2, as MindSpore's script for GPUs does.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: [SETTING=VALUE ...] bash run_distribute_train_gpu.sh DEVICE_NUM
         EPOCH_SIZE LR DATASET [PRE_TRAINED PRE_TRAINED_EPOCH_SIZE]
  DEVICE_NUM      processes, one on each GPU, started by Horovod
  EPOCH_SIZE, LR  epochs to reach, highest learning rate: 800 0.2 for 8
  DATASET         coco, voc or other
  PRE_TRAINED     checkpoint to go on from, after PRE_TRAINED_EPOCH_SIZE epochs
Computes in float16 without a loss scale and writes LOG/log.txt, with a line a
step, and the checkpoints LOG/ckpt_0/ssd-EPOCH_STEPS.ckpt. A training that
stopped goes on when the same command is given again.
EOT
  settings
}

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
(($# == 4 || $# == 6)) || wrong_arguments
require_number "$1"
require_dataset "$4"
flags=(--run_platform=GPU --loss_scale=1 --mode=normal)
flags+=(--distribute=True "--device_num=$1" "--epoch_size=$2" "--lr=$3")
flags+=("--dataset=$4")
(($# == 4)) || flags+=("--pre_trained=$5" "--pre_trained_epoch_size=$6")
set_program ssd300_mobilenet_v2_train "${flags[@]}"
train "$1" "$PWD/LOG"
