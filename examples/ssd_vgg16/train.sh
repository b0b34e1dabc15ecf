#!/usr/bin/env bash
# Trains SSD-VGG and sums the run up, as the scripts of the SSD-VGG for Ascend
# do. The train_*.sh are calls of it.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: [SETTING=VALUE ...] bash train_full_1p.sh --data_path=DIR [FLAG ...]
       (train_performance_1p.sh: 2 epochs; train_full_8p.sh: 8 processes)

  --data_path=DIR  has pascal-voc, as download_voc.sh makes it or as
                   process_dataset writes it, and vgg_graph, with the ImageNet
                   weights of VGG-16
  FLAG             of the training, such as --epochs=20; --help-flags lists
                   them. --continue-training=true goes on with the last run

Writes to test/output/ID of the working directory, ID being ASCEND_DEVICE_ID;
in a directory named test to output/ID:
  train_ID.log           what was printed
  CASE.log               ten values of the run
  train_CASE_loss.txt    the loss of each epoch
  ckpt, tb               checkpoints, TensorBoard's events
What an earlier run left there is moved to ID.1, ID.2, ...
Settings:
  ASCEND_DEVICE_ID=N  the GPU of a single process (0)
  NGPU=N              another number of processes
  HOSTS=A:4,B:4       where they run; localhost:NGPU by default
  LAUNCHER=NAME       python, horovodrun or mpirun
  PYTHON=PATH         interpreter
  DRY_RUN=1           print the command and run nothing
The exit code is 1 for wrong arguments, else that of the training.
TEXT
}

wrong() { # MESSAGE ...
  echo "error: $*" >&2
  usage >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
research=$root/models/research
# shellcheck source-path=SCRIPTDIR source=../launch.sh
source "$root/examples/launch.sh"

(($# >= 3)) || { usage >&2; exit 1; }
kind=$1 usual_num_processes=$2 epochs=$3
shift 3
program=$research/object_detection/recipes/ssd_vgg16_train.py
data_path='' continues='' previous=''
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit ;;
    --help-flags) exec "$(find_python "$root")" "$program" --help ;;
    --data_path=?*) data_path=${argument#*=} ;;
    --data_path | --data_path=) wrong "--data_path: expected --data_path=DIR" ;;
    --continue-training=[Tt][Rr][Uu][Ee]) continues=1 ;;
    --*) ;;
    [Tt][Rr][Uu][Ee]) [[ $previous != --continue-training ]] || continues=1 ;;&
    *) [[ $previous == --* && $previous != *=* ]] ||
      wrong "$argument: every argument is a flag, --name=value" ;;
  esac
  previous=$argument
done
[[ -n $data_path ]] || wrong "--data_path is missing"
num_processes=${NGPU:-$usual_num_processes}
[[ $num_processes =~ ^[1-9][0-9]*$ ]] ||
  wrong "NGPU=$num_processes: expected a number of processes, 1 or more"

device=${ASCEND_DEVICE_ID:-0}
if [[ ${PWD##*/} == test ]]; then outputs=$PWD/output; else
  outputs=$PWD/test/output
fi
output=$outputs/$device
log=$output/train_$device.log

python=$(find_python "$root")
launcher_command "$num_processes" "$python"
if ((num_processes == 1)); then
  export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES-$device}
fi
command+=(
  "$python" -u "$program"
  "--name=$output/ckpt" "--tensorboard-dir=$output/tb"
  "--data-dir=$data_path/pascal-voc" "--vgg-dir=$data_path/vgg_graph"
  "--epochs=$epochs" "$@"
)
if [[ -n ${DRY_RUN-} && $DRY_RUN != 0 ]]; then
  printf -v line '%q ' "${command[@]}"
  echo "${line% }"
  exit
fi
require_packages "$num_processes" "$python"

mode=--overwrite
if [[ -n $continues ]]; then
  mode=--append
elif [[ -e $output ]]; then
  number=1
  while [[ -e $output.$number ]]; do number=$((number + 1)); done
  mv "$output" "$output.$number"
  echo "note: $output was of an earlier run; it is $output.$number now" >&2
fi
status=0
run_logged "$log" "$mode" "${command[@]}" || status=$?
if ((status)); then
  ((status != 2)) || { usage >&2; status=1; }
  exit "$status"
fi

# Prints the log without what horovodrun puts before each line.
lines() {
  sed -E 's/\[[0-9]+,[0-9]+\]<std(out|err)>://g' "$log"
}
# Prints what stands behind a text in the log for the last time, or n/a.
last() { # TEXT PATTERN
  local found
  found=$(lines | sed -nE "s/.*$1($2).*/\1/p" | tail -n 1)
  echo "${found:-n/a}"
}
product() { # FORMAT FACTOR FACTOR
  [[ $2 != n/a ]] || { echo n/a; return; }
  awk -v a="$2" -v b="$3" "BEGIN { printf \"$1\n\", a * b }"
}
number='[-+.0-9eEnai]+'
batch_size=$(last '^\[i\] Batch size: +' '[0-9]+')
num_images=$(last '^\[i\] Processes: +[0-9]+, ' '[0-9]+')
rate=$(last ' perf = ' "$number")
loss=$(last '^epoch:[0-9]+ loss:' "$number")
accuracy=$(last '^epoch:[0-9]+ train mAP: ' "$number")
fps=$(product %.2f "$rate" "$num_images")
step_ms=n/a
[[ $rate == n/a ]] ||
  step_ms=$(awk -v r="$rate" 'BEGIN { printf "%.2f\n", 1000 / r }')

network=SSD-VGG_ID1619_for_TensorFlow
case_name=${network}_bs${num_images}_${num_processes}p_$kind
{
  echo "Network = $network"
  echo "RankSize = $num_processes"
  echo "BatchSize = $batch_size"
  echo "DeviceType = $(uname -m)"
  echo "CaseName = $case_name"
  echo "ActualFPS = $fps"
  echo "TrainingTime = $step_ms"
  echo "ActualLoss = $loss"
  echo "E2ETrainingTime = $run_seconds"
  echo "TrainAccuracy = $accuracy"
} >"$output/$case_name.log"
lines | sed -nE "s/^epoch:[0-9]+ loss:($number).*/\1/p" \
  >"$output/train_${case_name}_loss.txt"

echo "Final Training Duration sec : $run_seconds"
echo "------------------ Final result ------------------"
echo "Final Performance images/sec : $fps"
echo "Final Train Accuracy : $accuracy"
