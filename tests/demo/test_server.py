from __future__ import annotations

import contextlib
import http.client
import json
import socket
import tempfile
import time
from urllib.parse import quote

import av
import numpy as np
import pytest
import torch
from PIL import Image
from tests.composition import compose_config, make_model
from tests.video.clips import decode, make_clip, make_image, number

from flowdeblur import cli, weights
from flowdeblur.cli import demo as demo_command
from flowdeblur.demo.limits import Limits
from flowdeblur.demo.server import serving
from flowdeblur.engine.configuration import plain
from flowdeblur.errors import UserError
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


def test_a_clip_comes_back_restored_and_explained(demo, tmp_path):
    client = demo()
    job, state = client.upload(("holiday.mp4", clip_bytes(tmp_path, sound="aac")))
    assert state["state"] == "done"
    status, restored = client.ask("GET", f"{job}/{state['restored']}")
    assert (status, client.headers["Content-Type"]) == (200, "video/mp4")
    (tmp_path / "back.mp4").write_bytes(restored)
    assert [number(image) for _, image in decode(tmp_path / "back.mp4")] == [0, 1, 2, 3]
    with av.open(str(tmp_path / "back.mp4")) as container:
        assert len(container.streams.audio) == 1
    status, before = client.ask("GET", f"{job}/{state['before']}")
    assert status == 200
    (tmp_path / "before.mp4").write_bytes(before)
    assert [time for time, _ in decode(tmp_path / "before.mp4")] == [
        time for time, _ in decode(tmp_path / "back.mp4")
    ]
    assert (state["share"], state["message"]) == (1, "restored 4 of 4 frames, 0 s left")
    status, page = client.ask("GET", f"{job}/page")
    assert status == 200
    assert page.count(b"<section") == 2
    assert b"holiday.mp4" in page
    uploads = [each for each in (tmp_path / "temporary").rglob("*") if each.name == "holiday.mp4"]
    assert uploads == []


def test_of_two_images_the_first_is_restored(demo, tmp_path):
    client = demo()
    files = [("b.png", image_bytes(tmp_path, 2)), ("a.png", image_bytes(tmp_path, 1))]
    job, state = client.upload(*files)
    assert state["restored"] == "restored.png"
    (tmp_path / "back.png").write_bytes(client.ask("GET", f"{job}/restored.png")[1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "back.png")), make_image(2))


def mistakes(tmp_path):
    """What is dropped, and what the page says."""
    one = image_bytes(tmp_path)
    return {
        "text": ([("a.mp4", b"some words" * 50)], "a.mp4: not a video, or one that is cut off"),
        "empty": ([("a.mp4", b"")], "a.mp4: not a video, or one that is cut off"),
        "kind": ([("a.exe", b"MZ")], "a.exe: unknown suffix; name a folder or one of"),
        "one image": ([("a.png", one)], "drop one video, or two images taken one right"),
        "two clips": ([("a.mp4", b"0"), ("b.mp4", b"0")], "drop one video, or two images"),
        "three": ([("a.png", one)] * 3, "drop one video, or two images"),
        "large": ([("a.mp4", bytes(2**25))], "more than 1 MB; cut the clip shorter"),
        "long": ([("a.mp4", clip_bytes(tmp_path, 9))], "a.mp4: more than 8 frames; cut it shorter"),
        "wide": (
            [("a.mp4", clip_bytes(tmp_path, 2, size=(64, 80)))],
            "a.mp4: 80x64 is too large for the demo; use flowdeblur deblur",
        ),
    }


@pytest.mark.parametrize(
    "name",
    ["text", "empty", "kind", "one image", "two clips", "three", "large", "long", "wide"],
)
def test_mistakes_are_reported_in_one_line_without_paths(demo, tmp_path, name):
    files, line = mistakes(tmp_path)[name]
    _, state = demo().upload(*files)
    assert line in state["message"]
    assert "\n" not in state["message"]
    assert str(tmp_path) not in state["message"]


def test_an_upload_to_a_missing_job_is_answered(demo):
    answer = demo().json("PUT", "/jobs/gone/a.mp4", bytes(2**25))
    assert answer == (404, {"message": "not found or expired"})


def test_a_defect_is_reported_without_details(demo, tmp_path, caplog):
    client = demo(Same(error=RuntimeError("secret path")))
    _, state = client.upload(("a.mp4", clip_bytes(tmp_path)))
    message = "it could not be restored; see the terminal of this demo for details"
    assert (state["state"], state["message"]) == ("failed", message)
    assert "secret path" in caplog.text


@pytest.mark.parametrize(
    "name", ["../../escape.mp4", "/etc/escape.mp4", ".hidden.mp4", "*.mp4", "a?[b.mp4"]
)
def test_names_stay_inside_the_folder(demo, tmp_path, name):
    before = set(tmp_path.parent.rglob("*escape*"))
    _, state = demo().upload((name, clip_bytes(tmp_path)))
    assert state["state"] == "done"
    assert set(tmp_path.parent.rglob("*escape*")) == before


def test_other_sites_are_refused(demo):
    client = demo()
    port = client.host.rpartition(":")[2]
    assert client.ask("GET", "/")[0] == 200
    assert client.ask("GET", "/", Host="evil.example")[0] == 403
    for origin in ("http://evil.example", "null", f"https://{client.host}"):
        assert client.ask("POST", "/jobs", Origin=origin)[0] == 403
    assert client.ask("POST", "/jobs", Origin=f"http://{client.host}")[0] == 200
    assert client.ask("GET", "/", Host=f"localhost:{port}")[0] == 200


def test_the_page_may_load_nothing_from_elsewhere(demo):
    client = demo()
    page = client.ask("GET", "/")[1].decode()
    assert "default-src 'none'" in client.headers["Content-Security-Policy"]
    assert "http://" not in page
    assert "https://" not in page
    assert "{" + "frames}" not in page


@pytest.mark.parametrize(
    "path",
    ["/jobs/none", "/jobs/none/page", "/jobs/../page", "/jobs", "/page.html", "/jobs/a/b/c"],
)
def test_nothing_else_is_there(demo, path):
    client = demo()
    for method in ("GET", "PUT"):
        assert client.ask(method, path)[0] == 404


def test_controls_are_applied_and_checked(demo, tmp_path):
    client = demo()
    job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
    client.json("PUT", f"{job}/a.mp4", clip_bytes(tmp_path))
    for controls, message in (
        ({"strength": 2}, "--strength 2: must be from 0 to 1"),
        ({"strength": "x"}, "a control has a value of the wrong type"),
        ({"codec": "ffv1"}, "codec: no such control"),
        ([], "the controls are not a JSON object"),
    ):
        assert client.json("POST", job, json.dumps(controls)) == (400, {"message": message})
    chosen = {"strength": 0.5, "scale": "auto", "only_blurry": False, "keep_grain": True}
    assert client.json("POST", job, json.dumps(chosen))[0] == 200
    assert client.wait(job)["state"] == "done"


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
