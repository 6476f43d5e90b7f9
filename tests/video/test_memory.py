from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flowdeblur.video import memory
from flowdeblur.video.memory import available_memory, portion

CPU, GPU = torch.device("cpu"), torch.device("cuda")
HD, UHD = (1080, 1920), (2160, 3840)


@pytest.fixture
def gib(monkeypatch):
    """Pretends that so much memory is available."""

    def pretend(amount):
        available = None if amount is None else int(amount * 2**30)
        monkeypatch.setattr(memory, "available_memory", lambda device: available)

    return pretend


@pytest.mark.parametrize(
    ("amount", "device", "size", "expected"),
    [
        (32, CPU, UHD, (None, 1)),
        (4, CPU, HD, (None, 1)),
        (4, CPU, UHD, (1408, 1)),
        (1, CPU, UHD, (704, 1)),
        (0.001, CPU, HD, (128, 1)),
        (None, CPU, UHD, (None, 1)),
        (70, GPU, (720, 1280), (None, 8)),
        (20, GPU, HD, (None, 5)),
        (4, GPU, UHD, (1408, 1)),
    ],
)
def test_what_fits(gib, amount, device, size, expected):
    gib(amount)
    assert portion(size, device) == expected


def test_a_chosen_tile_is_kept_and_decides_the_batch(gib):
    gib(2)
    assert portion(UHD, GPU, tile=512) == (512, 4)
    assert portion(UHD, CPU, tile=512) == (512, 1)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux reports it there")
def test_available_memory_is_what_linux_says():
    total = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    assert 0 < available_memory(CPU) < total


def test_a_container_limit_counts(monkeypatch):
    files = {
        "/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n",
        "/sys/fs/cgroup/memory.max": "5000000\n",
        "/sys/fs/cgroup/memory.current": "3000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 500000\n",
    }
    monkeypatch.setattr(memory, "_read", lambda path: files.get(path, ""))
    assert available_memory(CPU) == 2_500_000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert available_memory(CPU) == 8_192_000
    files.clear()
    assert available_memory(CPU) is None
