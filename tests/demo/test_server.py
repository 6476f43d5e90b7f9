from __future__ import annotations

import json

import av
import numpy as np
import pytest
from PIL import Image
from tests.demo.conftest import Black, Same, clip_bytes, image_bytes
from tests.video.clips import decode, make_image, number


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
    status, before = client.ask("GET", f"{job}/{state['comparison']}")
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
        ({"range": 5}, "a control has a value of the wrong type"),
        ({"range": "9-4"}, "--range 9-4: ends before it starts"),
        ({"compare": "x"}, "--compare x: choose one of side, split, wipe, input"),
        ({"preview": 0}, "--preview 0: must be a whole number from 1 to 100"),
        ({"preview": True}, "--preview True: must be a whole number from 1 to 100"),
        ([], "the controls are not a JSON object"),
    ):
        assert client.json("POST", job, json.dumps(controls)) == (400, {"message": message})
    chosen = {"strength": 0.5, "scale": "auto", "only_blurry": False, "keep_grain": True}
    assert client.json("POST", job, json.dumps(chosen))[0] == 200
    assert client.wait(job)["state"] == "done"


def chosen(client, tmp_path, **controls):
    """Uploads a clip of six frames with controls; returns its address and final state."""
    job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
    client.json("PUT", f"{job}/a.mp4", clip_bytes(tmp_path, 6))
    assert client.json("POST", job, json.dumps(controls)) == (200, {})
    return job, client.wait(job)


def frames_of(client, tmp_path, address):
    (tmp_path / "back.mp4").write_bytes(client.ask("GET", address)[1])
    return [image.astype(int) for _, image in decode(tmp_path / "back.mp4")]


def test_only_a_range_is_restored(demo, tmp_path):
    client = demo(Black())
    job, state = chosen(client, tmp_path, range="2-3")
    means = [image.mean() for image in frames_of(client, tmp_path, f"{job}/{state['restored']}")]
    assert [mean < 5 for mean in means] == [False, False, True, True, False, False]


def test_a_range_beyond_the_clip_is_reported(demo, tmp_path):
    _, state = chosen(demo(), tmp_path, range="4-90")
    assert state["message"].startswith("--range: reaches beyond the clip a.mp4, which has 6 frames")


@pytest.mark.parametrize(
    ("kind", "widths"), [("side", (2, 1)), ("split", (1, 0.5)), ("wipe", (1, 0))]
)
def test_a_comparison_has_the_input_on_its_left(demo, tmp_path, kind, widths):
    client = demo(Black())
    job, state = chosen(client, tmp_path, compare=kind)
    assert state["comparison"] == f"restored.{kind}.mp4"
    image = frames_of(client, tmp_path, f"{job}/{state['comparison']}")[0]
    height, width = make_image(0).shape[:2]
    assert image.shape == (height, widths[0] * width, 3)
    before = round(widths[1] * width)
    assert image[:, before + 4 :].mean() < 5
    assert before == 0 or image[:, : before - 4].mean() > 20


def test_a_preview_shows_some_frames_and_restores_nothing_else(demo, tmp_path):
    client = demo(Black())
    job, state = chosen(client, tmp_path, preview=3, compare="side")
    assert (state["restored"], state["comparison"]) == (None, None)
    assert state["message"].startswith("previewed 3 of 6 frames at ")
    assert "; the whole clip would take about " in state["message"]
    status, page = client.ask("GET", f"{job}/page")
    assert (status, page.count(b"<section")) == (200, 3)


def test_images_have_no_comparison_video(demo, tmp_path):
    client = demo()
    job = "/jobs/" + client.json("POST", "/jobs")[1]["name"]
    for index in (1, 2):
        client.json("PUT", f"{job}/{index}.png", image_bytes(tmp_path, index))
    client.json("POST", job, json.dumps({"compare": "side"}))
    expected = "--compare: restored.png is not a video; name one as OUT"
    assert client.wait(job)["message"] == expected
