"""The documentation site: links, generated pages, and how it behaves in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from tests.docs.conftest import ROOT

pytestmark = pytest.mark.docs

PAGES = [
    "index.html",
    "tutorials/first_run.html",
    "tutorials/extend.html",
    "deblur.html",
    "method.html",
    "architecture.html",
    "reference/cli/deblur.html",
    "reference/configuration/train.html",
    "reference/api/ops.html",
    "model_card.html",
]
CHECK = ROOT / "docs" / "tools" / "check_links.py"


def test_every_link_resolves(site):
    done = subprocess.run(
        [sys.executable, str(CHECK), str(site)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="b.html#x"></a><img src="no.png">'
        '<a href="#none"></a><script src="https://example.org/x.js"></script><a href="https://example.org"></a>'
    )
    (tmp_path / "b.html").write_text("")
    done = subprocess.run(
        [sys.executable, str(CHECK), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "a.html: no anchor b.html#x",
        "a.html: no no.png",
        "a.html: no anchor #none",
        "a.html: loads https://example.org/x.js",
    ]


def test_every_key_of_the_configuration_is_listed(site):
    for path in (ROOT / "conf" / "objective").glob("*.yaml"):
        page = (site / "reference" / "configuration" / "objective.html").read_text()
        for key in re.findall(r"^ *(\w+):", path.read_text(), flags=re.MULTILINE):
            assert re.search(rf"[.>]{key}[.<]", page) or key == "defaults", (path, key)


def test_every_option_of_deblur_is_listed(site):
    page = (site / "reference" / "cli" / "deblur.html").read_text()
    command = [sys.executable, "-m", "flowdeblur", "deblur", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, flags=re.MULTILINE))
    assert len(options) > 20
    assert {each for each in options if each not in page} == set()


@pytest.fixture(scope="module")
def address(site):
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(site))

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Debian's chromium is missing")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_pages_in_a_browser(browser, address, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints, requests = [], []
    page.on(
        "console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    for path in PAGES:
        page.goto(f"{address}/{path}", wait_until="networkidle")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{path} is {overflow} pixels wider than the window"
        broken = page.evaluate("[...document.images].filter(i => !i.naturalWidth).map(i => i.src)")
        assert broken == [], path
        if path == "method.html":
            assert page.locator(".katex").count() > 10
        if path == "architecture.html":
            assert page.evaluate("document.querySelector('.mermaid').shadowRoot || true")
    page.close()
    assert complaints == []
    assert [each for each in requests if not each.startswith((address, "data:", "blob:"))] == []
