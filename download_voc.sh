#!/usr/bin/env bash
# Downloads Pascal VOC 2007 and 2012.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: download_voc.sh [--dry_run] [DIR]

  DIR        gets trainval/VOCdevkit/VOC2007 and VOC2012, test/VOCdevkit/VOC2007
             and the three archives (pascal-voc)

  --dry_run  print every step and do none, as DRY_RUN=1 does

About 6 GB, checked before anything is downloaded. A second call goes on where
the first was stopped. VOC_URL names another server; PYTHON an interpreter.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=examples/download.sh
source "$root/examples/download.sh"
read_options pascal-voc "$@"

url=${VOC_URL:-http://host.robots.ox.ac.uk/pascal/VOC}
trainval_2007=VOCtrainval_06-Nov-2007.tar
trainval_2012=VOCtrainval_11-May-2012.tar
test_2007=VOCtest_06-Nov-2007.tar

# The test images, which come afterwards, are 0.2 times as large as these, and
# are unpacked, too.
download "$root" "$directory/trainval" --reserve_ratio=0.4 \
  "--url=$url/voc2007/$trainval_2007" "--url=$url/voc2012/$trainval_2012" \
  "--md5=$trainval_2007:c52e279531787c972589f7e41ab4ae64" \
  "--md5=$trainval_2012:6cd6e144f989b92b3379bac3b3de84fd"
download "$root" "$directory/test" "--url=$url/voc2007/$test_2007" \
  "--md5=$test_2007:b6e924de25625d8de591ea690078ad9f"
