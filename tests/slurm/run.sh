#!/usr/bin/env bash
# Table 5.2 of a small run of HEAD, made by SLURM jobs while KILLS (1) trainings are killed at random moments, fewer where
# the run ends before, the node is drained and the controller restarted: all that the run leaves must equal what a local
# run leaves.
# `make test-slurm` calls it, by root on Debian (apt-get install slurm-wlm munge).
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/slurm/cluster.sh
export OMP_NUM_THREADS=1
target=results/tables/5.2.md
kills="${KILLS:-1}"

folder="$(mktemp -d)"
run=
finish() {
    [[ -z "$run" ]] || kill -KILL "$run" 2>/dev/null || true
    stop_cluster
    rm -rf "$folder"
}
trap finish EXIT
give_up() { tail -n 50 "$folder/run.log" >&2 && exit 1; }

git clone --quiet . "$folder/local"
(cd "$folder/local" && python tests/workflow/shrink.py params.yaml && rm -rf results)
cp -r "$folder/local" "$folder/slurm"
(cd "$folder/local" && snakemake --cores 2 --config gpus=0 -- "$target") >"$folder/run.log" 2>&1 || give_up
echo "local run: $SECONDS s"

start_cluster "$folder"
cd "$folder/slurm"
snakemake --profile profiles/slurm --max-threads 1 --slurm-init-seconds-before-status-checks 2 --latency-wait 5 \
    --retries "$((kills + 2))" -- "$target" >"$folder/run.log" 2>&1 &
run=$!

running() { kill -0 "$run" 2>/dev/null; }

# List running jobs that asked for a GPU, which are trainings; fails without one.
trainings() { squeue --noheader --states R --Format jobid:10,comment:80,tres-per-job:20 | grep gpu:1; }

# Kill one of them at a random moment, if there is one then.
kill_training() {
    local job name
    trainings >/dev/null && sleep $((RANDOM % 10)) && read -r job name _ < <(trainings | shuf -n 1) &&
        scancel "$job" && echo "killed: $name" && killed=$((killed + 1))
}

drain_and_restart() {
    scontrol update nodename="$node" state=drain reason=test
    restart_controller
    await "the node to be drained" node_is IDLE+DRAIN
    await "the node to resume" scontrol update nodename="$node" state=resume
}

killed=0
while ((killed < kills)) && running; do
    kill_training || sleep 0.5
    ((killed != 1)) || [[ -n "${drained:=}" ]] || { drain_and_restart && drained=yes; }
done
wait "$run" || give_up
run=
((killed)) || give_up

for words in "failed, SLURM status is: 'CANCELLED'" "Trying to restart job"; do
    diff <(grep -c "$words" "$folder/run.log") <(echo "$killed")
done
snakemake -n --config gpus=1 -- "$target" | grep "Nothing to be done"
diff --recursive --brief "$folder/local/results" results
echo "$(grep -c "has been submitted with SLURM jobid" "$folder/run.log") SLURM jobs, $killed of them killed, made what the local run made: $SECONDS s"
