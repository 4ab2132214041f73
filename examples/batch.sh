#!/usr/bin/env bash
# Let every portrait of one folder say every recording of another:
#   examples/batch.sh PORTRAITS RECORDINGS VIDEOS [options of floatcli animate]
# Videos that are there already are kept, so that it can be stopped and run again. Ends with 1 where any failed.
set -uo pipefail

fail() {  # CODE LINE
    echo "$0: $2" >&2
    exit "$1"
}

(( $# >= 3 )) || fail 2 "give PORTRAITS RECORDINGS VIDEOS [options of floatcli animate]"
command -v floatcli >/dev/null || fail 2 "there is no floatcli on the PATH: activate its environment"
portraits=$1 recordings=$2 videos=$3
shift 3
shopt -s nullglob

for folder in "$portraits" "$recordings"; do
    [[ -d $folder ]] || fail 3 "$folder is no folder"
    files=("$folder"/*)
    (( ${#files[@]} )) || fail 3 "$folder is empty"
    twins=$(for file in "${files[@]}"; do basename "${file%.*}"; done | sort | uniq -d)
    [[ -z $twins ]] || fail 2 "several files of $folder are called ${twins//$'\n'/, }"
done
mkdir -p "$videos" 2>/dev/null || fail 3 "$videos can't be a folder"

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
