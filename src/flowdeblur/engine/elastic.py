"""DDP whose processes find each other again after a restart by torchrun."""

from __future__ import annotations

import os

from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

# They are documented there, but not declared.
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]


class ElasticDDP(DDPStrategy):
    """Lightning's DDP, for ``torchrun --max-restarts`` as well.

    The processes of one torchrun exchange addresses in a store that outlives them. In PyTorch 2.13
    the processes of a second start read the stale addresses of the first (pytorch/pytorch#135712);
    here each start has its own keys. With several torchruns, each of which counts its own restarts,
    set ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`` instead.
    """

    def setup_distributed(self) -> None:
        """Lightning's hook, at every fit and test; it uses an existing process group."""
        start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        outlived = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        one_node = os.environ.get("GROUP_WORLD_SIZE") == "1"
        if start != "0" and outlived and one_node and not distributed.is_initialized():
            store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
            distributed.init_process_group(
                self._get_process_group_backend(),
                store=PrefixStore(f"start-{start}", store),
                rank=int(os.environ["RANK"]),
                world_size=int(os.environ["WORLD_SIZE"]),
                timeout=self._timeout,
            )
        super().setup_distributed()
