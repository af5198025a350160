#!/usr/bin/env bash
# Trains and evaluates every row of the paper's Tables 2 and 3 at small scale, on the recordings that come with the
# project, and lays the tables out. It shows that each row works end to end; its figures say nothing about the paper's sets.
# Usage: scripts/paper_matrix.sh [--out FOLDER] [--steps N] [--seeds N] [--rows REGEX] [--jobs N]
#   --out     runs, logs and tables (default runs/paper); what is there already is not done again
#   --steps   of each training (default 300)      --seeds   trainings of each row (default 2)
#   --rows    presets that match (default all)    --jobs    rows at a time, one thread each (default: the cores)
# All rows: an eighth of the hidden widths, batches of 8, 8 and 2, crops of 2.5 s, 2.5 s and 10 s; one cosine over the
# run, mix-up from the same share of it as in the paper. Exit status 1: a row failed; the tables show which.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
out=runs/paper steps=300 seeds=2 rows=. jobs=$(nproc)
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --out | --steps | --seeds | --rows | --jobs)
      (($# > 1)) || { echo "error: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift ;;
    *) echo "error: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
dcasenet=$PWD/build/release/bin/dcasenet
data=build/minidata
[[ -x $dcasenet ]] || { echo "error: $dcasenet is not there: run ./test.sh first" >&2; exit 2; }
mkdir -p "$out/runs"
"$dcasenet" data render --clips train/minidata --output "$data"
export out steps dcasenet data

# shellcheck disable=SC2317  # called by the shells of xargs
row() {  # PRESET START SEED: START is the preset whose model it starts from, or "drawn"
  local preset=$1 start=$2 seed=$3 tasks run set=() sets=() task
  run=$out/runs/$preset.seed$seed
  [[ ! -s $run/eval.json ]] || return 0
  tasks=$(sed -E 's/.*-(single|joint|tune)-([a-z+]+).*/\2/' <<<"$preset")
  for task in ${tasks//+/ }; do sets+=("--$task" "$data/$task"); done
  if [[ -e $run/last.safetensors ]]; then
    set=(--resume)
  else
    set=(--preset "$preset")
    [[ $start == drawn ]] || set+=(--init "$out/runs/$start.seed$seed/last.safetensors")
    for task in asc tag sed; do set+=(--set "data.$task.root=$data/$task"); done
    for assignment in model.width=1/8 train.seed="$seed" train.steps="$steps" train.restart_steps="$steps" \
      train.mixup_from_step=$((steps * 3 / 80)) train.eval_every=0 train.checkpoint_every=100 data.tag_eval=test-all \
      data.asc.batch_size=8 data.tag.batch_size=8 data.sed.batch_size=2 \
      data.asc.crop_frames=125 data.tag.crop_frames=125 data.sed.crop_frames=500; do
      set+=(--set "$assignment")
    done
  fi
  if "$dcasenet" train --run "$run" --threads 1 --quiet --device cpu "${set[@]}" &&
    "$dcasenet" eval --model "$run/last.safetensors" "${sets[@]}" --tag-eval test-all --threads 1 --quiet --device cpu \
      --json "$run/eval.json" >"$run/eval.txt"; then
    echo "done: $preset, seed $seed"
  else
    echo "FAILED: $preset, seed $seed"
    return 1
  fi
}
# shellcheck disable=SC2317
logged() {  # the same, in silence but for its last word
  local log=$out/runs/$1.seed$3.log status=0
  row "$@" >>"$log" 2>&1 || status=1
  if [[ -s $log ]]; then tail -n 1 "$log"; fi
  return "$status"
}
export -f row logged

# Rows that start from others come after them.
listed=$("$dcasenet" train --list-presets |
  awk -v rows="$rows" 'NR > 3 && $1 !~ /@/ && $1 ~ rows { print $1, $NF == "weights" ? "drawn" : $NF }')
[[ -n $listed ]] || { echo "error: no preset matches $rows" >&2; exit 2; }
failed=0
for kind in drawn others; do
  # shellcheck disable=SC2016  # expanded by the inner shell
  for seed in $(seq 1 "$seeds"); do
    awk -v kind="$kind" -v seed="$seed" '($2 == "drawn") == (kind == "drawn") { print $1, $2, seed }' <<<"$listed"
  done | xargs -r -P "$jobs" -L 1 bash -c 'logged "$@"' row || failed=1
done
"$dcasenet" table "$out"/runs/*/ --markdown "$out/tables.md" --csv "$out/tables.csv"
exit "$failed"
