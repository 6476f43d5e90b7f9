"""Limits of the demo, and its command."""

from __future__ import annotations

import socket
import time

import pytest
from tests.composition import compose_config, make_model
from tests.demo.conftest import Client, Same, clip_bytes

from flowdeblur import cli, weights
from flowdeblur.cli import demo as demo_command
from flowdeblur.demo.limits import Limits
from flowdeblur.demo.server import serving
from flowdeblur.engine.configuration import plain
from flowdeblur.errors import UserError


def test_a_broken_upload_can_be_repeated(demo, tmp_path):
    client, clip = demo(), clip_bytes(tmp_path)
    job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
    host, _, port = client.host.partition(":")
    with socket.create_connection((host, int(port))) as broken:
        head = f"PUT {job}/a.mp4 HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: {len(clip)}"
        broken.sendall(head.encode() + b"\r\n\r\n" + clip[:100])
        broken.shutdown(socket.SHUT_WR)
        assert b"the upload broke off" in broken.recv(10_000, socket.MSG_WAITALL)
    assert client.json("PUT", f"{job}/a.mp4", clip)[0] == 200
    client.json("POST", job)
    assert client.wait(job)["state"] == "done"


def test_a_cancelled_job_ends(demo, tmp_path):
    client = demo(Same(seconds=0.3), limits=Limits(jobs=1))
    job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
    client.json("PUT", f"{job}/a.mp4", clip_bytes(tmp_path, 40))
    client.json("POST", job)
    client.ask("DELETE", job)
    other, state = client.upload(("b.mp4", clip_bytes(tmp_path, 2)))
    assert state["state"] == "done"
    assert client.ask("GET", job)[0] == 404
    assert other != job


def test_room_is_limited_and_made(demo, tmp_path):
    client = demo(Same(seconds=0.2))
    clip = clip_bytes(tmp_path)
    jobs = []
    for _ in range(2):
        job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
        client.json("PUT", f"{job}/a.mp4", clip)
        client.json("POST", job)
        jobs.append(job)
    status, answer = client.json("POST", "/jobs")
    expected = "several clips are being restored; try again in a moment"
    assert (status, answer["message"]) == (503, expected)
    client.ask("DELETE", jobs[1])
    assert client.wait(jobs[0])["state"] == "done"
    assert client.json("POST", "/jobs")[0] == 200
    assert client.ask("GET", jobs[1])[0] == 404


def test_uploads_expire(demo, tmp_path):
    client = demo(limits=Limits(seconds=0.1))
    job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
    client.json("PUT", f"{job}/a.mp4", clip_bytes(tmp_path))
    for _ in range(100):
        time.sleep(0.1)
        if not list((tmp_path / "temporary").glob("*/*")):
            break
    assert list((tmp_path / "temporary").glob("*/*")) == []
    assert client.ask("GET", job)[0] == 404


def test_a_port_that_is_taken(demo):
    port = demo().host.rpartition(":")[2]
    with pytest.raises(UserError, match=f"^--port {port}: cannot be used; name another"):
        serving(Same(), port=int(port)).__enter__()


def test_the_command_needs_no_weights(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_command, "wait_for_interrupt", interrupt)
    assert cli.main(["demo", "--port", "0", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("open http://127.0.0.1:")


def test_the_command_serves_until_ctrl_c(monkeypatch, capsys, tmp_path):
    config = plain(compose_config("model=proposed", "model.width=2"))["model"]
    weights.save(tmp_path / "w.safetensors", make_model("proposed", width=2), config)
    seen = []

    def interrupt():
        said = capsys.readouterr().out
        address = said.removeprefix("open ").partition(" ")[0]
        seen.append(Client(address).ask("GET", "/")[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_command, "wait_for_interrupt", interrupt)
    arguments = ["--weights", str(tmp_path / "w.safetensors"), "--port", "0", "--device", "cpu"]
    assert cli.main(["demo", *arguments]) == 0
    assert seen == [200]
    assert capsys.readouterr().out == "ended; all uploads were removed\n"
