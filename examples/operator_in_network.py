"""The spatially variant RNN inside another network: python examples/operator_in_network.py."""

import torch
from torch import Tensor, nn

from flowdeblur.ops import spatially_variant_rnn


class Denoiser(nn.Module):
    """Predict weights from the image, filter features with them in four directions."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, channels, 3, padding=1)
        self.logits = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, 4 * channels, 1)
        )
        self.output = nn.Conv2d(4 * channels, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Denoise (B, 1, H, W)."""
        states = spatially_variant_rnn(self.features(image), self.logits(image), tanh=True)
        return image + self.output(states)


torch.manual_seed(0)
network = Denoiser()
optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
losses = []
for _ in range(60):
    clean = torch.rand(4, 1, 4, 4).repeat_interleave(12, -1).repeat_interleave(12, -2)
    noisy = clean + 0.1 * torch.randn_like(clean)
    loss = (network(noisy) - clean).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"squared error of the noisy image 0.0100, of the first steps {losses[0]:.4f}")
print(f"of the last steps {sum(losses[-10:]) / 10:.4f}")
assert sum(losses[-10:]) / 10 < 0.008, "the network does not denoise"
