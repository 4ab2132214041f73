#!/usr/bin/env bash
# Let every portrait of one folder say every recording of another:
#   examples/batch.sh PORTRAITS RECORDINGS VIDEOS [options of floatcli animate]
# Videos that are there already are kept, so that it can be stopped and run again. Ends with 1 where any failed.
set -uo pipefail

if (( $# < 3 )); then
    echo "usage: $0 PORTRAITS RECORDINGS VIDEOS [options of floatcli animate]" >&2
    exit 2
fi
portraits=$1 recordings=$2 videos=$3
shift 3
mkdir -p "$videos" || exit
shopt -s nullglob

for folder in "$portraits" "$recordings"; do
    twins=$(for file in "$folder"/*; do basename "${file%.*}"; done | sort | uniq -d)
    [[ -n $twins ]] && { echo "several files of $folder are called ${twins//$'\n'/, }" >&2; exit 2; }
done

failed=0
for face in "$portraits"/*; do
    for speech in "$recordings"/*; do
        name=$(basename "${face%.*}")-$(basename "${speech%.*}").mp4
        [[ -e $videos/$name ]] && continue
        echo "$name" >&2
        floatcli animate "$face" "$speech" -o "$videos/$name" "$@"
        case $? in
            0) ;;
            130 | 143) exit 130 ;;  # interrupted: the rest is not wanted either
            *) failed=1 ;;
        esac
    done
done
exit $failed
