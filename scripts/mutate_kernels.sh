#!/usr/bin/env bash
# Removes every barrier and wait of the CUDA kernels, one at a time, and runs the kernels' tests on the emulator: each such
# mutant must be caught, by a wrong result in some schedule or by the access checker.
# Usage: scripts/mutate_kernels.sh [--all]
#   without options   kernel files that differ from the committed report, tests/emulator/mutants.txt
#   --all             every kernel file; rewrites the report
# Exit status 1: a mutant survived without a written reason, or more than a tenth of all survived. A reason stands in the
# report behind "survives:", and names the ordering that makes the statement unnecessary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=0
case ${1:-} in
  "") ;;
  --all) all=1 ;;
  *) echo "error: unknown option $1; only --all is known" >&2; exit 2 ;;
esac

report=tests/emulator/mutants.txt
build=build/release
work=$PWD/$build/mutants
[[ -x $build/bin/test_emulator_checked ]] || { echo "error: $build/bin/test_emulator_checked is not there: run ./test.sh" >&2; exit 2; }
touch "$report"
mkdir -p "$work"

hash_of() { sha256sum "$1" | cut -c 1-16; }
statements='(__syncthreads|__syncwarp|(copy_async|store_tensor|wgmma)_wait<[^>]*>|named_barrier_sync|mbarrier_wait|cluster_sync|grid_sync)\([^;]*\);'

# Compile and link lines as the build has them.
command_for() { ninja -C "$build" -t commands "$1" | tail -n 1; }
link_plain=$(command_for bin/test_emulator)
link_checked=$(command_for bin/test_emulator_checked)

# caught PROGRAM: whether its tests fail, or hang
caught() {
  local status=0
  timeout 120 "$@" '[cuda]' >"$work/run.log" 2>&1 || status=$?
  ((status != 0))
}

mutants=0 survivors=0 unexplained=0
new=$work/report.txt
: >"$new"
while IFS= read -r file; do
  hash=$(hash_of "$file")
  if ((!all)) && grep -q "^$file $hash$" "$report"; then
    # As reported; only counted.
    awk -v head="$file $hash" '$0 == head { on = 1; print; next } /^[^ ]/ { on = 0 } on' "$report" >>"$new"
    continue
  fi
  echo "$file $hash" >>"$new"
  unit=${file%_kernels.cuh}_cuda.cu
  name=$(basename "${unit%.cu}")
  plain=$(command_for "tests/emulator/CMakeFiles/dcase_cuda_emulated.dir/__/__/$unit.o")
  checked=$(command_for "tests/emulator/checked/$name.o")
  mkdir -p "$work/include/$(dirname "$file")"
  while IFS=: read -r line text; do
    statement=$(grep -oE "$statements" <<<"$text" | head -n 1)
    count=$(head -n "$line" "$file" | grep -cF "$statement")
    key="$statement #$count"
    awk -v line="$line" -v statement="$statement" '
      NR == line { at = index($0, statement); $0 = substr($0, 1, at - 1) ";" substr($0, at + length(statement)) } { print }' \
      "$file" >"$work/include/$file"
    # The mutated header comes first on the path; the object takes the place of the library's.
    include=" -w -I$work/include"
    compile() {  # COMMAND OBJECT
      (cd "$build" && eval "$(sed -E "s# && /[^ ]*cmake -E .*##; s# -MD( -MT [^ ]+)? -MF [^ ]+##; s# -o [^ ]+# -o $work/$2#; s# -I#$include -I#" <<<"$1")")
    }
    compile "$plain" plain.o
    compile "$checked" checked.o
    (cd "$build" && eval "$(sed -E "s# -o [^ ]+# -o mutants/test_plain#; s# (tests/emulator/libdcase_cuda_emulated.a)# mutants/plain.o \1#; s# && cd .*##" <<<"$link_plain")")
    (cd "$build" && eval "$(sed -E "s# -o [^ ]+# -o mutants/test_checked#; s#tests/emulator/checked/$name\.o#mutants/checked.o#; s# && cd .*##" <<<"$link_checked")")
    found=()
    if caught "$work/test_plain"; then found+=(schedules); fi
    if caught "$work/test_checked"; then found+=(checker); fi
    mutants=$((mutants + 1))
    if ((${#found[@]})); then
      echo "  $key  ${found[*]}" >>"$new"
    else
      reason=$(awk -v head="$file" -v key="  $key  survives: " '
        /^[^ ]/ { on = $1 == head } on && index($0, key) == 1 { print substr($0, length(key) + 1) }' "$report")
      if [[ -z $reason ]]; then unexplained=$((unexplained + 1)) reason="no reason is written"; fi
      echo "  $key  survives: $reason" >>"$new"
    fi
    tail -n 1 "$new" | sed "s#^ *#$file:$line: #"
  done < <(grep -nE "$statements" "$file" | grep -vE '^[0-9]+: *(//|\*)' || true)
done < <(find kernels -name '*_kernels.cuh' | sort)

total=$(grep -c '^  ' "$new" || true)
survivors=$(grep -c 'survives: ' "$new" || true)
if ((all)); then
  { echo "# Barriers and waits of the kernels, and what notices when one is missing: scripts/mutate_kernels.sh --all writes this."; cat "$new"; } >"$report"
fi
echo "$mutants mutants run; $total in all, $survivors survive, $unexplained without a reason"
((unexplained == 0 && survivors * 10 <= total))
