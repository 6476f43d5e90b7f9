"""Hostile inputs for ``benchmarks/hostile.py``: mutants of files and unusual arguments from a seed.

Each family is a function that gets a generator, the folder of sound files and an empty folder, and
returns a :class:`Case`.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml
from benchmarks.mutations import VALUES, mutate, mutate_tree
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save as serialize

SIZE = (48, 64)


CODECS = {
    **{".mp4": "libx264", ".mkv": "libx264", ".ts": "mpeg2video"},
    **{".avi": "mpeg4", ".mov": "prores_ks", ".webm": "libvpx"},
}


KEYS = (
    *("seed", "model", "model.width", "data", "data.patch", "data.batch_size", "trainer"),
    *("optimizer.lr", "trainer.max_steps", "hydra.run.dir", "nothing", "model.nothing"),
)


@dataclass(frozen=True)
class Case:
    """A command to run.

    Attributes:
        family: name of the generator.
        what: what is hostile about it, for the report.
        argv: arguments of ``flowdeblur``.
        output: file or folder that must exist after status 0, and must be unchanged after status 2.
    """

    family: str
    what: str
    argv: list[str]
    output: Path | None = None


Family = Callable[[random.Random, Path, Path], Case]


def make_sound_files(folder: Path) -> None:
    """Write the small sound files that cases are mutated from, into a new folder."""
    folder.mkdir()
    from flowdeblur import weights
    from flowdeblur.datasets import FrameFolders
    from flowdeblur.datasets.packed import pack

    config = _model(width=2)
    network = weights.build(config, folder)
    weights.save(folder / "weights.safetensors", network, config)
    for suffix, codec in CODECS.items():
        _write_video(folder / f"clip{suffix}", codec)
    for index in range(3):
        image = Image.fromarray(_picture(index))
        for part in ("input", "GT"):
            (folder / "data/a" / part).mkdir(parents=True, exist_ok=True)
            image.save(folder / "data/a" / part / f"{index}.png")
    exif = Image.Exif()
    exif[274], exif[270] = 6, "a description"
    for suffix in (".png", ".jpg", ".tif", ".bmp", ".webp"):
        options = {} if suffix == ".bmp" else {"exif": exif}
        image.save(folder / f"image{suffix}", **options)
    image.convert("P").save(folder / "image.p.png")
    Image.fromarray(_picture(0)[..., 0].astype(np.uint16) * 257).save(folder / "image.deep.png")
    pack(FrameFolders(str(folder / "data")).pairs(), folder / "packed")


def _model(width: int) -> dict[str, Any]:
    from flowdeblur.weights.caffe import CONFIG

    return {**copy.deepcopy(dict(CONFIG)), "width": width}


def _picture(index: int) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.stack([4 * x, 5 * y, np.full_like(x, 40 * index)], -1).astype(np.uint8)


def _write_video(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "A title"
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
        for index in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(index))))
        container.mux(stream.encode(None))


def _deblur(source: object, out: Path, *options: str, weights: Path) -> list[str]:
    return ["deblur", str(source), str(out), "--device", "cpu", "--weights", str(weights), *options]


def containers(rng: random.Random, sound: Path, work: Path) -> Case:
    """A damaged video to restore."""
    source = rng.choice(sorted(sound.glob("clip.*")))
    content, what = mutate(source.read_bytes(), rng)
    path, out = work / source.name, work / rng.choice(["out.mp4", "out.mkv", "frames"])
    path.write_bytes(content)
    argv = _deblur(path, out, weights=sound / "weights.safetensors")
    return Case("containers", f"{source.name}: {what}", argv, out)


def images(rng: random.Random, sound: Path, work: Path) -> Case:
    """A damaged image to restore, to verify or to pack."""
    source = rng.choice(sorted(sound.glob("image.*")))
    content, what = mutate(source.read_bytes(), rng)
    path = work / source.name
    kind = rng.choice(["deblur", "deblur", "verify", "pack"])
    if kind == "deblur":
        out = work / "out.png"
        argv = _deblur(path, out, weights=sound / "weights.safetensors")
    else:
        shutil.copytree(sound / "data", work / "data")
        path = work / "data/a" / rng.choice(["input", "GT"]) / f"1{source.suffix}"
        path.with_suffix(".png").unlink()
        out = work / "packed"
        argv = ["data", "pack", str(work / "data"), str(out)]
        if kind == "verify":
            out = None
            patterns = ["train.blurry=*/input", "train.sharp=*/GT"]
            argv = ["data", "verify", "frames", str(work / "data"), *patterns, "--split", "train"]
    path.write_bytes(content)
    return Case("images", f"{kind} {source.name}: {what}", argv, out)


def weights_files(rng: random.Random, sound: Path, work: Path) -> Case:
    """Damaged weights, or weights whose metadata say something else."""
    source, path = sound / "weights.safetensors", work / "weights.safetensors"
    if rng.random() < 0.4:
        content, what = mutate(source.read_bytes(), rng)
    else:
        with safe_open(source, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        config = {"config": json.loads(metadata["config"])}
        what = mutate_tree(config, rng)
        metadata["config"] = json.dumps(config.get("config"))
        content = serialize(tensors, metadata)
    path.write_bytes(content)
    if rng.random() < 0.2:
        out = work / "out.safetensors"
        return Case("weights", what, ["export", str(path), str(out)], out)
    out = work / "out.png"
    return Case("weights", what, _deblur(sound / "image.png", out, weights=path), out)


def indexes(rng: random.Random, sound: Path, work: Path) -> Case:
    """A damaged index of packed frames that ``data pack`` finds in OUT."""
    out = shutil.copytree(sound / "packed", work / "packed")
    path = out / "index.json"
    if rng.random() < 0.3:
        content, what = mutate(path.read_bytes(), rng)
        path.write_bytes(content)
    else:
        tree = json.loads(path.read_text())
        what = mutate_tree(tree, rng)
        path.write_text(json.dumps(tree))
    return Case("indexes", what, ["data", "pack", str(sound / "data"), str(out)])


def sweeps(rng: random.Random, sound: Path, work: Path) -> Case:
    """A damaged sweep file."""
    source = rng.choice(sorted((Path(__file__).parents[1] / "sweeps").glob("*.yaml")))
    path = work / "sweep.yaml"
    if rng.random() < 0.3:
        content, what = mutate(source.read_bytes(), rng)
        path.write_bytes(content)
    else:
        tree = yaml.safe_load(source.read_text())
        what = mutate_tree(tree, rng)
        path.write_text(json.dumps(tree, default=str))  # which is YAML, too
    command = rng.choice([["run", str(path), "--dry-run"], ["status", str(path)]])
    argv = ["ablate", command[0], *command[1:], "--runs", str(work / "runs")]
    return Case("sweeps", f"{source.name}: {what}", argv)


def overrides(rng: random.Random, sound: Path, work: Path) -> Case:
    """Unusual values on a command line of Hydra; the configuration is composed and printed."""
    value = rng.choice(VALUES)
    text = rng.choice(
        [str(value).replace("\0", ""), json.dumps(value), "[", "{a:", "$", "'", "a,b"]
    )
    argument = f"{rng.choice(['', '', '+', '~', '++'])}{rng.choice(KEYS)}={text[:300]}"
    command = rng.choice(["train", "evaluate"])
    return Case("overrides", f"{command} {argument}"[:80], [command, "--cfg", "job", argument])


def arguments(rng: random.Random, sound: Path, work: Path) -> Case:
    """Unusual options and names of files."""
    numbers = [
        "0",
        "-1",
        "1e9",
        "nan",
        "inf",
        "1/0",
        "29.97002997",
        "x",
        "",
        "9" * 400,
        "²",
        "0x10",
    ]
    options = ["--fps", "--tile", "--batch", "--crf", "--shard", "--codec", "--dtype", "--device"]
    name = rng.choice(["a b", "a:b", "a\nb", "\udcff", "é", "x" * 245, "-x", "%03d", "'", "~", "."])
    kind = rng.choice(["option", "option", "name", "place", "synthesize"])
    weights, out = sound / "weights.safetensors", work / "out.mp4"
    if kind == "option":
        option, value = rng.choice(options), rng.choice(numbers)
        argv = _deblur(sound / "data/a/input", out, f"{option}={value}", weights=weights)
        return Case("arguments", f"{option}={value[:20]}", argv, out)
    if kind == "name":
        path, out = work / f"{name}.png", work / f"{name}.out.png"
        shutil.copy(sound / "image.png", path)
        return Case("arguments", f"name {name[:20]!r}", _deblur(path, out, weights=weights), out)
    if kind == "place":
        os.mkfifo(work / "pipe.mp4")
        place = rng.choice(
            [work / "pipe.mp4", work, "/dev/null", "/dev/zero", work / "none", "", "/"]
        )
        target = rng.choice([out, Path("/dev/full"), work, Path("/"), work / "none/out.mp4"])
        argv = _deblur(place, target, weights=weights)
        return Case("arguments", f"{place} to {target}", argv, target if target == out else None)
    option = rng.choice(["--duty-cycle", "--interval", "--scale", "--noise", "--jpeg", "--seed"])
    value = rng.choice(numbers)
    argv = [
        "data",
        "synthesize",
        str(sound / "data/a/input"),
        str(work / "out"),
        f"{option}={value}",
    ]
    return Case("arguments", f"synthesize {option}={value[:20]}", argv)


FAMILIES: dict[Family, int] = {
    **{containers: 25, images: 20, weights_files: 18, indexes: 8},
    **{sweeps: 8, overrides: 6, arguments: 15},
}


"""Generators and their shares."""


def generate(seed: int, number: int, sound: Path, work: Path) -> Case:
    """Make the case of a number; it depends on the seed and the number only."""
    rng = random.Random(f"{seed}/{number}")
    (family,) = rng.choices(list(FAMILIES), list(FAMILIES.values()))
    return family(rng, sound, work)


def as_text(argv: list[str]) -> str:
    """A command line for the report."""
    text = io.StringIO()
    print(*(repr(each) if not each.isprintable() else each for each in argv), file=text, end="")
    return text.getvalue()[:200]
