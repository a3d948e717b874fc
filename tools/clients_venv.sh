#!/usr/bin/env bash
# Makes the virtual environment with the clients that tests talk to the server with.
# Once; an interrupted run is made up for by the next.
#
#   tools/clients_venv.sh
#
# ORIEL_CLIENTS_VENV_DIR: where, default build/venv-clients.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
venv=${ORIEL_CLIENTS_VENV_DIR:-$root/build/venv-clients}
packages=(
  'tritonclient[grpc,http]==2.73.0'
  open-inference-grpc==2.0.0
  grpcio==1.81.1
  grpcio-health-checking==1.81.1
  grpcio-reflection==1.81.1
  numpy==2.4.6
  requests==2.34.2
  prometheus-client==0.26.0
  schemathesis==4.32.5
)
# It would bring TensorFlow, which tools/tensorflow_venv.sh has already.
packages_alone=(tensorflow-serving-api==2.21.0)
stamp="${packages[*]} ${packages_alone[*]}"

is_complete() {
  [[ -f $venv/.complete && $(<"$venv/.complete") == "$stamp" ]]
}

is_complete && exit 0
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9
is_complete && exit 0 # another run made it while this one waited

echo "Making a virtual environment with ${packages[*]} ${packages_alone[*]} in $venv"
rm -rf "$venv"
python3 -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" "${packages[@]}"
"${pip[@]}" --no-deps "${packages_alone[@]}"
"$venv/bin/python" -c 'import tritonclient.grpc, tritonclient.http'
printf '%s' "$stamp" >"$venv/.complete"
