# shellcheck shell=bash
# What download_voc.sh and download_dataset.sh share: options and one step.
# shellcheck source-path=SCRIPTDIR source=launch.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"

# Sets `dry_run` and `directory` from the command line of the caller, whose
# `usage` prints the help.
read_options() { # DEFAULT_DIRECTORY ARGUMENT ...
  local argument directories=()
  dry_run=${DRY_RUN:-0}
  for argument in "${@:2}"; do
    case $argument in
      --help | -h) usage && exit ;;
      --dry_run) dry_run=1 ;;
      --*) fail 2 "unknown option $argument; --help lists them" ;;
      *) directories+=("$argument") ;;
    esac
  done
  ((${#directories[@]} <= 1)) || fail 2 "expected 1 argument at most," \
    "got ${#directories[@]}; --help lists them"
  # Read by the caller.
  # shellcheck disable=SC2034
  directory=$(realpath -m "${directories[0]:-$1}")
}

# Prints the command that downloads and unpacks archives, and runs it.
download() { # CHECKOUT DIRECTORY FLAG ...
  local command=(env "PYTHONPATH=$1/models/research" "$(find_python "$1")"
    -m object_detection.dataset_tools.download "--output_dir=$2" "${@:3}")
  printf '+'
  printf ' %q' "${command[@]}"
  printf '\n'
  [[ $dry_run == 1 ]] || "${command[@]}"
}
