#!/usr/bin/env bash
# Trains and evaluates every feature extractor for two steps, from its config.
#
#   bash qa/parity/all_types.sh [TYPE ...]
#
# draws a small data set and, for each `type` that a config may name (or each
# given one), runs model_main on the config of configs/ that has it: two steps
# at batch 2 and an evaluation, at the config's own image size. Prints a line
# for each, with its seconds; exit code 1 when one failed. WORK_DIR keeps the
# logs and models; PYTHON chooses the interpreter.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-$(test -x "$root/.venv/bin/python" && echo "$root/.venv/bin/python" || echo python3)}
work=${WORK_DIR:-$(mktemp -d)}
mkdir -p "$work"
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}

"$python" -m object_detection.dataset_tools.create_shapes_tf_record \
  --output_dir="$work/data" --num_train=8 --num_val=4 \
  >"$work/data.log" 2>&1 || {
  tail -n 3 "$work/data.log" >&2
  exit 1
}

types=("$@")
if ((${#types[@]} == 0)); then
  mapfile -t types < <("$python" -c '
from object_detection.builders import feature_extractor_builder
print(*feature_extractor_builder.types(), sep="\n")')
fi

# The config that has a type; the deeper ResNets share that of ResNet-50.
config_of() {
  local name=${1/resnet101/resnet50}
  name=${name/resnet152/resnet50}
  grep -lE "^ *type: \"$name\"" "$root"/configs/*_coco.config | head -n 1
}

failures=0
for type in "${types[@]}"; do
  config=$(config_of "$type")
  overrides="model.ssd.feature_extractor.type=$type,model.ssd.num_classes=5"
  overrides+=",batch_size=2,label_map_path=$work/data/shapes_label_map.pbtxt"
  overrides+=",train_input_path=$work/data/shapes_train.record-*"
  overrides+=",eval_input_path=$work/data/shapes_val.record-*"
  rm -rf "${work:?}/$type"
  start=$SECONDS
  if "$python" -m object_detection.model_main \
    --pipeline_config_path="$config" --model_dir="$work/$type" \
    --num_train_steps=2 --log_steps=1 --raport_file="$work/$type.json" \
    --hparams_overrides="$overrides" >"$work/$type.log" 2>&1; then
    map=$(grep -oE 'Loss/total_loss = [^,]+' "$work/$type.log" | tail -n 1)
    printf '%-28s ok     %4d s   %s   %s\n' "$type" $((SECONDS - start)) \
      "$(basename "$config")" "$map"
  else
    printf '%-28s FAILED %4d s   %s\n' "$type" $((SECONDS - start)) \
      "$(tail -n 1 "$work/$type.log")"
    failures=$((failures + 1))
  fi
done
echo "${#types[@]} types, $failures failed; logs in $work"
((failures == 0))
