#!/usr/bin/env bash
# The picture of emotions in README: one frame of a sheet of them. OUT defaults to examples/emotions.png.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath "${1:-examples/emotions.png}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

floatcli emotion examples/speech.wav --face examples/portrait.png --crop none --weights embedded \
    --to neutral,happy,sad,angry,surprise,disgust,fear --scale 2 -o "$folder/sheet.mp4"
python examples/still.py "$folder/sheet.mp4" "$out" 4.0
