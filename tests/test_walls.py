"""Imports run one way (docs/architecture.md): ops > networks > tasks > engine > cli."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "flowdeblur"

# What a room may import of the project, besides itself. Rooms that are missing here may import
# nothing.
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "devices": {"errors"},
    "pictures": {"errors", "files"},
    "batch": set(),
    "ops": {"errors"},
    "networks": {"ops", "errors"},
    "objectives": {"ops", "networks", "batch", "errors"},
    "metrics": {"networks", "objectives", "batch", "errors"},
    "optimization": {"errors"},
    "runs": {"errors", "files"},
    "ablation": {"", "errors", "files"},
    "extras": {"errors"},
    "weights": {"", "networks", "files", "errors"},
    "hub": {"", "weights", "networks", "extras", "files", "errors"},
    "interchange": {"", "weights", "networks", "ops", "extras", "files", "errors"},
    "data": {"batch", "errors", "extras", "files", "pictures"},
    "optical_flow": {"errors", "extras"},
    "evaluation": {"data", "errors", "metrics", "networks", "ops", "pictures"},
    "viz": {"batch", "data", "networks", "ops", "errors", "pictures"},
    "explain": {
        "", "data", "devices", "errors", "files", "metrics", "networks", "pictures", "video", "viz",
    },
    "web": {"", "devices", "errors", "explain", "files", "pictures", "video"},
    "synthesis": {"data", "errors", "files", "ops", "optical_flow", "pictures", "video"},
    "video": {"data", "devices", "networks", "ops", "errors", "files", "pictures"},
    "tasks": {"batch", "metrics", "objectives", "optimization", "networks", "ops", "errors"},
    "callbacks": {"batch", "metrics", "networks", "pictures", "tasks", "viz", "errors"},
    "benchmarks": {
        "", "batch", "data", "devices", "ops", "networks", "errors", "files", "pictures",
    },
    "engine": {
        "", "batch", "benchmarks", "callbacks", "data", "devices", "errors", "evaluation", "files",
        "metrics", "networks", "objectives", "optical_flow", "optimization", "runs", "tasks", "viz",
        "weights",
    },
}  # fmt: skip
ANYTHING = {"cli", "__main__", ""}  # "" is the package itself, which imports `load` on demand

# Where a heavy or foreign library may be imported.
ONLY_IN = {
    "triton": {"ops/_triton.py"},
    "lightning": {"tasks/", "callbacks/", "engine/", "data/datamodule.py"},
    "hydra": {"engine/", "cli/"},
    "omegaconf": {"engine/", "cli/"},
    "wandb": {"engine/"},
    "onnxscript": {"interchange/scan.py"},
}


def modules():
    return sorted(SOURCE.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides which wall it crosses"
            yield node.module
            if node.module == "flowdeblur":
                yield from (f"flowdeblur.{alias.name}" for alias in node.names)


def room(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    here = room(path)
    assert here in MAY_IMPORT or here in ANYTHING, f"say in this test what {here} may import"
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package != "flowdeblur" or here in ANYTHING:
            continue
        there = rest.split(".")[0]
        assert there == here or there in MAY_IMPORT[here], f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_libraries_stay_in_their_rooms(path):
    inside = path.relative_to(SOURCE).as_posix()
    for name in imports(path):
        for library, rooms in ONLY_IN.items():
            if name.split(".")[0] == library:
                assert any(inside.startswith(each) for each in rooms), f"{path} imports {name}"


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import flowdeblur", {"torch"}),
        (
            "import flowdeblur.cli, flowdeblur.cli.train, flowdeblur.cli.deblur, "
            "flowdeblur.cli.ablate, flowdeblur.cli.evaluate",
            {"torch", "av", "PIL"},
        ),
        (
            "import flowdeblur.networks, flowdeblur.weights",
            {"triton", "lightning", "hydra", "wandb", "kornia"},
        ),
    ],
)
def test_what_an_import_leaves_alone(statement, absent):
    code = f"{statement}; import sys; print(*({absent!r} & sys.modules.keys()))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.split() == []


def test_no_file_is_too_long():
    long = {str(path): len(path.read_text().splitlines()) for path in modules()}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}
