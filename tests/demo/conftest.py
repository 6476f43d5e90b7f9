"""Fixtures of several files."""

from __future__ import annotations

import contextlib
import http.client
import json
import tempfile
import time
from urllib.parse import quote

import pytest
import torch
from tests.video.clips import make_clip, make_image

from flowdeblur.demo.limits import Limits
from flowdeblur.demo.server import serving
from flowdeblur.types import Restoration
from flowdeblur.video.images import write_image

SMALL = Limits(megabytes=1, frames=8, pixels=64 * 64, jobs=2)


class Same(torch.nn.Module):
    """Returns the frame, and a flow of 4 pixels; can wait or fail."""

    frame_offsets, flow_offsets, current_index = (0, 1), (1,), 0

    def __init__(self, error=None, seconds=0.0):
        super().__init__()
        self.error, self.seconds = error, seconds

    def forward(self, frames, *, keep_rnn_weights=True):
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        return Restoration(frames[:, 0], (torch.ones(1, 2, 16, 16),), ())


class Black(Same):
    """Restores every frame as black."""

    def forward(self, frames, *, keep_rnn_weights=True):
        restored = super().forward(frames)
        return restored._replace(restored=torch.zeros_like(restored.restored))


class Client:
    """What the page's script does, and what a stranger might try."""

    def __init__(self, address):
        self.host = address.removeprefix("http://").rstrip("/")

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        self.headers = dict(reply.getheaders())
        return reply.status, reply.read()

    def json(self, *arguments, **headers):
        status, body = self.ask(*arguments, **headers)
        return status, json.loads(body)

    def upload(self, *files):
        job = "/jobs/" + self.json("POST", "/jobs")[1]["name"]
        for name, content in files:
            status, answer = self.json("PUT", f"{job}/{quote(name, safe='')}", content)
            if status != 200:
                return job, answer
        self.json("POST", job)
        return job, self.wait(job)

    def wait(self, job):
        for _ in range(400):
            _, state = self.json("GET", job)
            if state["state"] in ("done", "failed"):
                return state
            time.sleep(0.05)
        raise AssertionError(state)


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """Starts demos with a network; all their files are below ``tmp_path / "temporary"``."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with contextlib.ExitStack() as stack:

        def start(network=None, limits=SMALL):
            running = serving(network or Same(), port=0, device=torch.device("cpu"), limits=limits)
            return Client(stack.enter_context(running))

        yield start
    assert list((tmp_path / "temporary").iterdir()) == []


def clip_bytes(tmp_path, count=4, **options):
    return make_clip(tmp_path / f"{count}.mp4", count, **options).read_bytes()


def image_bytes(tmp_path, index=0):
    write_image(tmp_path / "image.png", make_image(index))
    return (tmp_path / "image.png").read_bytes()
