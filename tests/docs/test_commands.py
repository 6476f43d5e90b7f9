"""Every command of README and the documentation is one that the command line accepts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.docs.conftest import ROOT

from flowdeblur.ablation.sweep import read_sweep
from flowdeblur.cli import ablate_arguments, deblur_arguments, no_reference
from flowdeblur.cli.overrides import compose_configuration
from flowdeblur.cli.parsers import HYDRA_COMMANDS, parser_of

pytestmark = pytest.mark.docs

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACEHOLDERS = re.compile(r"\.\.\.|\[(OPTION|KEY|--)|\b(NAME ROOT)\b")
OPTIONS_OF_HYDRA = {"-m": 0, "--help": 0, "--cfg": 1, "--config-dir": 1, "--allow": 1}


def commands_of(path: Path) -> list[str]:
    """Lines of code blocks without a language that call this project, without comments.

    Variables of the shell have the value that the page gives them.
    """
    found, language = [], None  # None outside of blocks
    variables: dict[str, str] = {}
    for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        if line.strip().startswith("```"):
            language = line.strip()[3:] if language is None else None
        elif language == "":
            if assigned := re.fullmatch(r'(\w+)="(.*)"', line):
                variables[assigned[1]] = assigned[2]
            line = re.sub(r"\$(\w+)", lambda name: variables.get(name[1], name[0]), line)
            for command in re.sub(r"(^|\s)# .*", "", line).split(" | "):
                called = re.search(r"(^| )(flowdeblur \w|(\S*/)?train\.(py|sbatch)\b)", command)
                if called and not PLACEHOLDERS.search(command):
                    found.append(command[called.start() :].strip())
    return found


COMMANDS = sorted({command for path in PAGES for command in commands_of(path)})


def overrides_of(words: list[str]) -> list[str]:
    """Overrides of a command line of Hydra; of values to sweep over, the first."""
    overrides, rest, sweep = [], iter(words), "-m" in words
    for word in rest:
        if word in OPTIONS_OF_HYDRA:
            for _ in range(OPTIONS_OF_HYDRA[word]):
                next(rest)
        elif sweep and not word.startswith("hydra/"):
            overrides.append(word.split(",")[0])
        else:
            overrides.append(word)
    return [*overrides, "run_dir=."]


def test_there_are_commands():
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_accepted(command):
    name, *words = shlex.split(command)
    if name == "flowdeblur":
        name, *words = words
    name = "train" if "train." in name else name
    own = "--config-dir" in words or "my_package" in words  # of the reader, see test_own_package
    if name in HYDRA_COMMANDS and "--no-reference" not in words:
        if not own:
            overrides = overrides_of(words)
            if name == "lesion" and "=" not in overrides[0]:
                overrides[0] = f"weights={overrides[0]}"
            compose_configuration(name, overrides)
    elif name == "evaluate":
        no_reference.parse(words)
    elif name == "deblur":
        deblur_arguments.parse(words)
    elif name == "ablate":
        arguments, overrides = ablate_arguments.parse(words)
        if arguments.sweep.name not in ("widths.yaml", "narrow.yaml"):  # the reader's own
            read_sweep(ROOT / arguments.sweep).with_overrides(overrides)
    else:
        first = f"data {words.pop(0)}" if name == "data" else name
        parser_of(first).parse_args(words)
