"""Networks to and from the Hugging Face hub: weights, configuration and model card.

Functions, not a mixin: the networks inherit from ``nn.Module`` alone, and what a mixin would have
to know of them, a weights file holds already. Nothing is pickled.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from flowdeblur import weights
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.extras import import_extra
from flowdeblur.files import filling, write_bytes, write_text
from flowdeblur.types import Network

_WEIGHTS = "model.safetensors"  # the name that the hub looks into
_CONFIG = "config.json"  # the file whose downloads the hub counts

_HEAD = """
# Deep dynamic scene deblurring from optical flow

```python
import flowdeblur.weights.hub

network = flowdeblur.weights.hub.load("owner/name")  # or the folder that holds this file
restored = network(frames).restored  # frames (B, T, 3, H, W), RGB in [0, 1]
```
"""


def save(source: str | Path, folder: str | Path) -> None:
    """Write a folder as the hub wants it: weights, configuration and model card.

    Args:
        source: weights, as :func:`flowdeblur.load` takes them.
        folder: made if missing; the three files in it are replaced, others stay.

    Raises:
        UserError: the weights are missing, damaged, or not of this project.
    """
    path = weights.locate(source)
    facts = weights.describe(path)
    with filling(Path(folder)) as partial:
        write_bytes(partial / _WEIGHTS, path.read_bytes())
        write_text(partial / _CONFIG, json.dumps(facts["config"], indent=2) + "\n")
        write_text(partial / "README.md", _card(facts))


def load(repository: str | Path, *, revision: str | None = None) -> Network:
    """Rebuild a network from a folder, or from a repository on the hub.

    Args:
        repository: a folder that :func:`save` has written, or ``owner/name``.
        revision: a branch, tag or commit of the repository.

    Raises:
        UserError: there is no such repository, or its weights are not of this project.
        RuntimeFailureError: the hub cannot be reached.
    """
    folder = Path(repository)
    path = folder / _WEIGHTS if folder.is_dir() else _download(str(repository), revision)
    return weights.load(path)


def push(source: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload weights to the hub, with the token that ``hf auth login`` has stored.

    Args:
        source: weights, as :func:`flowdeblur.load` takes them.
        repository: ``owner/name``, made if missing.
        private: whether a new repository is private.

    Returns:
        The address of the repository.

    Raises:
        UserError: the weights or the repository are not as they should be, or there is no token.
        RuntimeFailureError: the hub cannot be reached.
    """
    hub = import_extra("huggingface_hub", "hub")
    with tempfile.TemporaryDirectory() as folder:
        save(source, folder)
        with _telling(repository):
            address = hub.create_repo(repository, private=private, exist_ok=True)
            hub.upload_folder(repo_id=repository, folder_path=folder)
    return str(address)


def _download(repository: str, revision: str | None) -> Path:
    hub = import_extra("huggingface_hub", "hub")
    with _telling(repository):
        return Path(hub.hf_hub_download(repository, _WEIGHTS, revision=revision))


@contextmanager
def _telling(repository: str) -> Iterator[None]:
    """Turn the errors of the hub's library into ours."""
    errors = import_extra("huggingface_hub.errors", "hub")  # a part that comes when asked for
    try:
        yield
    except (
        errors.HFValidationError,
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.RemoteEntryNotFoundError,
        errors.LocalTokenNotFoundError,
    ) as error:
        raise UserError(
            f"{repository}: {_first_line(error)}; name a folder or owner/name, or run hf auth login"
        ) from None
    except (errors.HTTPError, OSError) as error:
        raise RuntimeFailureError(
            f"{repository}: the hub does not answer ({_first_line(error)})"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _card(facts: Mapping[str, Any]) -> str:
    """Write the model card: front matter for the hub, and what the weights say of themselves."""
    licence = facts["licence"]
    front: dict[str, Any] = {
        "library_name": "flowdeblur",
        "pipeline_tag": "image-to-image",
        "tags": ["deblurring", "video", "optical-flow"],
    }
    if licence is not None:
        # The hub knows SPDX identifiers in lower case, and "other" for everything else.
        named = {"license": licence.lower()}
        front |= named if " " not in licence else {"license": "other", "license_name": licence}
    told = {
        "Licence": licence or "not stated",
        "Training": facts["training"] or "not stated",
        "Scores": facts["metrics"] or "not stated",
        "Written by": f"flowdeblur {facts['flowdeblur']}",
    }
    sections = "\n".join(f"## {title}\n\n{_as_text(fact)}\n" for title, fact in told.items())
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{_HEAD}\n{sections}"


def _as_text(fact: Any) -> str:
    if isinstance(fact, str):
        return fact
    return f"```yaml\n{yaml.safe_dump(fact, sort_keys=False, allow_unicode=True)}```"
