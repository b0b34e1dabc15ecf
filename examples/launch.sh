# shellcheck shell=bash
# What run.sh needs to start a program: an interpreter, a launcher, a log.

fail() { # CODE MESSAGE ...
  echo "error: ${*:2}" >&2
  exit "$1"
}

# Prints the interpreter to use.
find_python() { # CHECKOUT
  if [[ -n ${PYTHON-} ]]; then
    echo "$PYTHON"
  # Conda's base environment is active without having been chosen.
  elif [[ -z ${VIRTUAL_ENV-} && ${CONDA_DEFAULT_ENV:-base} == base &&
    -x $1/.venv/bin/python ]]; then
    echo "$1/.venv/bin/python"
  elif command -v python >/dev/null; then
    echo python
  else
    echo python3
  fi
}

# Prints the horovodrun that belongs to an interpreter, or that of PATH.
find_horovodrun() { # PYTHON
  local beside
  beside=$(dirname "$(command -v "$1" || echo .)")/horovodrun
  if [[ -x $beside ]]; then echo "$beside"; else command -v horovodrun; fi
}

# Sets `command` to what starts several copies of the program that follows.
launcher_command() { # NUM_PROCESSES PYTHON
  local num=$1 hosts=${HOSTS:-localhost:$1} launcher=${LAUNCHER-}
  local horovodrun name
  horovodrun=$(find_horovodrun "$2") || horovodrun=
  if [[ -z $launcher ]]; then
    if ((num == 1)); then
      launcher=python
    elif [[ -n $horovodrun ]]; then
      launcher=horovodrun
    elif command -v mpirun >/dev/null; then
      launcher=mpirun
    else
      fail 6 "NGPU=$num: neither horovodrun nor mpirun is there to start" \
        "$num processes; 'make horovod' installs the first"
    fi
  fi
  command=()
  case $launcher in
    python)
      ((num == 1)) || fail 2 "LAUNCHER=python starts one process, not $num"
      ;;
    horovodrun) command=("${horovodrun:-horovodrun}" -np "$num" -H "$hosts") ;;
    mpirun)
      command=(mpirun)
      ((EUID != 0)) || command+=(--allow-run-as-root)
      command+=(-np "$num" -H "$hosts" -bind-to none -map-by slot)
      command+=(-x "NCCL_DEBUG=${NCCL_DEBUG:-INFO}")
      # mpirun complains of a variable that is not set.
      for name in LD_LIBRARY_PATH PATH PYTHONPATH; do
        [[ -z ${!name-} ]] || command+=(-x "$name")
      done
      command+=(-mca pml ob1 -mca btl ^openib)
      ;;
    *) fail 2 "LAUNCHER=$launcher: expected python, horovodrun or mpirun" ;;
  esac
}

# Ends this script where the interpreter cannot run the program.
require_packages() { # NUM_PROCESSES PYTHON
  local missing
  missing=$("$2" -c '
import importlib.util
wanted = ("absl", "keras", "tensorflow")
print(*[name for name in wanted if importlib.util.find_spec(name) is None])
' 2>/dev/null) || missing="working Python"
  [[ -z $missing ]] ||
    fail 7 "$2 cannot import object_detection, it has no $missing: run" \
      "'make setup', which makes .venv, or activate an environment that has it"
  (($1 == 1)) || "$2" -c '
import importlib.util, sys
sys.exit(importlib.util.find_spec("horovod") is None)' ||
    fail 6 "NGPU=$1: $2 has no Horovod, by which processes work together:" \
      "run 'make horovod'"
}

# Runs a command whose output also goes to a log; returns its exit code and
# sets run_seconds to how long it took.
run_logged() { # LOG --append|--overwrite COMMAND ...
  local log=$1 options=(--ignore-interrupts) status=0 program tee start
  [[ $2 != --append ]] || options+=(--append)
  shift 2
  { mkdir -p "$(dirname "$log")" && touch "$log"; } 2>/dev/null ||
    fail 7 "$log: cannot be written; give another directory as first argument"
  # Job control gives the program a process group of its own, so that Ctrl-C
  # and SIGTERM reach it once, from here, and it saves a checkpoint in peace.
  set -m
  exec 3> >(exec tee "${options[@]}" "$log")
  tee=$!
  "$@" >&3 2>&3 3>&- </dev/null &
  program=$!
  trap 'kill -TERM "$program" 2>/dev/null' TERM
  trap 'kill -INT "$program" 2>/dev/null' INT
  start=$SECONDS
  wait "$program" || status=$?
  # A signal ends `wait`, but not yet the program.
  while kill -0 "$program" 2>/dev/null; do
    status=0
    wait "$program" || status=$?
  done
  trap - TERM INT
  run_seconds=$((SECONDS - start))
  printf 'Took %d:%02d:%02d\n' $((run_seconds / 3600)) \
    $((run_seconds / 60 % 60)) $((run_seconds % 60)) >&3
  exec 3>&-
  wait "$tee" || ((status)) || fail 7 "$log: could not be written to its end"
  return "$status"
}
