#!/usr/bin/env bash
# Downloads COCO 2017 and the ResNet-50 of ImageNet, and converts COCO.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=examples/download.sh
source "$root/examples/download.sh"

usage() {
  cat <<'TEXT'
usage: download_all.sh [OPTION ...] IMAGE [DATA_DIR [CHECKPOINT_DIR]]

  IMAGE           Docker image to run the Python commands in, or - for none:
                  then .venv/bin/python, or that of PATH (or $PYTHON)
  DATA_DIR        gets coco_{train,val}.record-*, and the archives in raw-data/
                  (/data/coco2017_tfrecords)
  CHECKPOINT_DIR  gets resnet_v1_50/model.ckpt (/checkpoints)

  --dry_run        print every step and do none
  --with_test      also the test images, as coco_testdev.record-*
  --include_masks  also the objects' outlines, which SSD does not read
  --num_workers=N  processes that read images

Disk space, checked before anything is downloaded:
                            archives   unpacked   records
  train, val, annotations     20 GB      20 GB      20 GB
  test                         7 GB       7 GB       4 GB
  checkpoint                 0.1 GB     0.1 GB

A second call goes on where the first was stopped. raw-data/checksums.sha256
says what the archives must be; put published checksums there beforehand, or
keep the file: archives that are not in it are added after the first download.
COCO_URL and RESNET_URL name other servers.
TEXT
}

dry_run=${DRY_RUN:-0} with_test=false convert_flags=() arguments=()
for argument in "$@"; do
  case $argument in
    --help | -h) usage && exit ;;
    --dry_run) dry_run=1 ;;
    --with_test) with_test=true ;;
    --include_masks | --num_workers=*) convert_flags+=("$argument") ;;
    --*) fail 2 "unknown option $argument; --help lists them" ;;
    *) arguments+=("$argument") ;;
  esac
done
count=${#arguments[@]}
((count >= 1 && count <= 3)) ||
  fail 2 "expected 1 to 3 arguments, got $count arguments; --help lists them"

image=${arguments[0]}
data=$(realpath -m "${arguments[1]:-/data/coco2017_tfrecords}")
resnet=$(realpath -m "${arguments[2]:-/checkpoints}")/resnet_v1_50
raw=$data/raw-data
# Over https this host shows the certificate of the service that stores it.
coco_url=${COCO_URL:-http://images.cocodataset.org}
resnet_url=${RESNET_URL:-https://download.tensorflow.org/models}

if [[ -z $image || $image == - ]]; then
  run=(env "PYTHONPATH=$root/models/research" "$(find_python "$root")")
else
  run=(docker run --rm --user "$(id -u):$(id -g)"
    --volume "$root:$root:ro" --volume "$data:$data"
    --volume "$resnet:$resnet"
    --env "PYTHONPATH=$root/models/research" "$image" python)
fi

tool() { # A module of dataset_tools, with its flags.
  step "${run[@]}" -m "object_detection.dataset_tools.$1" "${@:2}"
}

archives=(annotations/annotations_trainval2017.zip)
for name in val train; do
  archives+=("zips/${name}2017.zip")
  json=$raw/annotations/instances_${name}2017.json
  convert_flags+=("--${name}_image_dir=$raw/${name}2017"
    "--${name}_annotations_file=$json")
done
if $with_test; then
  archives+=(annotations/image_info_test2017.zip zips/test2017.zip)
  json=$raw/annotations/image_info_test-dev2017.json
  convert_flags+=("--test_image_dir=$raw/test2017"
    "--testdev_annotations_file=$json")
fi

step mkdir -p "$raw" "$resnet" || fail 7 "cannot make the folders"
tool download --output_dir="$resnet" \
  --url="$resnet_url/resnet_v1_50_2016_08_28.tar.gz"
step mv -f "$resnet/resnet_v1_50.ckpt" "$resnet/model.ckpt"
# The records hold the images once more.
tool download --output_dir="$raw" --reserve_ratio=1 \
  "${archives[@]/#/--url=$coco_url/}"
tool create_coco_tf_record --output_dir="$data" "${convert_flags[@]}"
