"""The wheel, in a fresh environment outside the clone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from flowdeblur.video.images import list_images, read_image, write_image

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(each) for each in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    personal = ROOT / "conf" / "local" / "for_the_wheel_test.yaml"
    personal.parent.mkdir(exist_ok=True)
    personal.write_text("seed: 1\n")
    try:
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--wheel-dir",
            folder,
            ROOT,
            cwd=folder,
        )
    finally:
        personal.unlink()
    (path,) = folder.glob("flowdeblur-*.whl")
    return path


def test_what_it_holds(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    conf = {each.relative_to(ROOT).as_posix() for each in (ROOT / "conf").rglob("*.yaml")}
    public = {f"flowdeblur/{name}" for name in conf if not name.startswith("conf/local/")}
    assert {name for name in names if name.startswith("flowdeblur/conf/")} == public
    assert "flowdeblur/py.typed" in names
    for weights in ("default", "small"):
        assert f"flowdeblur/pretrained/{weights}.safetensors" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"flowdeblur"}


def test_it_trains_and_deblurs_outside_the_clone(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "env", cwd=tmp_path)
    binaries = tmp_path / "env" / "bin"
    run(binaries / "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    command = binaries / "flowdeblur"
    printed = run(
        command, "train", "debug=fast", "hydra.run.dir=run", "data.train.count=4",
        "data.val.count=2", "data.test.count=2", "data.train.cache=cache", cwd=tmp_path,
    )  # fmt: skip
    assert "Held-out test data" in printed
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (45, 60, 3), dtype=np.uint8)
        write_image(frames / f"{number}.png", noise)
    for out, weights in (("learnt", ["--weights=run/weights.safetensors"]), ("shipped", [])):
        run(command, "deblur", "frames", out, *weights, cwd=tmp_path)
        assert [read_image(each).shape for each in list_images(tmp_path / out)] == [(45, 60, 3)] * 3
