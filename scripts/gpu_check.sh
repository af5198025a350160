#!/usr/bin/env bash
# Checks the CUDA side on a machine with a GPU and writes a report. Installs nothing and needs no network.
# Usage: gpu_check.sh [--emulated] [--tree DIR] [--output DIR]
#   --emulated    the same steps on the emulated device, so that this script is known to work before it meets a GPU
#   --tree DIR    the project's folder: reference files and recordings (default: the current folder, or the one above)
#   --output DIR  report.txt, report.json, ptx_layouts.json, bench_*.json and a log of each step (default: gpu-check)
# It runs from the project (after ./test.sh has built it) or from the bundle that scripts/gpu_bundle.sh makes.
# The last line counts the steps. Exit status 0: none failed. 1: some did. 2: wrong usage, or something to run is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
emulated=0 tree='' out=gpu-check
while (($#)); do
  case $1 in
    --emulated) emulated=1 ;;
    --tree | --output)
      (($# > 1)) || { echo "error: $1 needs a folder" >&2; exit 2; }
      if [[ $1 == --tree ]]; then tree=$2; else out=$2; fi
      shift ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "error: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done

if [[ -d $here/bin ]]; then
  bin=$here/bin
  export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
else
  bin=$here/../build/release/bin
fi
if [[ -z $tree ]]; then
  if [[ -f tests/golden/ops.safetensors ]]; then tree=.; else tree=$here/..; fi
fi
[[ -f $tree/tests/golden/ops.safetensors ]] || { echo "error: $tree is not the project's folder (no tests/golden); name it with --tree" >&2; exit 2; }
golden=$(cd "$tree/tests/golden" && pwd)
clips=$(cd "$tree/train/minidata" && pwd)
config=$(cd "$tree/train/configs" && pwd)/minidata.json
if ((emulated)); then
  tests=$bin/test_emulator layouts=$bin/ptx_layouts_emulated dcasenet=$bin/dcasenet-emulated bench=$bin/dcasenet-bench-emulated
else
  tests=$bin/test_cuda layouts=$bin/ptx_layouts dcasenet=$bin/dcasenet bench=$bin/dcasenet-bench
fi
for program in "$tests" "$layouts" "$dcasenet" "$bench"; do
  [[ -x $program ]] || { echo "error: $program is not there: run ./test.sh, or take a bundle of scripts/gpu_bundle.sh" >&2; exit 2; }
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
report=$out/report.txt
: >"$report"
rows=() passed=0 failed=0 skipped=0

# note NAME STATUS SECONDS [REASON]
note() {
  printf '%-8s %4d s  %s%s\n' "$2" "$3" "$1" "${4:+: $4}" | tee -a "$report"
  rows+=("$(printf '{"step": "%s", "status": "%s", "seconds": %d, "reason": "%s"}' "$1" "$2" "$3" "${4:-}")")
}
# step NAME COMMAND...: its output goes to NAME.log
step() {
  local name=$1 start=$SECONDS log=$out/${1// /_}.log
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    note "$name" passed $((SECONDS - start))
  else
    failed=$((failed + 1))
    note "$name" FAILED $((SECONDS - start)) "see ${log##*/}"
    tail -n 15 "$log"
  fi
}
skip() {  # NAME REASON
  skipped=$((skipped + 1))
  note "$1" skipped 0 "$2"
}

# Three runs of a short training give the same bytes. The emulated device learns tags alone: validation on a minute of
# sound takes it a minute.
# shellcheck disable=SC2317  # called by step
training_repeats() {
  "$dcasenet" data render --clips "$clips" --output "$out/data" --scale 0.05 --quiet || return 1
  local run sums=() task tasks=(asc tag sed) settings=()
  if ((emulated)); then tasks=(tag) settings=(--set data.asc.root= --set data.sed.root=); fi
  for task in "${tasks[@]}"; do
    settings+=(--set "data.$task.root=$out/data/$task" --set "data.$task.batch_size=1" --set "data.$task.crop_frames=40")
  done
  for run in 1 2 3; do
    rm -rf "$out/run$run"
    "$dcasenet" train --device cuda --quiet --config "$config" --run "$out/run$run" \
      --set train.steps=2 --set train.eval_every=0 "${settings[@]}" || return 1
    sums+=("$(sha256sum <"$out/run$run/last.safetensors")")
  done
  printf '%s\n' "${sums[@]}"
  [[ ${sums[0]} == "${sums[1]}" && ${sums[0]} == "${sums[2]}" ]]
}

step "version" "$dcasenet" --version
if command -v nvidia-smi >/dev/null && ((!emulated)); then
  step "device" nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem,power.limit,temperature.gpu --format=csv
else
  skip "device" "$( ((emulated)) && echo "the emulated device has no nvidia-smi" || echo "there is no nvidia-smi")"
fi
step "layouts of the PTX wrappers" "$layouts" --write "$out/ptx_layouts.json"
if [[ -f $golden/ptx_layouts.json ]]; then
  step "layouts as recorded on a GPU" "$layouts" --compare "$golden/ptx_layouts.json"
fi
if ((emulated)); then
  step "tests of the wrappers" "$tests" '[layouts]'  # the others ran with the whole suite
  step "reference values of the operators" "$dcasenet" verify --device cuda "$golden/ops.safetensors"
else
  step "tests" "$tests"
  step "reference values" "$dcasenet" verify --device cuda "$golden"/{ops,mel,v1_r8,v2_r8,v3_r8,v1_full,v2_full,v3_full}.safetensors
fi
step "three trainings with the same bytes" training_repeats
if ((emulated)); then  # the test of the benchmark runs all of it
  step "bench" "$bench" --device cuda --tiny --filter '^(gemm|mel|resample)' --json "$out/bench_fp32.json"
else
  step "bench fp32" "$bench" --device cuda --quick --json "$out/bench_fp32.json"
  for precision in tf32 bf16; do  # the other operators do not depend on it
    step "bench $precision" "$bench" --device cuda --quick --precision "$precision" --filter '^(train|infer|conv|gru|gemm)' \
      --json "$out/bench_$precision.json"
  done
fi
for tool in memcheck racecheck synccheck initcheck; do
  if ((emulated)); then
    skip "compute-sanitizer $tool" "the emulator has its own checker"
  elif command -v compute-sanitizer >/dev/null; then
    step "compute-sanitizer $tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests"
  else
    skip "compute-sanitizer $tool" "there is no compute-sanitizer in PATH"
  fi
done
if ((!emulated)); then step "after the load" nvidia-smi --query-gpu=clocks.sm,power.draw,temperature.gpu --format=csv; fi

{
  printf '{\n"emulated": %s,\n"date": "%s",\n"version": "%s",\n"steps": [\n' "$( ((emulated)) && echo true || echo false)" \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$("$dcasenet" --version | head -n 1 | tr -d '"')"
  printf '%s' "${rows[0]}"
  if ((${#rows[@]} > 1)); then printf ',\n%s' "${rows[@]:1}"; fi
  printf '\n]\n}\n'
} >"$out/report.json"
echo "$passed passed, $failed failed, $skipped skipped"
exit $((failed != 0))
