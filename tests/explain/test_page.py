from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from flowdeblur.explain.figures import Figure, FramePage
from flowdeblur.explain.page import page


class Elements(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self, document):
        super().__init__()
        self.found = []
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for each, attributes in self.found if each == tag]


def figure(name, value, size=(20, 30)):
    return Figure(name, f"title of {name}", "how to read it", np.full((*size, 3), value, np.uint8))


def story(name="7", size=(20, 30)):
    compared = [figure(each, value, size) for each, value in (("input", 10), ("restored", 200))]
    return FramePage(name, {"gain": "+1.00 dB"}, compared, [figure("flow", 90, size)])


def decoded(source):
    kind, _, content = source.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_page_needs_nothing_else():
    document = page("clip.mp4", "Two frames.", [story("7"), story("8")])
    elements = Elements(document)
    addresses = [
        value
        for _, attributes in elements.found
        for key, value in attributes.items()
        if key in ("src", "href", "srcset", "data", "action")
    ]
    assert all(each.startswith(("data:image/", "#frame-")) for each in addresses)
    assert not elements.all("link")
    assert "url(" not in document
    assert "@import" not in document
    policy = next(each for each in elements.all("meta") if "http-equiv" in each)
    assert "default-src 'none'" in policy["content"]


def test_every_frame_has_a_slider_and_its_images():
    elements = Elements(page("clip", "", [story("7"), story("8")]))
    assert [each["id"] for each in elements.all("section")] == ["frame-0", "frame-1"]
    assert len([each for each in elements.all("input") if each["type"] == "range"]) == 2
    _, before, after, flow, *_ = (decoded(each["src"]) for each in elements.all("img"))
    for image, value in ((before, 10), (after, 200), (flow, 90)):
        assert image.size == (30, 20)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - value).max() <= 2


def test_wide_images_are_reduced():
    elements = Elements(page("clip", "", [story(size=(100, 3200))]))
    assert decoded(elements.all("img")[1]["src"]).size == (1600, 50)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a" onload="x', "a & b", "$title"])
def test_names_are_text(name):
    document = page(name, name, [story(name)])
    elements = Elements(document)
    assert len(elements.all("script")) == 1
    assert not any("onload" in attributes for _, attributes in elements.found)
