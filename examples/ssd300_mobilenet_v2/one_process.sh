#!/usr/bin/env bash
# Runs a command as one process of several, whose output goes to a log of its
# own: DIRECTORY/LOG<its number>/log.txt.
#   bash one_process.sh DIRECTORY COMMAND ...
set -euo pipefail
log_dir=$1/LOG${HOROVOD_RANK:-${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}}
shift
mkdir -p "$log_dir"
exec "$@" >>"$log_dir/log.txt" 2>&1
