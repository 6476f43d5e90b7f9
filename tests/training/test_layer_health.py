from __future__ import annotations

import lightning as L
import pytest
import torch
from torch import nn

from flowdeblur.training.callbacks import LayerHealth
from flowdeblur.training.callbacks.layer_health import l2_decays
from flowdeblur.types import Restoration


class Network(nn.Module):
    """Two layers, one that does not learn, and parameters that are no layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 1, 3)
        self.frozen, self.norm = nn.Conv2d(1, 1, 1).requires_grad_(False), nn.BatchNorm2d(1)

    def forward(self, x):
        return self.norm(self.second(self.first(x).relu()))


class Task(L.LightningModule):
    def __init__(self, decay=0.0, extreme=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.network, self.decay, self.extreme = Network(), decay, extreme

    def training_step(self, batch, batch_idx):
        return self.network(batch).square().mean()

    def validation_step(self, batch, batch_idx):
        weights = torch.zeros(1, 4, 8, 8)
        weights[..., : round(8 * self.extreme)] = -0.95
        return Restoration(batch, rnn_weights=(torch.zeros(1, 4, 4, 4), weights))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, weight_decay=self.decay)


def fit(callback, task, steps, ckpt_path=None):
    trainer = L.Trainer(
        accelerator="cpu", max_steps=steps, callbacks=[callback], logger=False, max_epochs=-1,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, limit_val_batches=2, val_check_interval=1,
        check_val_every_n_epoch=None,
    )  # fmt: skip
    data = [torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(n)) for n in range(9)]
    batches = torch.utils.data.DataLoader(data, batch_size=None)
    trainer.fit(task, batches, batches, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def warnings(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name.startswith("flowdeblur")]


def test_values_of_a_step(caplog):
    health, task = LayerHealth(every=1), Task(decay=0.5)
    weight = task.network.first.weight
    before = weight.detach().clone()
    fit(health, task, 1)
    assert health.layers.keys() == {"first", "second"}
    values = health.layers["first"]
    rms = before.square().mean().sqrt()
    step = before - weight.detach()
    gradient = step / 0.1 - 0.5 * before
    assert values["scale"] == pytest.approx((weight.square().mean().sqrt() / rms).item())
    assert values["gradient"] == pytest.approx(gradient.square().mean().sqrt().item(), rel=1e-3)
    assert values["update"] == pytest.approx((step.square().mean().sqrt() / rms).item(), rel=1e-4)
    assert values["gradient_to_decay"] == pytest.approx(values["gradient"] / (0.5 * rms.item()))
    assert 0 < values["negative"] < 1
    assert not task.network.first._forward_hooks
    assert not warnings(caplog)


def test_a_layer_that_dies_is_named_once(caplog):
    health = LayerHealth(every=2)
    fit(health, Task(decay=9.0), 6)
    assert health.summary()["dead"] == ["first", "second"]
    assert [each.count("first, second") for each in warnings(caplog)] == [1]
    assert "a tenth of their initial scale" in caplog.text


def test_a_layer_without_gradient_is_named(caplog):
    health, task = LayerHealth(every=1), Task()
    nn.init.constant_(task.network.first.bias, -100.0)  # the ReLU lets nothing pass
    fit(health, task, 1)
    assert not health.summary()["without_gradient"]
    fit(health, task, 3)
    assert health.summary()["without_gradient"] == ["first", "second"]
    assert [each.count("exactly 0") for each in warnings(caplog)] == [1]


def test_a_first_gradient_of_zero_is_no_fault(caplog):
    health, task = LayerHealth(every=1), Task()
    nn.init.zeros_(task.network.second.weight)  # as in a network that starts as the identity
    task.network.norm = nn.Identity()
    fit(health, task, 1)
    assert health.layers["first"]["gradient"] == 0
    fit(health, task, 3)
    assert health.layers["first"]["gradient"] > 0
    assert not health.summary()["without_gradient"]
    assert not warnings(caplog)


def test_a_saturated_level_is_named(caplog):
    health = LayerHealth()
    fit(health, Task(extreme=0.75), 1)
    assert health.extreme == pytest.approx([0.0, 0.75])
    assert health.summary()["saturated"] == ["RNN level 2 of 2"]
    assert "RNN level 2 of 2" in caplog.text


def test_a_resumed_run_keeps_its_initial_scale(tmp_path):
    health, task = LayerHealth(), Task(decay=2.0)
    start = task.network.first.weight.detach().square().mean().sqrt().item()
    trainer = fit(health, task, 3)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    resumed, task = LayerHealth(), Task(decay=2.0)
    fit(resumed, task, 6, ckpt_path=tmp_path / "run.ckpt")
    end = task.network.first.weight.detach().square().mean().sqrt().item()
    assert resumed.layers["first"]["scale"] == pytest.approx(end / start)
    assert resumed.layers["first"]["scale"] < 0.5


def test_only_decay_in_the_gradient_counts():
    module = nn.Linear(2, 2)
    decay = {"params": module.parameters(), "weight_decay": 0.1}
    assert set(l2_decays(torch.optim.Adam([decay])).values()) == {0.1}
    decay = {"params": module.parameters(), "weight_decay": 0.1}
    assert not l2_decays(torch.optim.AdamW([decay]))
