#!/usr/bin/env bash
# Removes every barrier and wait of the CUDA kernels, one at a time, and runs the kernels' tests on the emulator: each such
# mutant must be caught, by a wrong result in some schedule or by the access checker.
# Usage: scripts/mutate_kernels.sh [--all]
#   without options   files of device code that differ from the committed report, tests/emulator/mutants.txt
#   --all             every file of device code; rewrites the report
# Of the tests those run whose tag is the folder of a launcher that includes the file: [cuda][gru] for kernels/gru.
# Exit status 1: a mutant survived without a written reason, or more than a tenth of all survived. A reason stands in the
# report behind "survives:", and names the ordering that makes the statement unnecessary. Any other failure is an error of
# its own: tests that fail without a mutation, a mutant that does not compile or link.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=0
case ${1:-} in
  "") ;;
  --all) all=1 ;;
  *) echo "error: unknown option $1; only --all is known" >&2; exit 2 ;;
esac

report=tests/emulator/mutants.txt
build=$PWD/build/release
work=$build/mutants
[[ -x $build/bin/test_emulator_checked ]] || { echo "error: $build/bin/test_emulator_checked is not there: run ./test.sh" >&2; exit 2; }
touch "$report"
rm -rf "$work"
mkdir -p "$work"
# One thread a program: as many programs run as there are cores.
export OMP_NUM_THREADS=1 build work
names='__syncthreads|__syncwarp|(copy_async|store_tensor|wgmma)_wait|named_barrier_sync|mbarrier_wait|cluster_sync|grid_sync'
export statements="($names)(<[^>]*>)?\([^;]*\);"

die() { echo "error: $*" >&2; exit 1; }

# What is mutated must be what is built.
cmake --build "$build" --target test_emulator test_emulator_checked >"$work/build.log" 2>&1 ||
  { tail -n 30 "$work/build.log" >&2; die "the tests do not build"; }

# Launchers that include FILE, as the build's own dependencies have it, as object files of the emulated library.
library=tests/emulator/CMakeFiles/dcase_cuda_emulated.dir/__/__
ninja -C "$build" -t deps | awk -v library="$library/kernels/" '
  /^[^ ]/ { object = index($1, library) == 1 ? substr($1, 1, length($1) - 1) : ""; next }
  object != "" && NF { print object, $1 }' >"$work/dependencies"
units_of() { awk -v end="/$1" 'substr($2, length($2) - length(end) + 1) == end { print $1 }' "$work/dependencies" | sed "s#^$library/##; s#\.o\$##" | sort -u; }

# The tests of a folder's kernels. Those of conv_bn launch the kernels of conv2d.
# shellcheck disable=SC2086  # a word a folder
tags_of() {  # UNIT...
  local folders
  folders=$(printf '%s\n' "$@" | xargs -n 1 dirname | sed 's#.*/##' | sort -u)
  if grep -qx conv2d <<<"$folders"; then folders=$(printf '%s\nconv_bn' "$folders" | sort -u); fi
  printf '[cuda][%s]\n' $folders | paste -sd ,
}

# shellcheck disable=SC2317  # called by the shells of xargs
unmutated() {  # PROGRAM TAGS LIMIT: the tests must pass; how long a mutant may take goes to LIMIT
  local started=$SECONDS tag
  for tag in ${2//,/ }; do
    "$build/bin/$1" "$tag" --list-tests >"$3.log" || true  # Catch2 2 exits with their number
    grep -q '^[1-9].* test case' "$3.log" || { echo "error: $1 has no test with the tags $tag" >&2; return 255; }
  done
  "$build/bin/$1" "$2" >"$3.log" 2>&1 ||
    { tail -n 30 "$3.log" >&2; echo "error: $1 $2 fails without a mutation" >&2; return 255; }
  local limit=$(((SECONDS - started + 1) * 10))
  echo $((limit > 60 ? limit : 60)) >"$3"
}

# shellcheck disable=SC2317
mutant() {  # FOLDER: its file job has FILE, LINE, TAGS, UNIT...; what notices that LINE lacks its statement goes to its file found
  set -euo pipefail
  local dir=$1 file line tags units unit name include object plain='' checked log=$1/log
  { read -r file; read -r line; read -r tags; mapfile -t units; } <"$dir/job"
  mkdir -p "$dir/include/$(dirname "$file")"
  awk -v line="$line" -v statement="$(sed -n "${line}p" "$file" | grep -oE "$statements")" '
    NR == line { at = index($0, statement); $0 = substr($0, 1, at - 1) ";" substr($0, at + length(statement)) } { print }' \
    "$file" >"$dir/include/$file"
  include="-w -I$dir/include"  # the mutated header is found first
  command_for() { ninja -C "$build" -t commands "$1" | tail -n 1; }
  run() { (cd "$build" && eval "$1") >"$log" 2>&1 || { cat "$log" >&2; echo "error: $file:$line: the mutant does not compile or link" >&2; return 255; }; }
  compile() {  # COMMAND OBJECT
    run "$(sed -E "s# && /[^ ]*cmake -E .*##; s# -MD( -MT [^ ]+)? -MF [^ ]+# -MD -MF $2.d#; s# -o [^ ]+# -o $2#; s# -I# $include -I#" <<<"$1")"
    grep -qF "${dir#"$build"/}/include/$file" "$2.d" ||  # ccache may have made the path a relative one
      { echo "error: $2 does not include the mutated $file" >&2; return 255; }
  }
  checked=$(command_for bin/test_emulator_checked)
  for unit in "${units[@]}"; do
    name=$(basename "${unit%.cu}")
    object=tests/emulator/checked/$name.o
    compile "$(command_for "tests/emulator/CMakeFiles/dcase_cuda_emulated.dir/__/__/$unit.o")" "$dir/$name.o"
    compile "$(command_for "$object")" "$dir/checked_$name.o"
    plain+=" $dir/$name.o"
    [[ $checked == *" $object "* ]] || { echo "error: test_emulator_checked does not link $object" >&2; return 255; }
    checked=${checked/ $object / $dir/checked_$name.o }
  done
  # Objects win over the archive's members: these define every symbol that would call for one of them.
  run "$(command_for bin/test_emulator | sed -E "s# -o [^ ]+#$plain -o $dir/plain#; s# && cd .*##")"
  run "$(sed -E "s# -o [^ ]+# -o $dir/checked#; s# && cd .*##" <<<"$checked")"
  caught() {  # PROGRAM LIMIT: whether its tests fail, or hang
    ! timeout "$(<"$work/$2.$tags")" "$dir/$1" "$tags" --abort >"$log" 2>&1
  }
  : >"$dir/noticed"
  if caught plain test_emulator; then echo -n " schedules" >>"$dir/noticed"; fi
  if caught checked test_emulator_checked; then echo -n " checker" >>"$dir/noticed"; fi
  mv "$dir/noticed" "$dir/found"
  rm -rf "$dir/plain" "$dir/checked" "$dir"/*.o
  echo "$file:$line:$(<"$dir/found")"
}
export -f unmutated mutant

# The mutants, a folder each, and the tests that they need. Definitions and comments mention the names too.
hash_of() { sha256sum "$1" | cut -c 1-16; }
mentions() { grep -nE "\b($names)\b" "$1" | grep -vE "^[0-9]+: *(//|\*)|void ($names)\(" || true; }
mapfile -t files < <(find kernels -name '*.cuh' ! -path kernels/common/dialect.cuh ! -path kernels/common/ptx.cuh | sort)
mutants=0
: >"$work/jobs"
: >"$work/programs"
for file in "${files[@]}"; do
  [[ -n $(mentions "$file") ]] || continue
  if ((!all)) && grep -q "^$file $(hash_of "$file")$" "$report"; then continue; fi
  mapfile -t units < <(units_of "$file")
  ((${#units[@]})) || die "nothing includes $file"
  tags=$(tags_of "${units[@]}")
  printf '%s\n' "test_emulator" "test_emulator_checked" | sed "s#.*#&\n$tags\n$work/&.$tags#" >>"$work/programs"
  while IFS=: read -r line text; do
    if [[ $(grep -oE "\b($names)\b" <<<"${text%%//*}" | wc -l) != 1 || ! ${text%%//*} =~ $statements ]]; then
      die "$file:$line: not one whole statement on a line: $text"
    fi
    mutants=$((mutants + 1))
    mkdir "$work/$mutants"
    printf '%s\n' "$file" "$line" "$tags" "${units[@]}" >"$work/$mutants/job"
    echo "$work/$mutants" >>"$work/jobs"
    echo "$work/$mutants" >"$work/at.${file//\//_}:$line"
  done < <(mentions "$file")
done

paste - - - <"$work/programs" | sort -u | tr '\t' '\n' | xargs -r -P "$(nproc)" -n 3 bash -c 'unmutated "$@"' _ ||
  die "no mutant was run"
xargs -r -P "$(nproc)" -n 1 bash -c 'mutant "$@"' _ <"$work/jobs" || die "not all mutants were run"

unexplained=0
new=$work/report.txt
: >"$new"
for file in "${files[@]}"; do
  [[ -n $(mentions "$file") ]] || continue
  head="$file $(hash_of "$file")"
  if ((!all)) && grep -q "^$head$" "$report"; then
    # As reported; only counted.
    awk -v head="$head" '$0 == head { on = 1; print; next } /^[^ ]/ { on = 0 } on' "$report" >>"$new"
    continue
  fi
  echo "$head" >>"$new"
  while IFS=: read -r line text; do
    statement=$(grep -oE "$statements" <<<"$text")
    key="$statement #$(head -n "$line" "$file" | grep -cF "$statement")"
    found=$(<"$(<"$work/at.${file//\//_}:$line")/found")
    if [[ -z $found ]]; then
      reason=$(awk -v head="$file" -v key="  $key  survives: " '
        /^[^ ]/ { on = $1 == head } on && index($0, key) == 1 { print substr($0, length(key) + 1) }' "$report")
      if [[ -z $reason ]]; then unexplained=$((unexplained + 1)) reason="no reason is written"; fi
      found=" survives: $reason"
      echo "$file:$line: $key $found"
    fi
    echo "  $key $found" >>"$new"
  done < <(mentions "$file")
done

total=$(grep -c '^  ' "$new" || true)
survivors=$(grep -c 'survives: ' "$new" || true)
if ((all)); then
  { echo "# Barriers and waits of the kernels, and what notices when one is missing: scripts/mutate_kernels.sh --all writes this."; cat "$new"; } >"$report"
fi
echo "$mutants mutants run; $total in all, $survivors survive, $unexplained without a reason"
((unexplained == 0 && survivors * 10 <= total))
