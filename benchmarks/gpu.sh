#!/usr/bin/env bash
# Everything that needs a GPU, in order of value, within a time: the CUDA tests, the benchmarks, the
# recorded runs. Called again, it goes on where it stopped.
#
#   benchmarks/gpu.sh CIFAR OUT [SECONDS]
#
# CIFAR    a folder with cifar-10-batches-py/, or with a `restore` script and the images that it
#          restores them from; these may come in two calls, the second with the other images (at
#          once, where the machine forgets what was left on it)
# OUT      receives results.tar.gz, to be unpacked in the root of the repository, and log.txt
# SECONDS  in which to stop; 510 unless told: what is running may take some more to stop
#
# Needs torch, torchvision, numpy, Pillow and pytest; resnet-gen itself is not needed.
# WORK (default ~/.cache/resnet-gen-gpu) keeps what is done, unfinished runs too: these are lost with
# the machine. REHEARSE=4 makes runs of 4 iterations, and works without a GPU.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

[[ $# -ge 2 ]] || { sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 2; }
cifar=$(realpath "$1") out=$(realpath -m "$2") deadline=$((SECONDS + ${3:-510}))
work=${WORK:-$HOME/.cache/resnet-gen-gpu}
python=${PYTHON:-python3}
data=$work/data results=$work/results
mkdir -p "$out" "$work/done" "$work/logs" "$results"
exec > >(tee -a "$out/log.txt") 2>&1

if [[ -n ${REHEARSE:-} ]]; then
    machine=rehearsal iterations=${REHEARSE} rounds=1 seconds=0.1 few=2 device=cpu
else
    machine=$("$python" -c 'import torch; print(torch.cuda.get_device_name().lower().replace(" ", "-"))') ||
        { echo "there is no CUDA device here"; exit 4; }
    iterations=64000 rounds=7 seconds=0.5 few=200 device=cuda
fi

# Packs what there is, so that a machine that is lost loses only what ran last.
pack() {
    mkdir -p "$results/benchmarks/gpu"
    cp "$work"/logs/*.txt "$results/benchmarks/gpu/" 2>/dev/null
    tar -czf "$out/results.tar.gz" -C "$work" results
}

# stage NAME COMMAND...: runs it unless it is done; ended by the deadline, it waits for the next call.
stage() {
    local name=$1 left=$((deadline - SECONDS)) status
    shift
    [[ -e $work/done/$name ]] && return
    ((left > 20)) || { late=1; return; }
    echo "== $name ($left s left)"
    limit=$((left - 15))
    "$@" 2>&1 | tee "$work/logs/$name.txt" | tail -n 25
    status=${PIPESTATUS[0]}
    if ((status == 0)); then
        touch "$work/done/$name"
    elif ((status == 124 || status == 137 || status == 143)); then
        echo "== $name: stopped by the deadline"
        late=1
    else
        echo "== $name: FAILED with exit code $status"  # and tried again by the next call
        failed+=" $name"
    fi
    pack
}

# limited SIGNAL SECONDS COMMAND...: that and no longer; by force if it does not heed the signal.
limited() { timeout --signal="$1" --kill-after=15 "$2" "${@:3}"; }

# Interrupted, pytest still tells what failed. Not tried again: the time is better spent on the rest.
tests() {
    limited INT $((limit < 330 ? limit : 330)) "$python" -m pytest -v --tb=short --durations=10 \
        -p no:cacheprovider -c /dev/null --rootdir . --confcutdir tests/cuda tests/cuda
    local status=$?
    touch "$work/done/tests"
    return $status
}

restore() {
    [[ -d $cifar/cifar-10-batches-py ]] && { mkdir -p "$data"; cp -r "$cifar/cifar-10-batches-py" "$data/"; return; }
    mkdir -p "$work/parts"
    cp -f "$cifar"/* "$work/parts/" && "$python" "$work/parts/restore" "$data"
}

# run NETWORK SEED ITERATIONS: one recorded run, resumed if it was stopped.
run() {
    local name=$1 seed=$2 length=$3
    local run=$name-$length-$machine-seed$seed
    local folder=$work/runs/$run record=$results/cifar10/$run
    ((length < 2000)) && record=$results/benchmarks/gpu/$run  # it shows that it runs, no more
    limited TERM "$limit" "$python" "generated/cifar/$name/train.py" --data cifar10 --root "$data" --out "$folder" \
        --iterations "$length" --seed "$seed" --resume
    local status=$?
    ((status == 0)) && mkdir -p "$record" && cp "$folder"/{metrics.jsonl,results.json} "$record/"
    return $status
}

# bench NAME ARGS...: one benchmark; its JSON is part of the results.
bench() {
    local name=$1
    shift
    limited TERM "$limit" "$python" "benchmarks/$name.py" "$@"
    local status=$?
    mkdir -p "$results/benchmarks"
    ((status == 0)) && cp "results/benchmarks/$name-$device.json" "$results/benchmarks/"
    return $status
}
late='' failed=''
[[ -d $data/cifar-10-batches-py ]] || restore || echo "CIFAR-10 is not complete"
stage tests tests
if [[ ! -d $data/cifar-10-batches-py ]]; then
    echo "== call this again with the other images"
    pack
    exit 0
fi
step=(bench training_step --root "$data" --rounds "$rounds" --seconds "$seconds" --networks)
stage step-20 "${step[@]}" resnet20
stage resnet20-0 run resnet20 0 "$iterations"
stage several bench several --root "$data" --rounds "$rounds" --seconds "$seconds"
stage resnet56-0 run resnet56 0 "$iterations"
stage resnet110-0 run resnet110 0 "$iterations"
stage resnet1202 run resnet1202 0 "$few"
stage step-56 "${step[@]}" resnet56
stage step-110 "${step[@]}" resnet110
stage models bench models --rounds "$rounds"
imagenet=(bench imagenet_step --rounds "$rounds" --seconds "$seconds" --networks)
stage imagenet-50 "${imagenet[@]}" resnet50_v1_5
detector=(bench detector_step --rounds "$rounds" --seconds "$seconds")
[[ $device == cpu ]] || detector+=(--detector faster_rcnn_resnet101)
stage detector "${detector[@]}"
stage decode bench decode --rounds "$rounds"
for name in resnet18_b resnet152_v1_5 resnet34_b resnet101_v1_5; do
    stage "imagenet-$name" "${imagenet[@]}" "$name"
done
for name in plain20 plain56 resnet32 resnet44 plain32 plain44 plain110; do
    stage "$name-0" run "$name" 0 "$iterations"
done
for seed in 1 2; do  # three seeds of what the claims compare
    for name in plain20 resnet20 plain56 resnet56; do
        stage "$name-$seed" run "$name" "$seed" "$iterations"
    done
done
for seed in 1 2 3 4; do stage "resnet110-$seed" run resnet110 "$seed" "$iterations"; done  # Table 6's five
stage resnet1202-0 run resnet1202 0 "$iterations"
pack
echo "== ${late:+to be continued; }failed:${failed:- nothing}"
[[ -z $failed ]]
