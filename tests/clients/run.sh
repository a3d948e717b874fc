#!/usr/bin/env bash
# run.sh TEST.py FLAGS...: runs a test in the environment of clients
# (ORIEL_CLIENTS_VENV_DIR, default build/venv-clients).
# run.sh --tensorflow TEST.py FLAGS...: in TensorFlow's, with the clients behind it.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
clients=${ORIEL_CLIENTS_VENV_DIR:-$root/build/venv-clients}
tensorflow=${ORIEL_VENV_DIR:-$root/build/venv-tensorflow}
if [[ ! -f $clients/.complete ]]; then
  echo "There are no clients at $clients. tools/clients_venv.sh makes them;" >&2
  echo "-DORIEL_CLIENTS_TESTS=OFF leaves these tests out." >&2
  exit 1
fi
export PYTHONDONTWRITEBYTECODE=1 CUDA_VISIBLE_DEVICES='' TF_CPP_MIN_LOG_LEVEL=3
python=$clients/bin/python
if [[ ${1:-} == --tensorflow ]]; then
  shift
  python=$tensorflow/bin/python
  if [[ ! -f $tensorflow/.complete ]]; then
    echo "There is no TensorFlow environment at $tensorflow: tools/tensorflow_venv.sh makes it" >&2
    exit 1
  fi
  # Behind TensorFlow's own packages: the stubs of its server alone come from here.
  ORIEL_CLIENTS_PACKAGES=$("$clients/bin/python" -c \
    'import sysconfig; print(sysconfig.get_path("purelib"))')
  export ORIEL_CLIENTS_PACKAGES
fi
exec "$python" "$@"
