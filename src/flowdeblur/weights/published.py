"""Published PyTorch checkpoints of the peers as weights of this project.

Only tensors are read (``weights_only=True``); nothing in a checkpoint is executed.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flowdeblur import weights
from flowdeblur.errors import UserError
from flowdeblur.types import Network

State = dict[str, Tensor]

_WRAPPERS = ("params_ema", "params", "state_dict", "model")
"""Keys under which training programs put the state dict; the average goes first."""


@dataclass(frozen=True)
class Layout:
    """How a published state dict is named.

    Attributes:
        label: name of the architecture.
        marks: published keys by which it is recognized.
        renames: patterns of published names and their replacements here, applied in order.
        config: the model's configuration, from the published tensors.
        adapt: last changes of the renamed tensors.
    """

    label: str
    marks: frozenset[str]
    renames: Sequence[tuple[str, str]]
    config: Callable[[Mapping[str, Tensor]], dict[str, Any]]
    adapt: Callable[[State], State] = lambda state: state

    def rename(self, name: str) -> str:
        """Our name of a published parameter."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name


def import_checkpoint(path: Path) -> tuple[Network, dict[str, Any], str]:
    """Read a published checkpoint.

    Args:
        path: a ``.pth``, ``.pt`` or ``.tar`` file of NAFNet, ESTRNN or DeblurGAN.

    Returns:
        The network, its configuration, and the name of its architecture.

    Raises:
        UserError: the file is missing, damaged, contains code, or is of another architecture; names
            the first parameter that differs.
    """
    published = _read(path)
    layout = _recognize(published, path)
    try:
        config = layout.config(published)
    except KeyError as error:
        raise UserError(f"{path}: {error.args[0]} is missing; expected {layout.label}") from None
    names = {layout.rename(name): name for name in published}
    network = weights.build(config, path)
    wanted = network.state_dict()
    for name in [*wanted, *names]:
        here, there = wanted.get(name), published.get(names.get(name, ""))
        if here is None or there is None or here.shape != there.shape:
            raise UserError(
                f"{path}: {names.get(name, name)} is {_shape(there)} in the file and "
                f"{_shape(here)} in {layout.label}; expected a checkpoint of {layout.label}"
            )
    state = {name: published[old].to(wanted[name].dtype) for name, old in names.items()}
    network.load_state_dict(layout.adapt(state))
    return network.eval(), config, layout.label


def _read(path: Path) -> State:
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a PyTorch checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols, of files that are refused
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error).lower() or "Unsupported" in str(error):
            raise UserError(
                f"{path}: contains Python objects, which are not loaded; save its state_dict only"
            ) from None
        raise UserError(f"{path}: damaged, or not a PyTorch checkpoint") from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError, IndexError):
        raise UserError(f"{path}: damaged, or not a PyTorch checkpoint") from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise UserError(f"{path}: contains no state dict; save the network's state_dict()")
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _recognize(published: Mapping[str, Tensor], path: Path) -> Layout:
    for layout in LAYOUTS:
        if layout.marks & published.keys():
            return layout
    if any(name.startswith("convlstm.") for name in published):
        raise UserError(
            f"{path}: ports of SRN decode the LSTM's cell state where SRN decodes its output, so "
            "that their weights fit no network of this project; train model=srn"
        )
    known = ", ".join(layout.label for layout in LAYOUTS)
    raise UserError(
        f"{path}: {next(iter(published))} belongs to no known architecture; expected {known}"
    )


def _count(names: Mapping[str, Tensor], pattern: str) -> int:
    found = [match[1] for name in names if (match := re.match(pattern, name))]
    return max((int(each) + 1 for each in found), default=0)


def _width(weight: Tensor) -> int:
    """Channels that a layer puts out; at least 1, so that a network to compare with can be made."""
    return max(weight.shape[0], 1) if weight.ndim else 1


def _nafnet(published: Mapping[str, Tensor]) -> dict[str, Any]:
    scales = _count(published, r"encoders\.(\d+)\.")

    def blocks(part: str) -> list[int]:
        return [_count(published, rf"{part}\.{scale}\.(\d+)\.") for scale in range(scales)]

    return {
        "_target_": "flowdeblur.networks.NAFNet",
        "width": _width(published["intro.weight"]),
        "encoder_blocks": blocks("encoders"),
        "middle_blocks": _count(published, r"middle_blks\.(\d+)\."),
        "decoder_blocks": blocks("decoders"),
    }


def _estrnn(published: Mapping[str, Tensor]) -> dict[str, Any]:
    prefix = "model." if any(name.startswith("model.cell.") for name in published) else ""
    return {
        "_target_": "flowdeblur.networks.ESTRNN",
        "width": _width(published[f"{prefix}cell.F_B0.weight"]),
        "blocks": max(_count(published, rf"{prefix}cell\.F_R\.RDBs\.(\d+)\."), 1),
    }


def _rgb(state: State) -> State:
    """Reverse the channels of the layers that read and write BGR images."""
    reversed_channels = {
        "cell.features.0.weight": 1,
        "upsampling.2.weight": 0,
        "upsampling.2.bias": 0,
    }
    return state | {name: state[name].flip(axis) for name, axis in reversed_channels.items()}


def _deblurgan(published: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "_target_": "flowdeblur.networks.DeblurGAN",
        "width": _width(published["model.1.weight"]),
        "blocks": _count(published, r"model\.(\d+)\.conv_block\.") - _FIRST_BLOCK,
    }


_FIRST_BLOCK = 10  # its index in the released Sequential
_LAST_BLOCK = 18

_ESTRNN_NAMES = (
    (r"^model\.", ""),
    (r"^cell\.F_B0\.", "cell.features.0."),
    (r"^cell\.F_B1\.rdb\.", "cell.features.1."),
    (r"^cell\.F_B1\.down_sampling\.", "cell.features.2."),
    (r"^cell\.F_B2\.rdb\.", "cell.features.3."),
    (r"^cell\.F_B2\.down_sampling\.", "cell.features.4."),
    (r"^cell\.F_R\.RDBs\.", "cell.body."),
    (r"^cell\.F_R\.conv1x1\.", "cell.body_fusion.0."),
    (r"^cell\.F_R\.conv3x3\.", "cell.body_fusion.1."),
    (r"^cell\.F_h\.", "cell.state."),
    (r"\.dense_layers\.(\d+)\.conv\.", r".convs.\1."),
    (r"\.conv1x1\.", ".last."),
    (r"^recons\.model\.", "upsampling."),
    (r"^fusion\.F_f\.", "fusion.attention."),
    (r"^fusion\.F_p\.", "fusion.mixing."),
    (r"^fusion\.fusion\.", "fusion.last."),
)
# The released Sequential has layers for reflection padding, which convolutions do here.
_DEBLURGAN_NAMES = (
    *((rf"^model\.{old}\.", f"model.{new}.") for old, new in ((1, 0), (4, 3), (7, 6))),
    *(
        (rf"^model\.{index}\.conv_block\.{old}\.", f"model.{index - 1}.body.{new}.")
        for index in range(_FIRST_BLOCK, _LAST_BLOCK + 1)
        for old, new in ((1, 0), (6, 4))
    ),
    *((rf"^model\.{old}\.", f"model.{new}.") for old, new in ((19, 18), (22, 21), (26, 24))),
)

LAYOUTS = (
    Layout("NAFNet", frozenset({"intro.weight", "ending.weight"}), (), _nafnet),
    Layout(
        "ESTRNN",
        frozenset({"cell.F_B0.weight", "model.cell.F_B0.weight"}),
        _ESTRNN_NAMES,
        _estrnn,
        _rgb,
    ),
    Layout("DeblurGAN", frozenset({"model.1.weight"}), _DEBLURGAN_NAMES, _deblurgan),
)


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape)) or "scalar"
