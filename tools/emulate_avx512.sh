#!/usr/bin/env bash
# Runs a program on an emulated CPU with AVX-512: boots a Debian kernel in Bochs with
# the program, its shared libraries and the files that it needs, and hands back its
# output and its exit code. For machines that have no AVX-512.
#
#   tools/emulate_avx512.sh [--cpu MODEL] [--with PATH]... [--env NAME=VALUE]...
#                           [--timeout SECONDS] [--keep] PROGRAM [ARGUMENT...]
#
# --cpu: corei7_icelake_u (default: AVX-512 F, BW, DQ, VL and VNNI) or corei7_skylake_x
#   (no VNNI); `bochs -help cpu` lists all. None has AVX512_BF16.
# --with: a file or folder that the program reads, under the same path there.
# --env: the emulated environment is empty but for PATH, HOME, TERM and these.
# --timeout: of the emulation, 900 s if not given; then the exit code is 124. Booting
#   takes 40 s of a processor that has nothing else to do; the program then runs at some
#   50 to 150 million instructions per second, on one CPU.
# --keep: leaves the working folder (console, disk image, Bochs's log) and names it.
#
# As root or not; the kernel's package is unpacked in build/emulate, not installed.
# Fetching it gives up after some minutes with the exit code 1.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
usage() {
  sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 2
}
say() { echo "emulate_avx512.sh: $*" >&2; }
cpu=corei7_icelake_u seconds=900 keep=
with=() environment=()
while (($#)); do
  case $1 in
    --cpu) cpu=${2:?--cpu MODEL}; shift ;;
    --with) with+=("$(readlink -e "${2:?--with PATH}")") || { say "no $2"; exit 2; }; shift ;;
    --env) environment+=("${2:?--env NAME=VALUE}"); shift ;;
    --timeout) seconds=${2:?--timeout SECONDS}; shift ;;
    --keep) keep=yes ;;
    -*) usage ;;
    *) break ;;
  esac
  shift
done
(($#)) || usage
program=$(readlink -e "$1") || { say "no $1"; exit 2; }
shift

# shellcheck source=tools/packages.sh
. "$root/tools/packages.sh"
install_packages "to emulate AVX-512" bochs bochs-term isolinux syslinux-common xorriso \
  busybox-static cpio >&2

# fetch_kernel FOLDER: the newest of Debian's kernels for virtual machines that apt's
# lists name, as FOLDER/vmlinuz. Asks nothing and ends within minutes.
fetch_kernel() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 |
    awk '$1 == "Depends:" && !found {print $2; found = 1}') && [[ -n $package ]] &&
    (cd "$1" && timeout 300 apt-get -qq -o APT::Sandbox::User= -o Acquire::http::Timeout=30 \
      download "$package" </dev/null && dpkg-deb --extract ./*.deb . &&
      mv boot/vmlinuz-* vmlinuz)
}

cache=$root/build/emulate
if [[ ! -e $cache/vmlinuz ]]; then
  say "fetching a kernel"
  mkdir -p "$cache"
  folder=$(mktemp -d "$cache/kernel-XXXXXX")
  if ! fetch_kernel "$folder" >&2; then
    say "apt's lists may be old: updating them"
    as_root timeout 300 apt-get -qq update </dev/null >&2 || true
    rm -rf "${folder:?}"/*
    if ! fetch_kernel "$folder" >&2; then
      rm -rf "$folder"
      say "no linux-image-cloud-amd64 could be fetched; the lines above say why"
      exit 1
    fi
  fi
  mv "$folder/vmlinuz" "$cache/vmlinuz"
  rm -rf "$folder"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/oriel-emulate-XXXXXX")
bochs= printers=()
cleanup() {
  local code=$?
  # Bochs's debugger catches all other signals.
  [[ -z $bochs ]] || kill -KILL "$bochs" 2>/dev/null || true
  if [[ -n $keep ]]; then echo "kept: $work" >&2; else rm -rf "$work"; fi
  exit "$code"
}
trap cleanup EXIT

# Everything that the program needs lies where it lies here.
files=$work/files
mkdir -p "$work/iso" "$files"/{bin,dev,proc,tmp}
cp /bin/busybox "$files/bin/busybox"
add() {
  mkdir -p "$files$(dirname "$1")"
  cp --recursive --dereference "$1" "$files$(dirname "$1")/"
}
add "$program"
while read -r library; do add "$library"; done < <(ldd "$program" | grep -oE '/[^ ]+' | sort -u)
for path in "${with[@]}"; do add "$path"; done
{
  echo '#!/bin/busybox sh'
  echo 'export PATH=/bin HOME=/tmp TERM=dumb'
  for variable in "${environment[@]}"; do echo "export ${variable@Q}"; done
  echo "cd ${PWD@Q} 2>/dev/null"
  echo "exec ${program@Q} ${*@Q}"
} >"$files/run"
# Standard output and error have a serial port each; the first is the kernel's.
cat >"$files/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b stty -F /dev/ttyS1 raw
$b stty -F /dev/ttyS2 raw
$b echo "started" >/dev/ttyS0
/run </dev/null >/dev/ttyS1 2>/dev/ttyS2
$b echo "program ended with $?" >/dev/ttyS0
$b sleep 1
$b poweroff -f
INIT
chmod +x "$files/init" "$files/run"
(cd "$files" && find . | cpio --quiet -o -H newc) >"$work/iso/initrd"
rm -r "$files"

# Left out: what Bochs 2.7 has wrong (the size of the compacted XSAVE area) and what
# makes this kernel hang in it; the program is not concerned.
cat >"$work/iso/isolinux.cfg" <<'CONFIG'
default linux
label linux
  kernel vmlinuz
  append initrd=initrd console=ttyS0 quiet panic=-1 mitigations=off apparmor=0 clearcpuid=xsavec,xsaves,pku,fsrm,rdpid,umip,gfni,vaes,vpclmulqdq,sha_ni
CONFIG
cp "$cache/vmlinuz" /usr/lib/ISOLINUX/isolinux.bin \
  /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso/"
xorriso -as mkisofs -quiet -o "$work/disk.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
  -boot-load-size 4 -boot-info-table "$work/iso" 2>"$work/xorriso.log"
rm -r "$work/iso"

# Few instructions a second of the emulated clock: waiting for a time is then short.
cat >"$work/bochsrc" <<CONFIG
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=$cpu, count=1, ips=10000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=1024, host=1024
ata0-master: type=cdrom, path=$work/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/console
com2: enabled=1, mode=file, dev=$work/stdout
com3: enabled=1, mode=file, dev=$work/stderr
clock: sync=none, time0=utc
log: $work/bochs.log
panic: action=fatal
CONFIG
touch "$work/console" "$work/stdout" "$work/stderr"
say "booting $cpu"
# Debian's Bochs starts in its debugger: continue.
echo c >"$work/continue"
TERM=xterm bochs -q -f "$work/bochsrc" -rc "$work/continue" </dev/null >"$work/screen" \
  2>"$work/bochs.err" &
bochs=$!

# What the program prints appears as it comes, in whole lines.
tail --pid="$bochs" -n +1 -f "$work/stdout" | sed -u '' &
printers+=($!)
tail --pid="$bochs" -n +1 -f "$work/stderr" | sed -u '' >&2 &
printers+=($!)

end=$((SECONDS + seconds)) problem=
while kill -0 "$bochs" 2>/dev/null; do
  if grep -q 'Kernel panic' "$work/console"; then problem="the kernel panicked"; break; fi
  if ((SECONDS >= end)); then problem="no end within $seconds s"; break; fi
  sleep 1
done
if [[ -n $problem ]]; then
  used=$(ps -o time= -p "$bochs" || true)
  kill -KILL "$bochs"
fi
wait "$bochs" 2>/dev/null || true # its exit code says nothing
bochs=
wait "${printers[@]}" || true
code=$(sed -n 's/^.*program ended with \([0-9]*\).*$/\1/p' "$work/console")
if [[ -n $code ]]; then exit "$code"; fi
say "${problem:-Bochs ended before the program did} (processor time: ${used:-?}); the" \
  "console's end:"
tail -n 15 "$work/console" >&2
[[ $problem == no* ]] && exit 124
exit 125
