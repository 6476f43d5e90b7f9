"""Upload networks to the Hugging Face Hub, and download them: weights, configuration, model card.

The weights file has everything that is needed, so that networks need no mixin class. The model card
is written without the Hub's library, so that folders can be saved without it. Nothing is pickled.
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

_WEIGHTS = "model.safetensors"  # the name that the Hub expects
_CONFIG = "config.json"  # the Hub counts downloads of this file

_HEAD = """
# Deep dynamic scene deblurring from optical flow

```python
import flowdeblur.weights.hub

network = flowdeblur.weights.hub.load("owner/name")  # or the folder that holds this file
restored = network(frames).restored  # frames (B, T, 3, H, W), RGB in [0, 1]
```
"""


def save(source: str | Path, folder: str | Path) -> None:
    """Write a folder in the Hub's layout: weights, configuration and model card.

    Args:
        source: weights, as :func:`flowdeblur.load` takes them.
        folder: created if missing; its three files are replaced, others stay.

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
    """Rebuild a network from a folder, or from a repository on the Hub.

    Args:
        repository: a folder that :func:`save` has written, or ``owner/name``.
        revision: a branch, tag or commit of the repository.

    Raises:
        UserError: there is no such repository, or its weights are not of this project.
        RuntimeFailureError: the Hub cannot be reached.
    """
    folder = Path(repository)
    path = folder / _WEIGHTS if folder.is_dir() else _download(str(repository), revision)
    return weights.load(path)


def push(source: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload weights to the Hub, with the token that ``hf auth login`` has stored.

    Args:
        source: weights, as :func:`flowdeblur.load` takes them.
        repository: ``owner/name``, created if missing.
        private: whether a new repository is private.

    Returns:
        The address of the repository.

    Raises:
        UserError: the weights are damaged, the repository's name is wrong, or there is no token.
        RuntimeFailureError: the Hub cannot be reached.
    """
    hub = import_extra("huggingface_hub", "hub")
    with tempfile.TemporaryDirectory() as folder:
        save(source, folder)
        with _translated_errors(repository):
            address = hub.create_repo(repository, private=private, exist_ok=True)
            hub.upload_folder(repo_id=repository, folder_path=folder)
    return str(address)


def _download(repository: str, revision: str | None) -> Path:
    hub = import_extra("huggingface_hub", "hub")
    with _translated_errors(repository):
        return Path(hub.hf_hub_download(repository, _WEIGHTS, revision=revision))


@contextmanager
def _translated_errors(repository: str) -> Iterator[None]:
    """Raise the project's errors for those of the Hub's library."""
    errors = import_extra("huggingface_hub.errors", "hub")  # not imported with the library itself
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
            f"{repository}: could not reach the Hugging Face Hub ({_first_line(error)})"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _card(facts: Mapping[str, Any]) -> str:
    """Write the model card: front matter for the Hub, and the metadata of the weights."""
    licence = facts["licence"]
    front: dict[str, Any] = {
        "library_name": "flowdeblur",
        "pipeline_tag": "image-to-image",
        "tags": ["deblurring", "video", "optical-flow"],
    }
    if licence is not None:
        # The Hub knows SPDX identifiers in lower case, and "other" for everything else.
        named = {"license": licence.lower()}
        front |= named if " " not in licence else {"license": "other", "license_name": licence}
    sections = {
        "Licence": licence or "not stated",
        "Training": facts["training"] or "not stated",
        "Scores": facts["metrics"] or "not stated",
        "Written by": f"flowdeblur {facts['flowdeblur']}",
    }
    text = "\n".join(f"## {title}\n\n{_as_text(fact)}\n" for title, fact in sections.items())
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{_HEAD}\n{text}"


def _as_text(fact: Any) -> str:
    if isinstance(fact, str):
        return fact
    return f"```yaml\n{yaml.safe_dump(fact, sort_keys=False, allow_unicode=True)}```"
