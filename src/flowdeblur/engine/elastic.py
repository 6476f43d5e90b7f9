"""Processes that torchrun starts again find each other, not the dead."""

from __future__ import annotations

import os

from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

# They are documented there, but not declared.
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]


class ElasticDDP(DDPStrategy):
    """Lightning's DDP, for ``torchrun --max-restarts`` as well.

    The processes of one torchrun exchange addresses in a store that outlives them. PyTorch 2.13
    lets those of a second start read what the first ones wrote (pytorch/pytorch#135712); here each
    start has keys of its own. With several torchruns, which count their restarts each for itself,
    that is no remedy, and ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`` is.
    """

    def setup_distributed(self) -> None:
        """Lightning's hook, at every fit and test; it takes the process group as it finds it."""
        start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        outlived = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        alone = os.environ.get("GROUP_WORLD_SIZE") == "1"
        if start != "0" and outlived and alone and not distributed.is_initialized():
            store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
            distributed.init_process_group(
                self._get_process_group_backend(),
                store=PrefixStore(f"start-{start}", store),
                rank=int(os.environ["RANK"]),
                world_size=int(os.environ["WORLD_SIZE"]),
                timeout=self._timeout,
            )
        super().setup_distributed()
