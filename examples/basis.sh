#!/usr/bin/env bash
# The picture of basis vectors in README: what they do to the example portrait. OUT defaults to examples/basis.png.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath "${1:-examples/basis.png}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

floatcli animate examples/portrait.png examples/speech.wav --crop none --weights embedded -o "$folder/clip.mp4"
floatcli edit "$folder/clip.mp4" --sheet "$folder/sheet.png"
python examples/rows.py "$folder/sheet.png" "$out" 0 1 2 7 9 11 14 16  # jaw, round, smile, lid, gaze, brow, yaw, roll
