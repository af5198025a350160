#!/usr/bin/env bash
# Builds the project and shows it at work on the recordings that come with it. ./run.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=cmake/setup.sh
. cmake/setup.sh

usage() {
  cat <<'TEXT'
Usage: ./run.sh [--quick]

Installs missing packages (Debian, Ubuntu), builds build/release/bin/dcasenet, and with it
  1. renders three small data sets from the recordings in train/minidata into build/minidata,
  2. trains DcaseNet v3, all hidden sizes divided by 8, on scenes, tags and events at once, into runs/minidata,
  3. evaluates the trained model on the test parts,
  4. predicts one recording.

  --quick   smaller data sets and few steps, into build/minidata-quick and runs/minidata-quick: shows that all works;
            the scores mean little
  --help    this text

A run that was interrupted goes on where it stopped. Delete runs/minidata to start anew.
TEXT
}

data=build/minidata
run=runs/minidata
render=()
settings=()
while (($#)); do
  case $1 in
    --quick)
      data=build/minidata-quick
      run=runs/minidata-quick
      render=(--scale 0.1)
      settings=(train.steps=40 train.eval_every=0 data.asc.batch_size=4 data.tag.batch_size=4 data.sed.batch_size=2)
      ;;
    -h | --help) usage; exit 0 ;;
    *) say "error: unknown option $1"; usage >&2; exit 2 ;;
  esac
  shift
done

need_packages build
build release dcasenet_cli
dcasenet=build/release/bin/dcasenet

# step TEXT COMMAND...: says what is done, as one could type it oneself
step() {
  printf '\n== %s\n   %s\n' "$1" "${*:2}"
  "${@:2}"
}

step "Render the data sets" "$dcasenet" data render --clips train/minidata --output "$data" "${render[@]}"

train=(--config train/configs/minidata.json)
for setting in "${settings[@]}" "data.asc.root=$data/asc" "data.tag.root=$data/tag" "data.sed.root=$data/sed"; do
  train+=(--set "$setting")
done
if [[ -f $run/last.safetensors ]]; then train=(--resume); fi
step "Train" "$dcasenet" train --run "$run" "${train[@]}"

step "Evaluate" "$dcasenet" eval --model "$run/last.safetensors" --asc "$data/asc" --tag "$data/tag" --sed "$data/sed" \
  --tag-eval test-all --threshold 0.3
recording=$(find "$data/sed/mic_dev" -name 'fold1_*.wav' | sort | head -n 1)
step "Predict a recording" "$dcasenet" predict "$recording" --model "$run/last.safetensors" --threshold 0.3
