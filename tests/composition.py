from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from flowdeblur.engine.configuration import config_dir, instantiate, plain
from flowdeblur.networks import FlowGuidedDeblurring

MODELS = [
    "proposed",
    "small",
    "bidirectional",
    "without_rnns",
    "concat_rnn_weights",
    "without_flow",
    "rnns_in_decoder",
]
PEERS = [
    "dbcpenet",
    "dbn",
    "deblurgan",
    "estrnn",
    "nafnet",
    "nafnet_22",
    "nafnet_two_frames",
    "nah",
    "ovd",
    "srn",
    "svrnn",
]
ROWS = [
    "ours",
    "without_rnns",
    "concat_rnn_weights",
    "without_flow",
    "without_flow_losses",
    "two_direction_flows",
    "rnns_in_decoder",
]


def compose_config(*overrides: str, run_dir: Path | str = "runs/test") -> DictConfig:
    """Compose conf/train.yaml as train.py would."""
    return copy.deepcopy(_composed(f"run_dir={run_dir}", *overrides))


@cache  # it takes a tenth of a second
def _composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("train", list(overrides))


def make_model(name: str, **overrides: object) -> FlowGuidedDeblurring:
    """Instantiate conf/model/<name>.yaml with small, reproducible weights."""
    node = plain(compose_config(f"model={name}"))["model"] | overrides
    torch.manual_seed(0)
    model: FlowGuidedDeblurring = instantiate(node, "model")
    return model
