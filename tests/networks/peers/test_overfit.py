"""Each peer, at a reduced width, learns two fixed samples better than their blurry frames."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tests.composition import compose_config

from flowdeblur.engine.configuration import instantiate, plain
from flowdeblur.networks.initialization import own

# Reduced model, learning rate, and steps within which it has to pass the blurry frames: up to one
# and a half times what it took.
CASES = {
    "svrnn": ({"width": 8}, 1e-3, 300),
    "nafnet": ({"width": 16, "encoder_blocks": [1, 1, 1, 2]}, 1e-3, 80),
    "nafnet_two_frames": ({"width": 16, "encoder_blocks": [1, 1, 1, 2]}, 1e-3, 60),
    "nafnet_22": ({"encoder_blocks": [1, 1, 1, 2]}, 1e-3, 40),
    "dbn": ({"width": 16}, 5e-3, 200),
    "nah": ({"width": 16, "blocks": 4}, 1e-3, 60),
    "estrnn": ({"width": 8, "blocks": 3}, 2e-3, 100),
    "ovd": ({"width": 32}, 2e-3, 120),
    "deblurgan": ({"width": 16, "blocks": 3}, 1e-3, 120),
    "dbcpenet": ({"width": 16}, 1e-3, 300),
    "srn": ({"width": 16}, 1e-3, 300),
}
# Adam's beta2 where it is not 0.999. SRN starts from Xavier's weights without a global residual, at
# a squared error of 1.7; a memory of a thousand steps of such gradients keeps the steps small: 20.8
# dB after 280 steps at width 8, blurry 25.3. With 0.9 it took 240 steps.
BETA2 = {"srn": 0.9}
MARGIN_DB = 0.5


def samples(offsets):
    """Textures that move by 5 pixels a frame, and their average along the motion."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 28, 28, generator=generator)
    world = F.interpolate(coarse, (112, 112), mode="bicubic", align_corners=False).clamp(0, 1)

    def at(shift):
        return world[..., 24:88, 24 + shift : 88 + shift]

    frames = [torch.stack([at(5 * n + k) for k in range(-2, 3)]).mean(0) for n in offsets]
    return torch.stack(frames, dim=1), at(0)


def psnr(image, sharp):
    return -10 * (image.clamp(0, 1) - sharp).square().mean().log10().item()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_samples_are_learned(name):
    overrides, rate, limit = CASES[name]
    network = instantiate(plain(compose_config(f"model={name}"))["model"] | overrides, "model")
    own(network, torch.Generator().manual_seed(0))
    frames, sharp = samples([max(-4, min(4, each)) for each in network.frame_offsets])
    blurry = psnr(frames[:, network.current_index], sharp)
    optimizer = torch.optim.Adam(network.parameters(), rate, betas=(0.9, BETA2.get(name, 0.999)))
    for step in range(1, limit + 1):
        network.train()
        loss = F.mse_loss(network(frames).restored, sharp)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            network.eval()
            with torch.inference_mode():
                restored = psnr(network(frames).restored, sharp)
            if restored > blurry + MARGIN_DB:
                return
    pytest.fail(f"{restored:.2f} dB after {limit} steps, blurry {blurry:.2f} dB")
