#!/usr/bin/env bash
# Builds Oriel for aarch64 and runs its tests under QEMU's user mode.
#
#   tools/cross_aarch64.sh [TARGET...]      default: the tests of base, tensor, image,
#                                           preprocessing and engine
#
# Targets are built in build/aarch64; those that are tests run. `oriel` is the program
# (qemu-aarch64 -L build/aarch64-sysroot/root build/aarch64/src/cli/oriel), `all` builds
# everything.
#
# Debian's arm64 packages are fetched by an apt of their own into build/aarch64-sysroot
# and unpacked there: what this machine has installed stays as it is. As root or not.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
if [[ ${1:-} == -* ]]; then
  sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 2
fi
targets=("$@")
(($#)) || targets=(base_test tensor_test image_test image_hostile_test preprocessing_test
  engine_isa_test engine_goldens_test engine_plan_test engine_onednn_test engine_benchmark_test)

# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
install_packages "to build Oriel for aarch64" cmake ninja-build pkg-config protobuf-compiler protobuf-compiler-grpc \
  python3 g++-aarch64-linux-gnu qemu-user

sysroot=$root/build/aarch64-sysroot
# Of the packages that builds and tests need, the libraries.
libraries=(libc6-dev libstdc++-12-dev libgomp1)
for package in "${build_packages[@]}" "${test_packages[@]}"; do
  [[ $package != lib*-dev && $package != zlib1g-dev ]] || libraries+=("$package")
done
if [[ $(cat "$sysroot/done" 2>/dev/null) != "${libraries[*]}" ]]; then
  echo "== Debian's arm64 packages into $sysroot"
  rm -rf "$sysroot"
  mkdir -p "$sysroot"/apt/{lists,cache/archives}/partial "$sysroot"/root/usr/{bin,lib,sbin}
  : >"$sysroot/apt/status"
  cat >"$sysroot/apt/apt.conf" <<CONFIG
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "$sysroot/apt";
Dir::State::status "$sysroot/apt/status";
Dir::State::lists "$sysroot/apt/lists";
Dir::Cache "$sysroot/apt/cache";
Dpkg::Use-Pty "0";
CONFIG
  export APT_CONFIG=$sysroot/apt/apt.conf
  apt-get -qq update
  apt-get -qq install -y --download-only "${libraries[@]}" >"$sysroot/apt/log" 2>&1 ||
    { cat "$sysroot/apt/log" >&2; exit 1; }
  unset APT_CONFIG
  for folder in bin lib sbin; do ln -s "usr/$folder" "$sysroot/root/$folder"; done
  for package in "$sysroot"/apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$sysroot/root"
  done
  # Some of CMake's files name their libraries by absolute paths.
  grep -rlZ '"/usr' "$sysroot/root/usr/lib/aarch64-linux-gnu/cmake" |
    xargs -0 sed -i 's#"/usr\b#"${CMAKE_SYSROOT}/usr#g'
  rm -rf "$sysroot/apt"
  echo "${libraries[*]}" >"$sysroot/done"
fi

cd "$root"
cmake --preset aarch64
cmake --build --preset aarch64 --target "${targets[@]}"
tests=$(printf '%s\n' "${targets[@]}" | grep '_test$' | paste -sd '|') || exit 0
exec ctest --preset aarch64 -R "^($tests)$"
