#!/usr/bin/env bash
# Formats all sources in place; with --check only says what is not formatted,
# with --tidy runs clang-tidy over src/ as well (needs clang and clang-tidy).
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
mapfile -t files < <(git ls-files 'src/*.cc' 'src/*.h' 'tests/*.cc' 'fuzz/*.cc' 'fuzz/*.h' 'examples/*.cc')
if [[ ${1:-} == --check ]]; then
  exec clang-format --dry-run --Werror "${files[@]}"
fi
clang-format -i "${files[@]}"
if [[ ${1:-} == --tidy ]]; then
  # By the flags of a clang preset: those of GCC's, and its precompiled headers, are
  # not clang's. Generated headers have to be there.
  cmake --preset tsan >/dev/null
  cmake --build build/tsan --target oriel_proto
  mapfile -t sources < <(git ls-files 'src/*.cc')
  printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy -p build/tsan --quiet
fi
