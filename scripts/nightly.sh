#!/usr/bin/env bash
# The long checks that .ci/run has no time for. Usage: scripts/nightly.sh
#   .ci/run; then every mutant of every kernel; then the tests of CUDA code in 16 more random schedules, and the program on
#   the emulated device in several orders of streams and kernels.
# The last line counts. Exit status 1: something failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
(($# == 0)) || { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2; }

passed=0 failed=()
try() {  # NAME COMMAND...
  printf '\n=== %s\n' "$1"
  if "${@:2}"; then passed=$((passed + 1)); else failed+=("$1"); fi
}

try "ci" .ci/run
try "all mutants" scripts/mutate_kernels.sh --all
for seed in $(seq 101 116); do
  try "schedules of seed $seed" env DCASE_TEST_SEED="$seed" build/release/bin/test_emulator '[cuda]'
done
for schedule in "forward, copies late" "reverse, copies early" "random 17, copies random"; do
  for streams in eager 5; do
    try "reference values: $schedule, streams $streams" env DCASE_EMULATED_SCHEDULE="$schedule" \
      DCASE_EMULATED_STREAMS="$streams" build/release/bin/dcasenet-emulated verify --device cuda tests/golden/{ops,v1_r8,v2_r8,v3_r8}.safetensors
  done
done

if ((${#failed[@]})); then printf 'failed: %s\n' "${failed[@]}"; fi
echo "$passed passed, ${#failed[@]} failed, 0 skipped"
exit $((${#failed[@]} != 0))
