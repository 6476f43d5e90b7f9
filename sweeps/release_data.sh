#!/bin/sh
# Prepare the training data of experiment=release: sh sweeps/release_data.sh RAW OUT
#
# RAW/video/*.mp4                sharp videos: their blur is synthesised
# RAW/real/CLIP/{blur,sharp}     pairs of real blurry and sharp frames, as of REDS
# RAW/photographs/*.jpg          textures of scenes
# RAW/val/CLIP/{blur,sharp}      pairs to choose by, which are never trained on
#
# A call that was cut short goes on where it was; OUT is then data.root.
set -eu
[ $# = 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
raw=$1 out=$2
: "${FLOWDEBLUR:=flowdeblur}"
mkdir -p "$out"
blur() { # NAME OPTIONS...
    name=$1
    shift
    "$FLOWDEBLUR" data synthesize "$raw/video" "$out/blurred/$name" --scale 0.5 --duty-cycle 0.5 0.9 "$@"
    "$FLOWDEBLUR" data pack "$out/blurred/$name" "$out/$name"
}
blur synthesised --interval 1 2 --seed 0
blur fast --interval 3 --noise 0 0.01 --jpeg 70 95 --seed 1
"$FLOWDEBLUR" data pack "$out/blurred/synthesised" "$out/sharp" --blurry '*/GT'
"$FLOWDEBLUR" data pack "$raw/real" "$out/real" --blurry '*/blur' --sharp '*/sharp'
ln -sfn "$(cd "$raw/photographs" && pwd)" "$out/photographs"
ln -sfn "$(cd "$raw/val" && pwd)" "$out/val"
