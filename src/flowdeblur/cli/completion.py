"""``flowdeblur completion``: a script that lets a shell complete commands, options and groups."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import yaml

from flowdeblur.cli.arguments import command_parser
from flowdeblur.extras import import_extra

_EPILOG = """\
examples:
  flowdeblur completion bash > ~/.local/share/bash-completion/completions/flowdeblur
  flowdeblur completion zsh > ~/.zfunc/_flowdeblur     # with fpath+=~/.zfunc before compinit
  flowdeblur completion fish > ~/.config/fish/completions/flowdeblur.fish
Write the script again after an update. It needs pip install 'flowdeblur[completion]'."""

# Bash would take GROUP and OPTION for two words.
_BASH = {"bash": "COMP_WORDBREAKS=${COMP_WORDBREAKS//=}"}


def main(argv: Sequence[str]) -> int:
    """Print the script."""
    parser = command_parser(
        "completion",
        "Print a script for completion of commands, options, groups and keys.",
        _EPILOG,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    shell = parser.parse_args(argv).shell
    shtab = import_extra("shtab", "completion")
    print(shtab.complete(whole_parser(), shell, preamble={"bash": _BASH.get(shell, "")}))
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """One parser of all commands, made of theirs."""
    from flowdeblur.cli import COMMANDS
    from flowdeblur.cli.data import COMMANDS as DATA_COMMANDS
    from flowdeblur.cli.parsers import HYDRA_COMMANDS, parsers

    built = parsers()
    root = argparse.ArgumentParser("flowdeblur")
    root.add_argument("--version", action="store_true", help="print the version")
    commands = root.add_subparsers()
    for name, text in COMMANDS.items():
        parser = commands.add_parser(name, help=text)
        if name in HYDRA_COMMANDS:
            parser.add_argument("--config-dir", metavar="DIR", help="folder of your own options")
            parser.add_argument("--cfg", choices=("job", "hydra", "all"), help="print and stop")
            parser.add_argument("override", nargs="*", choices=overrides(name))
        elif name == "data":
            below = parser.add_subparsers()
            for each, description in DATA_COMMANDS.items():
                below.add_parser(each, help=description)
                below.choices[each] = built[f"data {each}"]
        elif name in built:
            commands.choices[name] = built[name]
    return root


def overrides(name: str) -> list[str]:
    """Words for the command line of Hydra: ``GROUP=OPTION`` and ``KEY=``."""
    from flowdeblur.engine.configuration import config_dir

    conf = config_dir()
    root = yaml.safe_load((conf / f"{name}.yaml").read_text("utf-8"))
    words = [f"{key}=" for key in root if key not in ("defaults", "hydra")]
    for entry in root["defaults"]:
        for group in entry if isinstance(entry, dict) else ():
            words += [f"{group}={each.stem}" for each in sorted((conf / group).glob("*.yaml"))]
    return [*words, "hydra.run.dir="]
