"""The page and the demo in a real browser, headless; needs playwright and a chromium."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.video.clips import make_clip, make_image

from flowdeblur.demo.server import serving
from flowdeblur.explain.explain_clip import explain_clip
from flowdeblur.types import Restoration
from flowdeblur.video.images import write_image
from flowdeblur.video.reader import ImageReader

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium on the path"),
]
WIDTHS = (390, 1280)


class Darken(torch.nn.Module):
    """A restoration that differs visibly from the input."""

    frame_offsets, flow_offsets, current_index = (0, 1), (1,), 0

    def forward(self, frames, *, keep_rnn_weights=True):
        height, width = (-(-each // 64) * 16 for each in frames.shape[-2:])
        flow = torch.ones(1, 2, height, width)
        weights = (torch.rand(1, 8, 2 * height, 2 * width),) if keep_rnn_weights else ()
        return Restoration(0.3 * frames[:, 0], (flow,), weights)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Opens pages that may load nothing from elsewhere and must not complain."""
    contexts, seen = [], []

    def open_(address, width):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: seen.append(request.url))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("console", lambda said: seen.append(f"console: {said.text}"))
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    strangers = [
        each for each in seen if not each.startswith(("file:", "data:", "http://127.0.0.1:"))
    ]
    assert strangers == []


def shade(page, locator, share):
    """Mean brightness of a fifth of what is shown, around ``share`` of the width."""
    from io import BytesIO

    from PIL import Image

    image = np.asarray(Image.open(BytesIO(locator.screenshot())).convert("L")).astype(float)
    middle = int(share * image.shape[1])
    reach = image.shape[1] // 10
    return image[:, max(middle - reach, 0) : middle + reach].mean()


def slide(page, slider, share):
    box = slider.bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 4)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_explanation_opens_from_disk_and_compares(open_page, tmp_path, width):
    for index in range(2):
        write_image(tmp_path / f"{index}.png", make_image(index, (90, 160)))
    clip = ImageReader(tmp_path, sorted(tmp_path.iterdir()), Fraction(30))
    explain_clip(Darken(), clip, tmp_path / "why", chosen=[0], duty_cycle=0.8)
    page = open_page((tmp_path / "why" / "index.html").as_uri(), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((each) => each.naturalWidth > 0)")
    pair = page.locator(".pair").first
    slider = pair.locator("input")
    slide(page, slider, 0.5)
    assert shade(page, pair, 0.2) > 1.5 * shade(page, pair, 0.8)
    slide(page, slider, 0.98)
    bright = shade(page, pair, 0.8)
    slide(page, slider, 0.02)
    assert bright > 1.5 * shade(page, pair, 0.8)
    page.get_by_label("restored, blurred again").check()
    assert pair.locator("img:visible").count() == 2
    assert pair.locator("img:visible").last.get_attribute("alt") == "restored, blurred again"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_clip_dropped_on_the_demo_is_restored(open_page, tmp_path, width):
    clip = make_clip(tmp_path / "in.mp4", 4, (90, 160))
    with serving(Darken(), port=0, device=torch.device("cpu")) as address:
        page = open_page(address, width)
        page.locator("input[type=file]").set_input_files(clip)
        page.locator("#result").wait_for(state="visible", timeout=60_000)
        assert page.locator("#state").inner_text() == ""
        inner = page.frame_locator("#explanation")
        inner.locator("section").first.wait_for()
        assert inner.locator("section").count() == 2
        page.wait_for_function(
            "document.getElementById('explanation').offsetHeight > 500", timeout=10_000
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with page.expect_download() as download:
            page.locator("#download").click()
        assert download.value.suggested_filename == "restored.mp4"
        for video in ("video", "before"):
            assert page.evaluate(f"document.getElementById('{video}').error") is None
        page.wait_for_function("document.getElementById('before').readyState > 1")
        page.locator("#play").click()
        motion = page.locator("#motion")
        assert shade(page, motion, 0.2) > 1.5 * shade(page, motion, 0.8)


def test_a_preview_leads_to_the_whole_clip_with_a_comparison(open_page, tmp_path):
    clip = make_clip(tmp_path / "in.mp4", 4, (90, 160))
    with serving(Darken(), port=0, device=torch.device("cpu")) as address:
        page = open_page(address, 800)
        page.locator("#preview").fill("2")
        page.locator("#compare").select_option("side")
        page.locator("input[type=file]").set_input_files(clip)
        page.locator("#estimate").wait_for(timeout=60_000)
        assert page.frame_locator("#explanation").locator("section").count() == 2
        for each in ("#motion", "#download", "#download-comparison"):
            assert page.locator(each).is_hidden()
        page.locator("#whole").click()
        page.locator("#motion").wait_for(timeout=60_000)
        page.wait_for_function("document.getElementById('video').readyState > 1")
        assert page.evaluate("document.getElementById('video').videoWidth") == 320
        for each in ("#before", "#at", "#whole"):
            assert page.locator(each).is_hidden()
        with page.expect_download() as download:
            page.locator("#download-comparison").click()
        assert download.value.suggested_filename == "restored.side.mp4"


def test_a_mistake_is_reported_on_the_demo(open_page, tmp_path):
    (tmp_path / "notes.mp4").write_text("some words")
    with serving(Darken(), port=0, device=torch.device("cpu")) as address:
        page = open_page(address, 800)
        page.locator("input[type=file]").set_input_files(tmp_path / "notes.mp4")
        page.locator("#state.failed").wait_for(timeout=30_000)
        assert page.locator("#state").inner_text().startswith("notes.mp4: not a video")
        assert page.locator("#result").is_hidden()
