#!/usr/bin/env bash
# Builds the fuzz targets and runs each for some minutes, two at a time.
#
#   tools/fuzz.sh MINUTES [TARGET...]      default: all targets
#
# Inputs that add coverage gather in build/fuzz-corpus/TARGET, crashes in
# build/fuzz-crashes/TARGET (exit code 1). Seeds: testdata/fuzz/TARGET.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
minutes=${1:?usage: tools/fuzz.sh MINUTES [TARGET...]}
shift
# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
install_packages "to fuzz Oriel" "${build_packages[@]}" clang libclang-rt-14-dev

cd "$root"
cmake --preset fuzz >/dev/null
targets=("$@")
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(cd testdata/fuzz && ls -d ./*_fuzz | sed 's|^\./||')
fi
cmake --build --preset fuzz --target "${targets[@]}"

run_one() {
  local target=$1 seconds=$2
  mkdir -p "build/fuzz-corpus/$target" "build/fuzz-crashes/$target"
  local log=build/fuzz-crashes/$target.log
  if "build/fuzz/fuzz/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz-crashes/$target/" -print_final_stats=1 \
    "build/fuzz-corpus/$target" "testdata/fuzz/$target" >"$log" 2>&1; then
    echo "$target: ok, $(grep -oE 'number_of_executed_units: [0-9]+' "$log" | grep -oE '[0-9]+') inputs, $(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)"
  else
    tail -n 30 "$log"
    echo "$target: FAILED, see $log and build/fuzz-crashes/$target/"
    return 1
  fi
}
export -f run_one
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c "run_one {} $((minutes * 60))"
