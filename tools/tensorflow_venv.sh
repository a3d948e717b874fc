#!/usr/bin/env bash
# Makes the virtual environment in which tests compare with real TensorFlow. Once;
# an interrupted run is made up for by the next.
#
#   tools/tensorflow_venv.sh
#
# ORIEL_VENV_DIR: where, default build/venv-tensorflow.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
venv=${ORIEL_VENV_DIR:-$root/build/venv-tensorflow}
packages=(tensorflow-cpu==2.21.0 numpy==2.4.6 safetensors==0.8.0)
stamp="${packages[*]}"

is_complete() {
  [[ -f $venv/.complete && $(<"$venv/.complete") == "$stamp" ]]
}

is_complete && exit 0
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9
is_complete && exit 0 # another run made it while this one waited

echo "Making a virtual environment with ${packages[*]} (about 300 MB) in $venv"
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
# Imports only once: a TensorFlow that this CPU cannot run fails here, plainly.
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES='' \
  "$venv/bin/python" -c 'import tensorflow' 2>/dev/null || {
  echo "tensorflow_venv: TensorFlow is installed but does not import" >&2
  exit 1
}
printf '%s' "$stamp" >"$venv/.complete"
