#!/usr/bin/env bash
# Trains SSD300 with MobileNet v2, as MindSpore's script for Ascend does.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: [SETTING=VALUE ...] bash run_distribute_train.sh DEVICE_NUM EPOCH_SIZE LR
         DATASET RANK_TABLE_FILE [PRE_TRAINED PRE_TRAINED_EPOCH_SIZE]
  DEVICE_NUM       processes, one on each GPU, started by Horovod
  EPOCH_SIZE, LR   epochs to reach, highest learning rate: 500 0.2 for 8
  DATASET          coco, voc or other
  RANK_TABLE_FILE  Ascend's list of devices: not read
  PRE_TRAINED      checkpoint to go on from, after PRE_TRAINED_EPOCH_SIZE epochs
Each process writes LOG<number>/log.txt, the first also the checkpoints
LOG0/ckpt_0/ssd-EPOCH_STEPS.ckpt. A training that stopped goes on when the same
command is given again. The script ends with the training; & lets it run.
EOT
  settings
}

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
(($# == 5 || $# == 7)) || wrong_arguments
require_number "$1"
require_dataset "$4"
flags=(--distribute=True "--device_num=$1" "--epoch_size=$2" "--lr=$3")
flags+=("--dataset=$4")
(($# == 5)) || flags+=("--pre_trained=$6" "--pre_trained_epoch_size=$7")
set_program ssd300_mobilenet_v2_train "${flags[@]}"
train "$1" "$PWD/LOG0" one_log_a_process
