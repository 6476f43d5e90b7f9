"""Pages of the command line: made from the parsers of the commands."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
from collections.abc import Callable, Iterator, Sequence

from flowdeblur.cli import COMMANDS
from flowdeblur.cli.data import COMMANDS as DATA_COMMANDS
from flowdeblur.cli.parsers import HYDRA_COMMANDS, parsers


def pages() -> Iterator[tuple[str, str]]:
    """Paths and texts of the pages."""
    described = parsers()
    names = [
        *(each for each in COMMANDS if each != "data"),
        *(f"data {each}" for each in DATA_COMMANDS),
    ]
    texts = COMMANDS | {f"data {name}": text for name, text in DATA_COMMANDS.items()}
    rows = "\n".join(f"| [`{name}`](cli/{_slug(name)}.md) | {texts[name]} |" for name in names)
    yield (
        "reference/cli.md",
        "# Command line\n\n"
        "`flowdeblur COMMAND --help` prints the text of these pages. `--debug` anywhere on a command "
        "line prints the traceback of an error. `python train.py` in a clone is `flowdeblur train`.\n\n"
        f"| command | purpose |\n|---|---|\n{rows}\n\n"
        "| exit status | meaning |\n|---:|---|\n"
        "| 0 | done |\n| 1 | failure of the machine, or of some inputs |\n| 2 | mistake in the input |\n"
        "| 70 | defect of this program; please report it |\n| 130 | interrupted |\n"
        "| 141 | the reader of the output closed it |\n",
    )
    for name in names:
        body = _hydra(name) if name in HYDRA_COMMANDS else _page(described.get(name))
        yield (
            f"reference/cli/{_slug(name)}.md",
            f"# flowdeblur {name}\n\n{texts[name].capitalize()}.\n\n{body}",
        )


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _page(parser: argparse.ArgumentParser | None) -> str:
    return "" if parser is None else "\n".join(_parts(parser, level=2))


def _parts(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    if parser.description:
        yield f"{_prose(parser.description)}\n"
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').rstrip()}\n```\n"
    for group in parser._action_groups:
        actions = [
            each
            for each in group._group_actions
            if each.help != argparse.SUPPRESS and not isinstance(each, argparse._SubParsersAction)
        ]
        if actions:
            yield f"{'#' * level} {(group.title or 'options').capitalize()}\n"
            if group.description:
                yield f"{_prose(group.description)}\n"
            yield "| option | default | meaning |\n|---|---|---|"
            yield "\n".join(_row(parser, each) for each in actions) + "\n"
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                yield f"{'#' * level} {parser.prog} {name}\n"
                yield from _parts(each, level + 1)
    if parser.epilog:
        yield f"{'#' * level} Examples and notes\n\n```text\n{parser.epilog.strip()}\n```\n"


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    names = formatter._format_action_invocation(action)
    default = action.default
    shown = "" if default in (None, False, argparse.SUPPRESS) or default == [] else f"`{default}`"
    text = " ".join(formatter._expand_help(action).split()) if action.help else ""
    return f"| {_code(names)} | {_cell(shown)} | {_cell(_prose(text))} |"


def _code(text: str) -> str:
    return f"`{text}`"


def _prose(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _hydra(name: str) -> str:
    module = importlib.import_module(f"flowdeblur.cli.{name}")
    page = _printed(module.main, ["--help"])
    return (
        "The command line is [Hydra's](https://hydra.cc/docs/1.3/advanced/override_grammar/basic/): "
        f"`KEY=VALUE` sets a value, `GROUP=OPTION` selects a file. All keys: [configuration](../configuration.md).\n\n"
        f"```text\n{page.strip()}\n```\n"
    )


def _printed(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main(argv)
    return output.getvalue()
