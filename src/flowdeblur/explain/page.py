"""A self-contained HTML page: images, style and script are embedded."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from markupsafe import Markup
from PIL import Image

from flowdeblur.explain.figures import Figure, FramePage
from flowdeblur.viz.drawing import Drawn, draw_flow_key

_NOTHING = Markup()

MAX_WIDTH_PX = 1600
"""Wider images are reduced on the page; the files next to it are not."""


def page(
    title: str, introduction: str, frames: Sequence[FramePage], summary: Markup = _NOTHING
) -> str:
    """Write the page.

    Args:
        title: heading of the page.
        introduction: a sentence under it.
        frames: parts of the page, one per frame.
        summary: HTML between the introduction and the frames.

    Returns:
        The HTML document.
    """
    template = Template((files("flowdeblur.explain") / "page.html").read_text("utf-8"))
    return template.substitute(
        title=escape(title),
        introduction=escape(introduction),
        summary=summary,
        key=_key() if any(each.name == "flow" for part in frames for each in part.figures) else "",
        contents="".join(
            f'<li><a href="#frame-{number}">{escape(each.name)}</a></li>'
            for number, each in enumerate(frames)
        ),
        frames="".join(_frame(number, each) for number, each in enumerate(frames)),
    )


def _key() -> str:
    """The key to the colours of a flow."""
    return f'<figure><img src="{_embedded(draw_flow_key())}" alt="">flow direction</figure>'


def _frame(number: int, frame: FramePage) -> str:
    facts = "".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>"
        for what, value in frame.facts.items()
    )
    figures = "".join(
        f'<figure class="{"wide" if each.name == "rnn_weights" else ""}">'
        f"{_image(each)}<figcaption><b>{escape(each.title)}</b> "
        f"{escape(each.caption)}</figcaption></figure>"
        for each in frame.figures
    )
    return (
        f'<section id="frame-{number}"><h2>Frame {escape(frame.name)}</h2>'
        f"{_slider(number, frame.compared)}<dl>{facts}</dl>"
        f'<div class="figures">{figures}</div></section>'
    )


def _slider(number: int, compared: Sequence[Figure]) -> str:
    before, *others = compared
    images = "".join(
        _image(each, f'class="over" data-index="{index}"{" hidden" if index else ""}')
        for index, each in enumerate(others)
    )
    choices = "".join(
        f'<label><input type="radio" name="with-{number}" value="{index}"'
        f"{'' if index else ' checked'}> {escape(each.title)}</label>"
        for index, each in enumerate(others)
    )
    captions = "".join(
        f'<p data-index="{index}"{" hidden" if index else ""}>{escape(each.caption)}</p>'
        for index, each in enumerate(others)
    )
    height, width, _ = before.image.shape
    return (
        f'<div class="compare" style="--natural: {width}px"><div class="window">'
        f'<div class="pair" style="aspect-ratio: {width} / {height}">{_image(before)}{images}'
        '<span class="line"></span><input type="range" min="0" max="100" value="50" step="0.1" '
        f'aria-label="input on the left, compared on the right"></div></div>'
        f'<div class="choices"><span>{escape(before.title)} against</span>{choices}'
        '<label class="size"><input type="checkbox"> actual size</label></div>'
        f"{captions}</div>"
    )


def _image(figure: Figure, attributes: str = "") -> str:
    return f'<img src="{_embedded(figure.image)}" alt="{escape(figure.title)}" {attributes}>'


def _embedded(drawn: Drawn) -> str:
    image = Image.fromarray(drawn)
    image.thumbnail((MAX_WIDTH_PX, 16 * MAX_WIDTH_PX), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=92)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
