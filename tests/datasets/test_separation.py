"""Training and held-out samples that are read from the same files."""

from __future__ import annotations

import pytest
from tests.datasets.fakes import pan, write_clip

from flowdeblur.data import DataModule
from flowdeblur.datasets import FrameFolders, Mixture, PackedFrames
from flowdeblur.datasets.packed import pack
from flowdeblur.datasets.separation import demand_separate
from flowdeblur.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Clips a, b and c, of which c is a symbolic link to a; and all but c packed."""
    root = tmp_path_factory.mktemp("frames")
    for number, name in enumerate("ab"):
        frames = pan(2, start=(40 + 200 * number, 60))
        write_clip(root / name / "input", root / name / "GT", frames)
    pack(FrameFolders(str(root)).pairs(), root / "packed")
    (root / "c").symlink_to(root / "a")
    return root


def folders(root, *clips, **settings):
    return FrameFolders(str(root), clips=clips, **settings)


def packed(root, *clips):
    return PackedFrames(str(root / "packed"), clips=clips)


def mixed(root, *clips):
    return Mixture({"one": packed(root, "b"), "two": folders(root, *clips)}, {"one": 1, "two": 1})


@pytest.mark.parametrize(
    ("training", "held_out", "shared"),
    [
        ((folders, "a"), (folders, "b"), None),
        ((packed, "a"), (packed, "b"), None),
        ((folders, "a", "b"), (folders, "b"), "b"),
        ((folders, "a"), (folders, "b", "c"), "c"),
        ((packed, "a", "b"), (packed, "a"), "a"),
        ((mixed, "a"), (folders, "c"), "c"),
        ((mixed, "a"), (packed, "b"), "b"),
        ((mixed, "a"), (folders, "b"), None),
    ],
)
def test_files_in_common(root, training, held_out, shared):
    opened = [make(root, *clips).open((0, 1), ()) for make, *clips in (training, held_out)]
    if shared is None:
        demand_separate("val", opened[1], opened[0])
        return
    with pytest.raises(UserError, match=rf"data.val: 1 of its clips \({shared}\) are also"):
        demand_separate("val", opened[1], opened[0])


def test_training_refuses_them_even_where_it_takes_other_frames(root):
    data = DataModule(
        train=folders(root, "a", every=2),
        val=folders(root, "b"),
        test=folders(root, "a", first=1, every=2),
        patch=(16, 16),
        batch_size=1,
        frame_offsets=(0, 1),
        flow_offsets=(),
    )
    with pytest.raises(UserError, match=r"data.test: 1 of its clips"):
        data.prepare_data()
