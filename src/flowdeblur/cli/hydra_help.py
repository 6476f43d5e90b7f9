"""The page of ``--help`` of a command whose command line is Hydra's.

It is the commented file of ``conf`` with the names of its options. Hydra's own page resolves the
configuration, which takes four times as long and loses the comments; ``--help`` beside overrides
still shows it.
"""

from __future__ import annotations

import re
import textwrap

import yaml

from flowdeblur.engine.configuration import config_dir

_INDENT = " " * 6


def page(name: str) -> str:
    """Describe ``conf/<name>.yaml``: its groups with their options, its keys, and examples."""
    text = (config_dir() / f"{name}.yaml").read_text()
    described = yaml.safe_load(text)["hydra"]["help"]
    defaults, keys = text.partition("\nhydra:\n")[0].split("\n\n", 1)
    groups = re.findall(r"^  - ((\w+): .*)$", defaults, re.MULTILINE)
    lines = [described["header"], "", "Groups, what is chosen by default, and the options:"]
    for line, group in groups:
        names = ", ".join(sorted(each.stem for each in (config_dir() / group).glob("*.yaml")))
        lines += [
            "",
            f"  {line}",
            *textwrap.wrap(names, 100, initial_indent=_INDENT, subsequent_indent=_INDENT),
        ]
    lines += [
        "",
        "Keys; those of groups are written GROUP.KEY=VALUE, and --cfg job lists them all:",
        "",
    ]
    return "\n".join([*lines, textwrap.indent(keys.strip(), "  "), "", described["footer"]])
