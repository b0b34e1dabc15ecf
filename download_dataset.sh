#!/usr/bin/env bash
# Downloads COCO 2017.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: download_dataset.sh [--dry_run] [DIR]

  DIR        gets train2017, val2017, annotations and the archives (/coco)

  --dry_run  print every step and do none, as DRY_RUN=1 does

About 40 GB, checked before anything is downloaded. A second call goes on where
the first was stopped. DIR/checksums.sha256 says what the archives must be; put
published checksums there beforehand, or keep the file: archives that are not
in it are added after the first download. COCO_URL names another server; PYTHON
an interpreter.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=examples/download.sh
source "$root/examples/download.sh"
read_options /coco "$@"

# Over https this host shows the certificate of the service that stores it.
url=${COCO_URL:-http://images.cocodataset.org}
download "$root" "$directory" \
  "--url=$url/annotations/annotations_trainval2017.zip" \
  "--url=$url/zips/val2017.zip" "--url=$url/zips/train2017.zip"
