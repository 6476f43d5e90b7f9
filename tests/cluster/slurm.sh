#!/bin/sh
# A SLURM of two nodes on this machine, to try jobs with. It needs Debian's packages slurm-wlm and munge, no privileges and
# no configuration, and does not touch a SLURM that is already here.
#
#   tests/cluster/slurm.sh start FOLDER     then: . FOLDER/env; sinfo; sbatch ...
#   tests/cluster/slurm.sh kill FOLDER n2   one node dies, with all that runs there
#   tests/cluster/slurm.sh node FOLDER n2   and is started again
#   tests/cluster/slurm.sh stop FOLDER      ends what this script started, and no other process
#
# FOLDER has a short, absolute path without spaces: munge's socket is there.
set -eu
PATH=$PATH:/usr/sbin:/sbin

start_node() {
    SLURM_CONF=$folder/slurm.conf slurmd -N "$1"
}

command=$1 folder=$2
case $command in
start)
    mkdir -p "$folder/munge" "$folder/state" "$folder/spool-n1" "$folder/spool-n2"
    chmod 700 "$folder/munge"
    chmod 755 "$folder"
    user=$(id -un) host=$(hostname -s)
    # Ports of our own, so that several such clusters, and a real one, can stand side by side.
    port=${SLURM_TEST_PORT:-$((20000 + $$ % 20000))}
    dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 2>/dev/null
    chmod 600 "$folder/munge/key"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
        --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" 2>"$folder/munge/err"
    cat >"$folder/slurm.conf" <<EOF
ClusterName=flowdeblur
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
# A requeued job waits for old credentials to expire: two minutes, if nothing is said.
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdSpoolDir=$folder/spool-%n
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=1
ReturnToService=2
SlurmdTimeout=15
KillWait=30
MinJobAge=600
JobRequeue=1
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 RealMemory=2000
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 RealMemory=2000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
EOF
    echo "export SLURM_CONF=$folder/slurm.conf" >"$folder/env"
    SLURM_CONF=$folder/slurm.conf slurmctld -c
    start_node n1
    start_node n2
    for _ in $(seq 60); do
        if SLURM_CONF=$folder/slurm.conf sinfo --noheader --format=%t%D 2>/dev/null | grep -q '^idle2$'; then
            exit 0
        fi
        sleep 0.5
    done
    echo "slurm.sh: the nodes did not come up within 30 seconds; see $folder/*.log" >&2
    exit 1
    ;;
kill)
    node=$3
    victims=$(cat "$folder/slurmd-$node.pid")
    for process in /proc/[0-9]*; do
        # The node's step managers write its log; the tasks have its name in their environment.
        if ls -l "$process/fd" 2>/dev/null | grep -q "$folder/slurmd-$node.log" ||
            { tr '\0' '\n' <"$process/environ" | grep -qx "SLURM_CONF=$folder/slurm.conf" &&
                tr '\0' '\n' <"$process/environ" | grep -qx "SLURMD_NODENAME=$node"; } 2>/dev/null; then
            victims="$victims ${process#/proc/}"
        fi
    done
    kill -9 $victims 2>/dev/null || true
    ;;
node)
    start_node "$3"
    ;;
stop)
    daemons=$(cat "$folder/slurmctld.pid" "$folder/slurmd-n1.pid" "$folder/slurmd-n2.pid" "$folder/munge/pid" 2>/dev/null || true)
    for daemon in $daemons; do kill "$daemon" 2>/dev/null || true; done
    for _ in $(seq 100); do # they still write their state
        alive=
        for daemon in $daemons; do if kill -0 "$daemon" 2>/dev/null; then alive=$daemon; fi; done
        if [ -z "$alive" ]; then break; fi
        sleep 0.1
    done
    ;;
*)
    echo "usage: slurm.sh start|stop FOLDER, or slurm.sh kill|node FOLDER NAME" >&2
    exit 2
    ;;
esac
