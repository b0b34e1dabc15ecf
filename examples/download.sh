# shellcheck shell=bash
# What the download scripts share: options, and the steps that they print.
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

# Prints a command and runs it, unless `dry_run` is 1.
step() { # COMMAND ...
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  [[ $dry_run == 1 ]] || "$@"
}

# Downloads and unpacks archives.
download() { # CHECKOUT DIRECTORY FLAG ...
  step env "PYTHONPATH=$1/models/research" "$(find_python "$1")" \
    -m object_detection.dataset_tools.download "--output_dir=$2" "${@:3}"
}
