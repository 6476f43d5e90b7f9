"""Hooks of the site's build: generated pages, links out of docs, scripts of its own."""

from __future__ import annotations

import functools
import posixpath
import re
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url, log

import pages_api
import pages_cli
import pages_configuration
import pages_notebooks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
VENDORED = ROOT / "build" / "site-assets"

_COPIED = {  # files of the repository that are pages of the site
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{
        f"benchmarks/results/{each.name}": f"benchmarks/{each.name}"
        for each in (ROOT / "benchmarks" / "results").glob("*.md")
    },
}
_ORIGINS = {page: source for source, page in _COPIED.items()}
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_SCRIPTS = {
    'class="mermaid"': '<script src="{root}assets/mermaid/mermaid.min.js"></script>',
    'class="arithmatex"': '<link rel="stylesheet" href="{root}assets/katex/katex.min.css">'
    '<script src="{root}assets/katex/katex.min.js"></script>'
    '<script src="{root}assets/katex/contrib/auto-render.min.js"></script>'
    '<script src="{root}assets/equations.js"></script>',
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add pages that mkdocs.yml does not name, and the generated ones, to the navigation."""
    listed = str(config.nav)
    how_to = next(each["How-to"] for each in config.nav or [] if "How-to" in each)
    how_to += [each.name for each in sorted(DOCS.glob("*.md")) if each.name not in listed]
    reference = next(each["Reference"] for each in config.nav or [] if "Reference" in each)
    reference += [
        {title: list(_pages(source))}
        for title, source in (
            ("Command line", pages_cli),
            ("Configuration", pages_configuration),
            ("Python API", pages_api),
        )
    ]
    benchmarks = next(each["Benchmarks"] for each in config.nav or [] if "Benchmarks" in each)
    benchmarks += [page for source, page in _COPIED.items() if source.startswith("benchmarks/")]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, the copied files and the fetched scripts."""
    for source in (pages_cli, pages_configuration, pages_api, pages_notebooks):
        for path, text in _pages(source).items():
            files.append(File.generated(config, path, content=text))
    for source, page in _COPIED.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for image in (ROOT / "benchmarks" / "results").glob("*.svg"):
        files.append(File.generated(config, f"benchmarks/{image.name}", abs_src_path=str(image)))
    for package in VENDORED.iterdir():
        name, dist = package.name.partition("@")[0], package / "dist"
        for each in dist.rglob("*"):
            if each.suffix in {".js", ".css", ".woff2"}:
                target = f"assets/{name}/{each.relative_to(dist).as_posix()}"
                files.append(File.generated(config, target, abs_src_path=str(each)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to their page, or to the repository."""
    source = page.file.src_uri
    folder = posixpath.dirname(_ORIGINS.get(source, f"docs/{source}"))

    def rewritten(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        return before + _target(source, folder, target, config.extra["repository"]) + after

    return _LINK.sub(rewritten, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load the scripts for equations and diagrams on pages that have some, before the theme's."""
    root = get_relative_url(".", page.url)
    root = root if root.endswith("/") else f"{root}/"
    tags = "".join(tag.format(root=root) for mark, tag in _SCRIPTS.items() if mark in output)
    return output.replace("</head>", f"{tags}</head>", 1)


@functools.cache
def _pages(source: ModuleType) -> dict[str, str]:
    return dict(source.pages())


def _target(page: str, folder: str, target: str, repository: str) -> str:
    if "://" in target or target.startswith(("mailto:", "/")):
        return target
    path = posixpath.normpath(posixpath.join(folder, target))
    if path.startswith("docs/") and page not in _ORIGINS:
        return target
    if path in _COPIED or path.startswith("docs/"):
        inside = _COPIED.get(path, path.removeprefix("docs/"))
        return posixpath.relpath(inside, posixpath.dirname(page) or ".")
    if path.endswith(".svg") and (ROOT / path).exists():
        return posixpath.relpath(
            f"benchmarks/{posixpath.basename(path)}", posixpath.dirname(page) or "."
        )
    if not (ROOT / path).exists():
        log.warning("%s: link to %s, which does not exist", page, target)
    return f"{repository}/blob/main/{path}"
