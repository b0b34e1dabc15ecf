#!/bin/sh
# Writes the *_pb2.py files of this folder from its .proto files.
#
# The compiler is pinned, in a virtual environment of its own: code generated
# by it loads under every protobuf that TensorFlow 2.17 and 2.18 allow
# (4.25 to 5.x). A newer compiler writes code that refuses older runtimes.
#
# Usage: generate.sh [OUTPUT_ROOT]
#   OUTPUT_ROOT  folder that gets object_detection/protos/*_pb2.py, by default
#                the source tree itself.
# PYTHON names an interpreter of 3.10 to 3.12, PROTOC_VENV another folder for
# the compiler.
set -eu

compiler="grpcio-tools==1.62.3"
protos=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$protos/../.." && pwd)
output=${1:-$root}
venv=${PROTOC_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/object_detection/protoc}

if ! "$venv/bin/python" -c "import grpc_tools" 2>/dev/null; then
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/pip" install --quiet "setuptools<70" "$compiler"
fi
mkdir -p "$output"
cd "$root"
"$venv/bin/python" -m grpc_tools.protoc --proto_path=. \
  --python_out="$output" object_detection/protos/*.proto
