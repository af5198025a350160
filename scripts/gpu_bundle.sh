#!/usr/bin/env bash
# Packs what a machine with a GPU needs into one file: test programs, the program, the benchmark, their shared libraries
# and gpu_check.sh. It runs on x86-64 Linux with glibc 2.36 or newer, an NVIDIA driver for CUDA 13 and no installation.
# Usage: scripts/gpu_bundle.sh [FILE]     default: build/dcasenet-gpu.tar.xz
# There: tar xf dcasenet-gpu.tar.xz && dcasenet-gpu/gpu_check.sh --tree PROJECT
# (reference files and recordings are read from the project's folder).
# Exit status 1: the bundle is above 20 MB. 2: wrong usage, or nothing is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  -*) echo "error: unknown option $1" >&2; exit 2 ;;
esac
file=${1:-build/dcasenet-gpu.tar.xz}
bin=build/release/bin
programs=(test_cuda ptx_layouts dcasenet dcasenet-bench)
for program in "${programs[@]}"; do
  [[ -x $bin/$program ]] || { echo "error: $bin/$program is not there: run ./test.sh on a machine with nvcc" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/dcasenet-gpu
mkdir -p "$root/bin" "$root/lib"
for program in "${programs[@]}"; do
  strip -o "$root/bin/$program" "$bin/$program"
done
# The C library and the driver are the machine's own.
ldd "${programs[@]/#/$bin/}" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -vE '/(ld-linux|libc|libm|libdl|librt|libpthread|libcuda)[.-][^/]*$' | while read -r library; do
  cp -L "$library" "$root/lib/"
done
strip --strip-unneeded "$root"/lib/*
cp scripts/gpu_check.sh LICENSE "$root/"
"$bin/dcasenet" --version >"$root/VERSION"
(cd "$root" && find . -type f -print0 | sort -z | xargs -0 sha256sum) >"$work/sums"
mv "$work/sums" "$root/SHA256SUMS"

mkdir -p "$(dirname "$file")"
tar -C "$work" --sort=name --owner=0 --group=0 --mtime=@0 -cf - dcasenet-gpu | xz -T1 -9 >"$file"
bytes=$(stat -c %s "$file")
printf '%s: %d.%d MB\n' "$file" $((bytes / 1000000)) $((bytes / 100000 % 10))
((bytes <= 20000000)) || { echo "error: more than 20 MB" >&2; exit 1; }
