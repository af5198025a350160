#!/usr/bin/env bash
# Builds the project and runs its tests. ./test.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=cmake/setup.sh
. cmake/setup.sh

usage() {
  cat <<'TEXT'
Usage: ./test.sh [--filter REGEX] [--asan | --tsan]

Installs missing packages (Debian, Ubuntu), builds into build/release and runs all tests by ctest.

  --filter REGEX   only tests whose name matches, for example --filter '^kernels/gru'
  --asan           build with AddressSanitizer and UBSan, in build/asan
  --tsan           build with ThreadSanitizer, in build/tsan; OpenMP runs with one thread, since its runtime is not
                   instrumented: this checks the project's own threads
  --help           this text

Ends with "N passed, N failed, N skipped". Exit status 0: all passed, and no more were skipped than
tests/skips_allowed.txt allows. 1: otherwise. 2: wrong usage.
TEXT
}

preset=release
filter=
while (($#)); do
  case $1 in
    --filter) (($# > 1)) || { say "error: --filter needs a regular expression"; exit 2; }; filter=$2; shift ;;
    --filter=*) filter=${1#*=} ;;
    --asan) preset=asan ;;
    --tsan) preset=tsan ;;
    -h | --help) usage; exit 0 ;;
    *) say "error: unknown option $1"; usage >&2; exit 2 ;;
  esac
  shift
done

need_packages build
build "$preset"

# A waiting OpenMP thread that spins takes the core from the test beside it.
export OMP_WAIT_POLICY=passive
case $preset in
  asan) export UBSAN_OPTIONS=print_stacktrace=1 ;;
  tsan) export OMP_NUM_THREADS=1 TSAN_OPTIONS=halt_on_error=1 ;;
esac

report=build/$preset/tests.xml
rm -f "$report"
status=0
ctest --test-dir "build/$preset" --parallel "$(nproc)" --timeout 900 --output-on-failure --no-tests=error \
  --output-junit tests.xml ${filter:+--tests-regex "$filter"} || status=$?
[[ -s $report ]] || die "ctest left no report"

# count ATTRIBUTE: of the report's <testsuite> element
count() { grep -o -m 1 "$1=\"[0-9]*\"" "$report" | head -n 1 | tr -dc 0-9; }
total=$(count tests) failed=$(count failures) skipped=$(($(count skipped) + $(count disabled)))
allowed=$(grep -m 1 -o '^[0-9]*' tests/skips_allowed.txt)

if ((skipped)); then
  echo "Skipped:"
  # The test programs print SKIPPED: and the reason.
  awk '/<testcase / { match($0, / name="[^"]*"/); name = substr($0, RSTART + 7, RLENGTH - 8) }
       /SKIPPED: / { sub(/.*SKIPPED: /, ""); print "  " name ": " $0 }' "$report" | sed 's/&amp;/\&/g; s/&gt;/>/g; s/&lt;/</g; s/&quot;/"/g'
fi
if ((skipped > allowed)); then
  say "error: $skipped tests were skipped; tests/skips_allowed.txt allows $allowed"
  status=1
fi
((failed == 0)) || status=1
echo "$((total - failed - skipped)) passed, $failed failed, $skipped skipped"
exit $((status != 0))
