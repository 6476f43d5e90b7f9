"""callbacks=compile trains the same network under the same names."""

from __future__ import annotations

import copy

import lightning as L
import pytest
import torch
from torch import nn

from flowdeblur.training.callbacks import Compile


class _Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, image):
        return self.layer(image).relu()


class _Task(L.LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network


@pytest.mark.slow
def test_the_compiled_network_keeps_its_names_and_results():
    network = _Network()
    task, plain = _Task(network), copy.deepcopy(network)
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    Compile(backend=backend).setup(None, task, "fit")
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(task.network(image), plain(image))
    assert len(graphs) == 1
    assert task.network is network
    assert network.state_dict().keys() == plain.state_dict().keys()


def test_only_training_compiles():
    task = _Task(_Network())
    Compile(backend="eager").setup(None, task, "test")
    assert task.network._compiled_call_impl is None
