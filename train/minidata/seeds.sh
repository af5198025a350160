#!/usr/bin/env bash
# Trains the configuration of ./run.sh with several seeds and prints one row of test figures for each.
# Usage: train/minidata/seeds.sh [SEED...]   (default 1 2 3; needs ./run.sh to have built and rendered)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
dcasenet=build/release/bin/dcasenet
data=build/minidata
if (($# == 0)); then set -- 1 2 3; fi
printf 'seed  asc accuracy  tag lwlrap  sed F1  sed ER  training seconds\n'
for seed in "$@"; do
  run=$(mktemp -d)
  start=$SECONDS
  "$dcasenet" -q train --config train/configs/minidata.json --run "$run" --set train.seed="$seed" --set train.eval_every=0
  seconds=$((SECONDS - start))
  "$dcasenet" -q eval --model "$run/last.safetensors" --asc "$data/asc" --tag "$data/tag" --sed "$data/sed" \
    --tag-eval test-all --threshold 0.3 --json "$run/eval.json" >"$run/eval.txt"
  python3 - "$seed" "$seconds" "$run/eval.json" <<'PY'
import json, sys
tasks = {t["task"]: t for t in json.load(open(sys.argv[3]))["tasks"]}
sed = tasks["sed"]["segment_based"]
print("%4s  %12.3f  %10.3f  %6.3f  %6.3f  %16s" % (
    sys.argv[1], tasks["asc"]["metrics"]["accuracy_percent"] / 100, tasks["tag"]["metrics"]["lwlrap"], sed["f1"], sed["error_rate"], sys.argv[2]))
PY
  rm -rf "$run"
done
