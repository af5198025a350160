# shellcheck shell=bash
# Sourced by run.sh, test.sh and .ci/run: packages, configuration and build.
# The caller has set -euo pipefail and stands in the project's folder.

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# packages_of SECTION: the names listed in cmake/debian-packages.txt
packages_of() {
  awk -v section="[$1]" '/^\[/ { inside = $1 == section; next } inside && $1 ~ /^[a-z0-9]/ { print $1 }' \
    cmake/debian-packages.txt
}

# missing_of NAME...: those that are not installed
missing_of() {
  local name
  for name in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || printf '%s\n' "$name"
  done
}

# need_packages SECTION...: installs what is missing; asks nothing and runs nothing where all is there
need_packages() {
  local wanted=() missing=() section
  for section in "$@"; do mapfile -t -O "${#wanted[@]}" wanted < <(packages_of "$section"); done
  if ! { command -v dpkg-query && command -v apt-get; } >/dev/null; then
    say "note: this system has no apt. The build needs what Debian calls: ${wanted[*]}"
    return
  fi
  mapfile -t missing < <(missing_of "${wanted[@]}")
  ((${#missing[@]})) || return 0

  local root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "packages are missing. As root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  local log
  log=$(mktemp)
  say "installing ${missing[*]}"
  local install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends
    -o DPkg::Lock::Timeout=300)
  # The package lists are fetched only where the ones at hand do not serve.
  if ! "${install[@]}" install "${missing[@]}" >"$log" 2>&1 </dev/null; then
    "${install[@]}" update >>"$log" 2>&1 </dev/null || say "warning: apt-get update failed"
    "${install[@]}" install "${missing[@]}" >>"$log" 2>&1 </dev/null || true
  fi
  mapfile -t missing < <(missing_of "${missing[@]}")
  if ((${#missing[@]})); then
    tail -n 15 "$log" >&2
    die "cannot be installed: ${missing[*]} (whole log: $log). Debian 12 has them all in its main section."
  fi
  rm -f "$log"
}

need_cmake() {
  local version
  command -v cmake >/dev/null || die "cmake is missing; 3.25 or newer is needed"
  version=$(cmake --version | awk 'NR == 1 { print $3 }')
  [[ $(printf '%s\n' 3.25 "$version" | sort -V | head -n 1) == 3.25 ]] ||
    die "cmake $version at $(command -v cmake) is too old; 3.25 or newer is needed (Debian 12 has 3.25.1)"
}

# build PRESET [TARGET...]: configures and builds; all targets where none is named
build() {
  local preset=$1 target arguments=() launcher=()
  shift
  for target in "$@"; do arguments+=(--target "$target"); done
  need_cmake
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true  # a clone in another folder finds the same objects
  fi
  mkdir -p "build/$preset"
  cmake --preset "$preset" "${launcher[@]}" >"build/$preset/configure.log" 2>&1 || {
    cat "build/$preset/configure.log" >&2
    die "cmake could not configure (log: build/$preset/configure.log)"
  }
  cmake --build --preset "$preset" "${arguments[@]}" >&2 || die "the build failed"
}
