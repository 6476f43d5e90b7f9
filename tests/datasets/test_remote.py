"""Packed frames from a server."""

from __future__ import annotations

import contextlib
import http.server
import threading

import pytest
import torch

from flowdeblur.datasets import PackedFrames
from flowdeblur.datasets.packed import remote as remote_files
from flowdeblur.datasets.packed.index import Shard
from flowdeblur.errors import RuntimeFailureError, UserError


@pytest.fixture
def server(out):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, directory=str(out), **keywords)

        def log_message(self, *_):
            self.server.served.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.served = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def remote(server, cache, **settings):
    return PackedFrames(f"http://127.0.0.1:{server.server_port}", cache=str(cache), **settings)


def test_packed_frames_from_a_server(server, out, tmp_path):
    cache = tmp_path / "cache"
    expected, found = (
        PackedFrames(str(out)).open((0, 1), ()),
        remote(server, cache).open((0, 1), ()),
    )
    assert all(torch.equal(found[k]["frames"], expected[k]["frames"]) for k in range(len(found)))
    server.served.clear()
    remote(server, cache).open((0, 1), ())
    assert not [path for path in server.served if path.endswith(".npy")]  # they are in the cache


def test_only_the_chosen_clips_are_fetched(server, tmp_path):
    remote(server, tmp_path / "cache", clips=["b"]).open((0, 1), ())
    assert {path for path in server.served if path.endswith(".npy")} == {
        "/b.blurry.npy",
        "/b.sharp.npy",
    }


def test_what_the_server_sends_is_checked(server, out, tmp_path):
    content = bytearray((out / "a.sharp.npy").read_bytes())
    content[-1] ^= 1
    (out / "a.sharp.npy").write_bytes(content)
    with pytest.raises(
        RuntimeFailureError, match=r"a.sharp.npy: checksum mismatch; download again"
    ):
        remote(server, tmp_path / "cache").open((0, 1), ())
    (folder,) = (tmp_path / "cache").iterdir()
    assert not list(folder.glob("*a.sharp*"))


@pytest.fixture
def strange_server():
    """Never ends the file ``endless``, and never begins ``silent``."""
    stopped = threading.Event()

    class Strange(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/silent"):
                stopped.wait(20)
                return
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not stopped.is_set():
                    self.wfile.write(bytes(100_000))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strange) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        stopped.set()
        server.shutdown()


def test_a_silent_server_is_given_up(strange_server, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files, "_SILENCE_S", 0.3)
    with pytest.raises(
        RuntimeFailureError, match=r"/silent/index.json: cannot be fetched \(.*imeout"
    ):
        PackedFrames(f"{strange_server}/silent", cache=str(tmp_path)).open((0,), ())
    assert not list(tmp_path.rglob("*index*"))


def test_an_endless_file_is_read_to_its_expected_size_only(strange_server, tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files, "_MAX_INDEX_BYTES", 1_000_000)
    message = r"/endless/index.json: cannot be fetched \(more than the expected 1,000,000 bytes\)"
    with pytest.raises(RuntimeFailureError, match=message):
        PackedFrames(f"{strange_server}/endless", cache=str(tmp_path)).open((0,), ())
    shard = Shard("a.sharp.npy", 500_000, "0" * 64)
    with pytest.raises(RuntimeFailureError, match=r"expected 500,000 bytes"):
        remote_files.fetch(f"{strange_server}/endless", [shard], tmp_path)
    assert not list(tmp_path.rglob("*sharp*"))


def test_servers_that_do_not_serve(server, out, tmp_path):
    (out / "b.sharp.npy").unlink()
    with pytest.raises(RuntimeFailureError, match=r"/b.sharp.npy: cannot be fetched"):
        remote(server, tmp_path / "cache").open((0, 1), ())
    with pytest.raises(RuntimeFailureError, match=r"/nowhere/index.json: cannot be fetched"):
        PackedFrames(f"http://127.0.0.1:{server.server_port}/nowhere").open((0,), ())
    with pytest.raises(UserError, match=r"data.root=nonsense://x"):
        PackedFrames("nonsense://x").open((0,), ())
