#!/usr/bin/env bash
# Evaluates SSD300 with MobileNet v2, as MindSpore's script for GPUs does.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: [SETTING=VALUE ...] bash run_eval_gpu.sh DATASET CHECKPOINT_PATH DEVICE_ID
  DATASET          coco, voc or other
  CHECKPOINT_PATH  such as LOG0/ckpt_0/ssd-500_458.ckpt, or a folder for its
                   newest
  DEVICE_ID        number of the GPU, if there is one
Writes eval<DEVICE_ID>/log.txt and eval<DEVICE_ID>/predictions.json.
EOT
  settings
}

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
(($# == 3)) || wrong_arguments
require_dataset "$1"
require_number "$3"
evaluate "$@" --run_platform=GPU
