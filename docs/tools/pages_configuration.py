"""Pages of the configuration: every file of conf with its keys, defaults and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

CONF = Path(__file__).parents[2] / "conf"

_ROOTS = ("train", "evaluate", "lesion")


class Key(NamedTuple):
    """A key of a configuration file.

    Attributes:
        name: with the keys above it, joined by dots.
        default: its value, as the file writes it.
        comment: the file's comment on it.
    """

    name: str
    default: str
    comment: str


def keys(path: Path) -> list[Key]:
    """List the keys of a file in order; keys that hold others come first, with their comments."""
    lines = path.read_text("utf-8").splitlines()
    node = yaml.compose("\n".join(lines))
    return [] if node is None else list(_walk(node, (), lines))


def heading(path: Path) -> str:
    """The comment at the top of a file, as one paragraph."""
    words = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#") or line.startswith("# @"):
            if words or not line.startswith("# @"):
                break
            continue
        words.append(line.lstrip("# "))
    return " ".join(words)


def pages() -> Iterator[tuple[str, str]]:
    """Paths and texts of the pages."""
    groups = sorted(
        {each.parent.relative_to(CONF).as_posix() for each in CONF.rglob("*.yaml")} - {".", "local"}
    )
    yield "reference/configuration.md", _overview(groups)
    for name in _ROOTS:
        yield (
            f"reference/configuration/{name}.md",
            f"# {name}.yaml\n\n{_file(CONF / f'{name}.yaml', None)}",
        )
    for group in groups:
        files = sorted((CONF / group).glob("*.yaml"))
        body = "\n".join(_file(each, group) for each in files)
        yield f"reference/configuration/{_slug(group)}.md", f"# {group}\n\n{body}"


def _overview(groups: Sequence[str]) -> str:
    roots = "\n".join(
        f"| [`{n}.yaml`](configuration/{n}.md) | {heading(CONF / f'{n}.yaml')} |" for n in _ROOTS
    )
    rows = "\n".join(
        f"| [`{group}`](configuration/{_slug(group)}.md) | "
        + ", ".join(f"`{each.stem}`" for each in sorted((CONF / group).glob("*.yaml")))
        + " |"
        for group in groups
    )
    return f"""# Configuration

`flowdeblur train`, `evaluate` and `lesion` compose their configuration from the files of `conf`. `GROUP=OPTION`
selects a file of a group, `KEY=VALUE` sets a value, `+KEY=VALUE` adds an argument that a file does not set, and `~KEY`
removes one. `--cfg job` prints the composed configuration, `--cfg job --resolve` with all references resolved.
An unknown key, a value of the wrong type and a number out of range are refused before anything starts.

Every node with `_target_` is a class or function: its other keys are the arguments, and all arguments of the
[API](api.md) can be set. `flowdeblur schema > flowdeblur.schema.json` writes a JSON schema; editors with YAML support
complete and check a file whose first line is `# yaml-language-server: $schema=flowdeblur.schema.json`. Files of your own are in a folder that `--config-dir FOLDER` names.

| file | purpose |
|---|---|
{roots}

| group | options |
|---|---|
{rows}
"""


def _file(path: Path, group: str | None) -> str:
    title = "" if group is None else f"## {group}={path.stem} {{ #{path.stem} }}\n\n"
    rows = [f"| `{key.name}` | {_code(key.default)} | {_cell(key.comment)} |" for key in keys(path)]
    table = "| key | value | comment |\n|---|---|---|\n" + "\n".join(rows) if rows else "No keys."
    return f"{title}{_cell(heading(path))}\n\n{table}\n"


def _walk(node: yaml.Node, above: tuple[str, ...], lines: Sequence[str]) -> Iterator[Key]:
    for key, value in _children(node):
        if key.value == "defaults":
            yield from _defaults(value, lines)
            continue
        name, nested = (*above, key.value), _holds_keys(value)
        entry = Key(
            ".".join(name), "" if nested else _source(value, lines), _comment(key, value, lines)
        )
        if entry.default or (entry.comment and not key.value.isdigit()):
            yield entry
        if nested:
            yield from _walk(value, name, lines)


def _children(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    """Keys and values of a mapping; of a list, the positions take the place of keys."""
    if isinstance(node, yaml.MappingNode):
        return list(node.value)
    tag, items = "tag:yaml.org,2002:int", enumerate(node.value)
    return [
        (yaml.ScalarNode(tag, str(n), each.start_mark, each.start_mark), each) for n, each in items
    ]


def _holds_keys(value: yaml.Node) -> bool:
    if not isinstance(value, yaml.CollectionNode) or value.flow_style or not value.value:
        return False
    return isinstance(value, yaml.MappingNode) or isinstance(value.value[0], yaml.MappingNode)


def _defaults(entries: yaml.Node, lines: Sequence[str]) -> Iterator[Key]:
    """Entries of a defaults list: which option of which group is selected."""
    for entry in entries.value:
        comment = _comment_of(lines[entry.start_mark.line])
        if isinstance(entry, yaml.MappingNode):
            ((group, option),) = entry.value
            yield Key(group.value, _source(option, lines), comment)
        elif entry.value != "_self_":
            yield Key("defaults", entry.value, comment or "the file that this one changes")


def _source(value: yaml.Node, lines: Sequence[str]) -> str:
    if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
        return value.value.strip()
    first, last = value.start_mark, value.end_mark
    if first.line == last.line:
        return re.sub(r"^&\w+ ", "", lines[first.line][first.column : last.column])
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        return "[" + ", ".join(_source(each, lines) for each in value.value) + "]"
    middle = [
        lines[first.line][first.column :],
        *lines[first.line + 1 : last.line],
        lines[last.line][: last.column],
    ]
    return " ".join(_without_comment(each).strip() for each in middle).strip()


def _comment(key: yaml.Node, value: yaml.Node, lines: Sequence[str]) -> str:
    """Comment lines directly above a key, and the comment behind it or behind its value's last line."""
    above, number = [], key.start_mark.line - 1
    indent = " " * key.start_mark.column
    while (
        number >= 0
        and lines[number].startswith(f"{indent}#")
        and (key.start_mark.column or number > 0)
    ):
        above.insert(0, lines[number].strip().lstrip("# "))
        number -= 1
    if number < 0:  # the heading of the file
        above = []
    end = (
        value.end_mark.line if value.start_mark.line == key.start_mark.line else key.start_mark.line
    )
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        end = key.start_mark.line
    behind = [
        _comment_of(lines[each]) for each in range(key.start_mark.line, min(end + 1, len(lines)))
    ]
    return " ".join(filter(None, [*above, *behind]))


def _comment_of(line: str) -> str:
    return line[len(_without_comment(line)) :].strip().lstrip("# ")


def _without_comment(line: str) -> str:
    quote = ""
    for position, each in enumerate(line):
        if quote:
            quote = "" if each == quote else quote
        elif each in "'\"":
            quote = each
        elif each == "#" and (position == 0 or line[position - 1] == " "):
            return line[:position]
    return line


def _slug(group: str) -> str:
    return group.replace("/", "-")


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("${", "\\${")
