#!/usr/bin/env bash
# Starts SSD300 with ResNet-50 on one process or on several. Every SSD300_*.sh
# is one call of it.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: [SETTING=VALUE ...] bash SSD300_*.sh REPO DATA [FLAG ...]
       [SETTING=VALUE ...] bash SSD300_*_EVAL.sh REPO DATA CHECKPOINT [FLAG ...]
REPO is this checkout, DATA COCO's folder with train2017, val2017 and
annotations, CHECKPOINT such as models/epoch_64. FLAGs go to
models/research/object_detection/recipes/ssd300_resnet50.py, whose --help lists
them; they win over those of the script. The exit code is that of the program.
Settings:
  NGPU=N         another number of processes, one on each GPU
  HOSTS=A:4,B:4  where they run; localhost:NGPU by default
  LAUNCHER=NAME  python, horovodrun or mpirun, in place of the one chosen here
  PYTHON=PATH    interpreter; by default that of the active environment, else of
                 .venv in REPO, else of PATH
  DRY_RUN=1      print the command and run nothing
The scripts call: run.sh [--eval] NGPU [FLAG ...] -- [ARGUMENT ...]
EOF
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../launch.sh
source "$here/../launch.sh"

for argument in "$@"; do
  [[ ! $argument =~ ^(-h|--help)$ ]] || { usage; exit 0; }
done
num_arguments=2
if [[ ${1-} == --eval ]]; then
  num_arguments=3
  shift
fi
num_processes=${NGPU:-${1-}}
[[ $num_processes =~ ^[1-9][0-9]*$ ]] ||
  fail 2 "NGPU=$num_processes: expected a number of processes, 1 or more"
flags=()
shift
while (($#)) && [[ $1 != -- ]]; do
  flags+=("$1")
  shift
done
(($#)) || { usage >&2; exit 2; }
shift
(($# >= num_arguments)) || { usage >&2; exit 2; }
repo=$1 data=$2
shift 2
if ((num_arguments == 3)); then
  flags+=(--mode evaluation --checkpoint "$1")
  shift
fi
main=$repo/models/research/object_detection/recipes/ssd300_resnet50.py
[[ -f $main ]] || fail 2 "$repo: expected this checkout, there is no $main"

python=$(find_python "$repo")
launcher_command "$num_processes" "$python"
command+=("$python" -u "$main" --backbone resnet50 "${flags[@]}")
command+=(--data "$data" "$@")
if [[ -n ${DRY_RUN-} && $DRY_RUN != 0 ]]; then
  printf -v line '%q ' "${command[@]}"
  echo "${line% }"
  exit
fi
require_packages "$num_processes" "$python"
exec "${command[@]}"
