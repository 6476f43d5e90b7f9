"""The commands of docs/cluster.md on one machine."""

from __future__ import annotations

import pytest
import yaml
from tests.cluster.commands import COMMANDS, commands, small
from tests.composition import compose_config
from tests.engine.runs import ROOT, finish, metrics_of, start

LOCAL = commands("train.py", without=" -m ")


def test_every_command_is_run_by_a_test():
    known = {*LOCAL, *commands("sbatch "), *commands(" -m ", "hydra/launcher=slurm")}
    assert set(COMMANDS) == known
    assert len(LOCAL) == 5


@pytest.mark.slow
@pytest.mark.parametrize("command", LOCAL)
def test_commands_on_one_machine(command, tmp_path):
    words = small(command)
    runner = ["-m", "torch.distributed.run"] if words[0] == "torchrun" else []
    words = [str(ROOT / each) if each == "train.py" else each for each in words[1:]]
    cache = f"data.train.cache={tmp_path / 'scenes'}"
    status, printed = finish(start([*runner, *words, cache], cwd=tmp_path))
    assert status == 0, printed
    (run,) = (tmp_path / "runs").iterdir()
    assert metrics_of(run)["device"].startswith("2 x " if "trainer=ddp" in words else "1 x ")


def test_the_kubernetes_job_composes():
    job = yaml.safe_load((ROOT / "docs" / "cluster" / "pytorchjob.yaml").read_text())
    replicas = job["spec"]["pytorchReplicaSpecs"]
    for replica in replicas.values():
        (container,) = replica["template"]["spec"]["containers"]
        config = compose_config(*container["args"])
        assert config.trainer.num_nodes == sum(each["replicas"] for each in replicas.values())
        assert str(config.trainer.devices) == job["spec"]["nprocPerNode"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == config.trainer.devices
        assert config.data.batch_size % (config.trainer.num_nodes * config.trainer.devices) == 0
        assert container["command"] == ["torchrun", "--no-python", "flowdeblur", "train"]
        assert "RUN_ID" in {each["name"] for each in container["env"]}
