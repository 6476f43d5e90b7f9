from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from flowdeblur.data import Crop, DataModule
from flowdeblur.data.samples import collate, collate_mixed
from flowdeblur.errors import UserError
from flowdeblur.training.objectives import EndPointError


class Squares:
    """Samples whose color is their index."""

    def __init__(self, count=10, size=(20, 20)):
        self.count, self.size = count, size

    def open(self, frame_offsets, flow_offsets):
        self.offsets = (frame_offsets, flow_offsets)
        return self

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError
        noise = torch.Generator().manual_seed(index)
        sharp = torch.randint(0, 256, (3, *self.size), generator=noise, dtype=torch.uint8)
        return {"frames": sharp[None], "sharp": sharp, "key": f"squares/{index}"}


def module(batch_size=4, world=1, rank=0, accumulate=1, step=0, steps=6, **changes):
    data = DataModule(
        **{"frame_offsets": (0,), "flow_offsets": (), "train": Squares(), "val": Squares(3)}
        | {"patch": (16, 16), "crop": Crop, "batch_size": batch_size}
        | changes
    )
    data.trainer = SimpleNamespace(
        accumulate_grad_batches=accumulate,
        world_size=world,
        global_rank=rank,
        max_steps=steps,
        global_step=step,
    )
    return data


def batches(**settings):
    return list(module(**settings).train_dataloader())


def test_batches_are_float_and_of_the_patch_size():
    first = batches()[0]
    assert first["frames"].shape == (4, 1, 3, 16, 16)
    assert first["sharp"].dtype == torch.float32
    assert 0 <= first["sharp"].min() < first["sharp"].max() <= 1
    assert len(batches()) == 6


def test_the_sources_learn_what_the_network_reads():
    data = module(frame_offsets=[-1, 0, 1], flow_offsets=[1])
    assert data.open("val").offsets == ((-1, 0, 1), (1,))


@pytest.mark.parametrize("workers", [0, 2])
def test_pixels_are_a_function_of_seed_epoch_and_index(workers):
    for first, second in zip(batches(), batches(workers=workers), strict=True):
        assert first["key"] == second["key"]
        assert torch.equal(first["sharp"], second["sharp"])
    keys = {}
    for batch in batches(steps=20):
        for key, pixels in zip(batch["key"], batch["sharp"], strict=True):
            keys.setdefault(key, []).append(pixels)
    assert any(not torch.equal(each[0], other) for each in keys.values() for other in each[1:])
    assert not all(
        torch.equal(a["sharp"], b["sharp"]) for a, b in zip(batches(), batches(seed=1), strict=True)
    )


def test_a_resumed_stream_has_the_same_pixels():
    tail = batches(step=4)
    assert len(tail) == 2
    for resumed, straight in zip(tail, batches()[4:], strict=True):
        assert torch.equal(resumed["sharp"], straight["sharp"])


def test_processes_and_accumulation_share_the_global_batch():
    whole = batches(steps=4)
    ranks = [batches(world=2, rank=rank, accumulate=2, steps=4) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        shares = [ranks[rank][2 * step + part] for part in (0, 1) for rank in (0, 1)]
        assert torch.equal(torch.cat([each["sharp"] for each in shares]), batch["sharp"])


def test_a_batch_that_cannot_be_shared():
    with pytest.raises(UserError, match=r"data.batch_size=4 cannot be shared by 3 processes"):
        batches(world=3)


def test_validation_reads_every_sample_once():
    keys = [key for batch in module(eval_batch_size=2).val_dataloader() for key in batch["key"]]
    assert keys == [f"squares/{index}" for index in range(3)]


def test_test_data_default_to_the_validation_data():
    keys = [key for batch in module().test_dataloader() for key in batch["key"]]
    assert len(keys) == 3


def test_sizes_that_differ_are_reported():
    one, other = Squares(1)[0], Squares(1, (20, 24))[0]
    with pytest.raises(
        UserError, match=r"different sizes in one batch .*set data.eval_batch_size=1"
    ):
        collate([one, other])


def test_a_missing_root_is_reported_by_its_key():
    with pytest.raises(UserError, match=r"data.root=/nowhere: no such folder"):
        module(root="/nowhere")


class Numbers:
    """Samples whose frames have the color of their offsets."""

    def __init__(self, frames=(), flows=()):
        self.frames, self.flows = frames, flows

    def open(self, frame_offsets, flow_offsets):
        return Numbers(frame_offsets, flow_offsets)

    def __len__(self):
        return 5

    def __getitem__(self, index):
        image = torch.ones(3, 16, 16, dtype=torch.uint8)
        sample = {
            "frames": torch.stack([image * (10 * index + 10 + offset) for offset in self.frames]),
            "sharp": image * (10 * index + 10),
            "key": f"numbers/{index}",
        }
        if self.flows:
            flow = torch.tensor([[offset, 0.0] for offset in self.flows]).flatten()
            sample["flow"] = flow.view(-1, 1, 1).expand(-1, 16, 16)
        return sample


@pytest.mark.parametrize(("offsets", "flows"), [((0, 1), (1,)), ((-1, 0, 1), (-1, 1)), ((0,), ())])
def test_reversed_time(offsets, flows):
    """Frames, the flow and nothing else are those of a clip that runs backwards."""
    data = module(
        steps=20, time_reversal=True, train=Numbers(), frame_offsets=offsets, flow_offsets=flows
    )
    seen = set()
    for batch in data.train_dataloader():
        sharp = 255 * batch["sharp"][:, 0, 0, 0]
        found = (255 * batch["frames"][:, :, 0, 0, 0] - sharp[:, None]).round().int()
        for k, each in enumerate(found.tolist()):
            direction = 1 if each == list(offsets) else -1
            assert each == [direction * offset for offset in offsets]
            if flows:
                assert batch["flow"][k, ::2, 0, 0].tolist() == [direction * f for f in flows]
            seen.add(direction)
    assert seen == ({1, -1} if len(offsets) > 1 else {1})


def test_reversed_time_is_a_function_of_the_seed():
    first, second = (
        [each["sharp"] for each in batches(time_reversal=True)],
        [each["sharp"] for each in batches(time_reversal=True, workers=1)],
    )
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_what_has_no_flow_is_not_visible_in_a_mixed_batch():
    images = {
        "frames": torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        "sharp": torch.zeros(3, 8, 8, dtype=torch.uint8),
    }
    visible = torch.rand(1, 8, 8) < 0.5
    known = {**images, "key": "a", "flow": torch.ones(2, 8, 8), "visible": visible}
    everywhere = {**images, "key": "b", "flow": 2 * torch.ones(2, 8, 8)}
    batch = collate_mixed([{**images, "key": "c"}, known, everywhere])
    assert torch.equal(batch["flow"].mean((1, 2, 3)), torch.tensor([0.0, 1.0, 2.0]))
    assert not batch["visible"][0].any()
    assert torch.equal(batch["visible"][1], visible)
    assert batch["visible"][2].all()
    objective = EndPointError()
    flows = [torch.zeros(3, 2, 2, 2)]
    errors = objective(flows, batch["flow"], batch["visible"])
    assert errors[0] == 0
    assert errors[2] == pytest.approx(8**0.5, rel=1e-5)
    assert "flow" not in collate_mixed([{**images, "key": "c"}])
