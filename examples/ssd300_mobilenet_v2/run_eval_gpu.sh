#!/usr/bin/env bash
# Evaluates SSD300 with MobileNet v2, as MindSpore's script for GPUs does.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
evaluate_as run_eval_gpu.sh "--run_platform=GPU" "$@"
