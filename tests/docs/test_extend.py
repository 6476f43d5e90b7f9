"""The files and commands of the tutorial about extensions work as they are printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image
from tests.docs.conftest import ROOT

pytestmark = pytest.mark.docs

PAGE = (ROOT / "docs" / "tutorials" / "extend.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [
    line
    for language, block in BLOCKS
    for line in block.splitlines()
    if not language and line.startswith("flowdeblur ")
]
SHORT = ["data.train.count=4", "data.val.count=2", "trainer.val_check_interval=2"]
STEPS = ["trainer.max_steps=2", "task.flow_first=0"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my_project")
    for block in (text for language, text in BLOCKS if language):
        name = re.search(r"^# ([\w/]+\.(?:py|yaml))", block, re.MULTILINE)
        assert name, block
        path = folder / name[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(block)
    (folder / "in").mkdir()
    for number in range(2):
        Image.new("RGB", (64, 64), (90 * number,) * 3).save(folder / "in" / f"{number}.png")
    return folder


def test_the_page_has_commands():
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[11:40])
def test_command(project, command):
    words = shlex.split(command.replace("in.mp4", "in").replace("out.mp4", "out"))[1:]
    words = [each for each in words if not each.startswith(("trainer.max_steps=", "task."))]
    if words[0] == "train":
        words += [
            *SHORT,
            *STEPS,
            "trainer=cpu",
            *(["data.test.count=2"] * ("data=waves" not in words)),
        ]
    elif words[0] == "evaluate":
        words += ["data.test.count=2", "device=cpu"]
    elif words[0] == "ablate":
        words += [*SHORT, *STEPS, "data.test.count=2"]
    environment = os.environ | {
        "PYTHONPATH": f"{project}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    }
    done = subprocess.run(
        [sys.executable, "-m", "flowdeblur", *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
