#!/bin/sh
# See that SLURM is installed, by apt-get where that is possible; status 75 and a message where it is not.
PATH=$PATH:/usr/sbin:/sbin

here() { command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null; }

here && exit 0
if [ "$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi
if command -v apt-get >/dev/null && $sudo true 2>/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { $sudo apt-get update --quiet && $sudo apt-get install --quiet --yes --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1
fi
here && exit 0
echo "test-cluster skipped: SLURM is not installed; apt-get install slurm-wlm munge" >&2
exit 75
