#!/usr/bin/env bash
# Starts a training, an evaluation or an inference benchmark on one process or
# on several. Every SSD320_*.sh is one call of it.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: [SETTING=VALUE ...] bash examples/run.sh TASK PRECISION NGPU CONFIG ...
  train, benchmark  [MODEL_DIR [CONFIG_DIR]] [FLAG ...]
  evaluate          CHECKPOINT_DIR [CONFIG_DIR] [FLAG ...]
  inference         [CONFIG_DIR] [FLAG ...]
PRECISION is FP16 or FP32, NGPU the number of processes, one on each GPU, and
CONFIG a file of CONFIG_DIR. The SSD320_*.sh give these four and take the rest.
FLAGs go to model_main.py or SSD320_inference.py, whose --help lists them.
MODEL_DIR/train_log is what a training printed; a benchmark puts its speed
first. The exit code is that of the program.
Settings:
  NGPU=N         another number of processes
  HOSTS=A:4,B:4  where they run; localhost:NGPU by default
  LAUNCHER=NAME  python, horovodrun or mpirun, in place of the one chosen here
  PYTHON=PATH    interpreter; by default that of the active environment, else of
                 .venv in the checkout, else of PATH
  DRY_RUN=1      print the command and run nothing
EOF
}

examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$examples")
research=$root/models/research
# shellcheck source-path=SCRIPTDIR source=launch.sh
source "$examples/launch.sh"

for argument in "$@"; do
  [[ ! $argument =~ ^(-h|--help)$ ]] || { usage; exit 0; }
done
(($# >= 4)) || { usage >&2; exit 2; }
task=$1 precision=$2 usual_num_processes=$3 config=$4
shift 4
num_processes=${NGPU:-$usual_num_processes}
[[ $num_processes =~ ^[1-9][0-9]*$ ]] ||
  fail 2 "NGPU=$num_processes: expected a number of processes, 1 or more"

# What comes before the first flag are directories.
directories=()
max_directories=2
[[ $task != inference ]] || max_directories=1
while (($# && ${#directories[@]} < max_directories)) && [[ $1 != -* ]]; do
  directories+=("$1")
  shift
done
config_path=${directories[max_directories - 1]:-$root/configs}/$config
main_dir=${directories[0]-}

python=$(find_python "$root")
program=(
  "$python" -u "$research/object_detection/model_main.py"
  "--pipeline_config_path=$config_path"
)
case $task in
  train | benchmark)
    main_dir=${main_dir:-/results/SSD320_${precision}_${num_processes}GPU}
    [[ " $* " != *" --model_dir"[\ =]* ]] ||
      fail 2 "--model_dir: give the directory as the first argument instead"
    program+=("--model_dir=$main_dir")
    # The speed needs no evaluation.
    [[ $task == train ]] || program+=(--eval_count=0)
    ;;
  evaluate)
    [[ -n $main_dir || " $*" == *" --checkpoint_dir"* ]] ||
      fail 2 "expected CHECKPOINT_DIR, the directory of a training"
    program+=(--model_dir=/results --run_once)
    [[ -z $main_dir ]] || program+=("--checkpoint_dir=$main_dir")
    ;;
  inference)
    ((num_processes == 1)) ||
      fail 2 "NGPU=$num_processes: the inference benchmark has one process"
    program[2]=$examples/SSD320_inference.py
    ;;
  *) fail 2 "$task: expected train, benchmark, evaluate or inference" ;;
esac
case $precision in
  FP16) program+=(--amp) ;;
  FP32) ;;
  *) fail 2 "$precision: expected the precision FP16 or FP32" ;;
esac
program+=("$@")

launcher_command "$num_processes" "$python"
command+=("${program[@]}")
if [[ -n ${DRY_RUN-} && $DRY_RUN != 0 ]]; then
  printf -v line '%q ' "${command[@]}"
  echo "${line% }"
  exit
fi
require_packages "$num_processes" "$python"
case $task in
  train)
    ((num_processes == usual_num_processes)) ||
      echo "note: $config is made for $usual_num_processes processes" >&2
    run_logged "$main_dir/train_log" --append "${command[@]}"
    ;;
  benchmark)
    [[ ! -e $main_dir/checkpoint ]] ||
      fail 2 "$main_dir holds a training, which would go on: give a new" \
        "directory as first argument"
    run_logged "$main_dir/train_log" --overwrite "${command[@]}"
    options=("--log=$main_dir/train_log" "--model_dir=$main_dir")
    options+=("--num_processes=$num_processes" "--precision=$precision")
    for argument in "$@"; do
      [[ $argument != --accumulate_steps=* ]] || options+=("$argument")
    done
    PYTHONPATH=$research${PYTHONPATH:+:$PYTHONPATH} \
      exec "$python" -m object_detection.utils.training_speed "${options[@]}"
    ;;
  *) exec "${command[@]}" ;;
esac
