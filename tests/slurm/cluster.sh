# A SLURM cluster of one node on this machine, in a folder of its own: Debian's slurm-wlm and munge, run by root, with
# two processors, two "GPUs" that are links to /dev/null (SLURM wants devices), and no accounting.
# usage: source tests/slurm/cluster.sh; start_cluster FOLDER; ... ; restart_controller; ... ; stop_cluster

node="$(hostname -s)"

start_cluster() {
    cluster="$1"
    export SLURM_CONF="$cluster/slurm.conf"
    mkdir -p "$cluster"/{state,spool}
    chmod 711 "$cluster" # munged wants its socket within reach of everybody
    for gpu in gpu0 gpu1; do ln -s /dev/null "$cluster/$gpu"; done
    (umask 077 && head -c 1024 /dev/urandom >"$cluster/munge.key")
    cat >"$SLURM_CONF" <<END
ClusterName=mien
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthInfo=socket=$cluster/munge.socket
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=2
SchedulerParameters=sched_interval=2
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 RealMemory=200000 Gres=gpu:2
PartitionName=main Nodes=$node Default=YES
END
    # The executor takes SLURM_* out of the environment of the srun that it calls in a job.
    mkdir -p "$cluster/bin"
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$(type -P srun)" >"$cluster/bin/srun"
    chmod +x "$cluster/bin/srun"
    export PATH="$cluster/bin:$PATH"
    echo "Name=gpu File=$cluster/gpu[0-1]" >"$cluster/gres.conf"
    munged --key-file="$cluster/munge.key" --socket="$cluster/munge.socket" --pid-file="$cluster/munged.pid" \
        --log-file="$cluster/munged.log" --seed-file="$cluster/munged.seed"
    slurmctld
    slurmd
    await "the node to be idle" node_is IDLE
}

# By scontrol, because sinfo takes a node for drained that has not answered a new controller yet.
node_is() { scontrol show node "$node" 2>/dev/null | grep -q "State=$1 "; }

# Wait until a command succeeds, for ten minutes: await WHAT COMMAND...
await() {
    local what="$1" end=$((SECONDS + 600))
    shift
    until "$@"; do
        ((SECONDS < end)) || { echo "waited ten minutes for $what" >&2 && return 1; }
        sleep 0.5
    done
}

# End a daemon of the cluster by the process that its file names, and wait for it.
end_daemon() {
    local pid
    pid="$(cat "$cluster/$1.pid" 2>/dev/null)" || return 0
    kill "$pid" 2>/dev/null || return 0
    await "$1 to end" eval "! kill -0 $pid 2>/dev/null"
}

restart_controller() {
    end_daemon slurmctld
    slurmctld
    await "the controller to answer" eval "scontrol ping | grep -q UP"
}

stop_cluster() {
    [[ -v cluster ]] || return 0
    scancel --partition main 2>/dev/null || true
    await "jobs to end" eval '[[ -z "$(squeue --noheader --states R,CG 2>/dev/null)" ]]' || true
    for daemon in slurmd slurmctld munged; do
        end_daemon "$daemon" || true
    done
}
