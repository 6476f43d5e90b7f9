from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import errors
from tests.composition import compose_config, make_model, plain

from flowdeblur import weights
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.weights import hub

CONFIG = plain(compose_config("model=without_rnns"))["model"] | {"width": 4}


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "weights.safetensors"
    weights.save(
        path,
        make_model("without_rnns", width=4),
        CONFIG,
        training={"data": {"split": "train"}, "steps": 3},
        licence="CC-BY-4.0",
        metrics={"test": {"psnr": 30.5}},
    )
    return path


def restored(network):
    with torch.inference_mode():
        return network(torch.full((1, 1, 3, 10, 20), 0.4)).restored


def test_a_folder_brings_the_network_back(trained, tmp_path):
    hub.save(trained, tmp_path / "folder")
    again = hub.load(tmp_path / "folder")
    assert torch.equal(restored(again), restored(weights.load(trained)))
    files = {each.name for each in (tmp_path / "folder").iterdir()}
    assert files == {"model.safetensors", "config.json", "README.md"}
    assert json.loads((tmp_path / "folder" / "config.json").read_text()) == CONFIG


def front_matter(folder):
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_model_card_has_the_metadata_of_the_weights(trained, tmp_path):
    hub.save(trained, tmp_path / "folder")
    front, text = front_matter(tmp_path / "folder")
    assert front["license"] == "cc-by-4.0"
    assert front["library_name"] == "flowdeblur"
    for text_of_fact in ("psnr: 30.5", "steps: 3", "split: train", "CC-BY-4.0"):
        assert text_of_fact in text


@pytest.mark.parametrize(
    ("licence", "expected"),
    [(None, (None, None)), ("for research only", ("other", "for research only"))],
)
def test_other_licences(trained, tmp_path, licence, expected):
    weights.annotate(trained, licence=licence)
    hub.save(trained, tmp_path / "folder")
    front, _ = front_matter(tmp_path / "folder")
    assert (front.get("license"), front.get("license_name")) == expected


def test_saving_again_keeps_other_files(trained, tmp_path):
    folder = tmp_path / "folder"
    hub.save(trained, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "README.md").write_text("old")
    hub.save(trained, folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "README.md").read_text() != "old"


def test_a_repository_is_downloaded(trained, tmp_path, monkeypatch):
    hub.save(trained, tmp_path / "folder")
    asked = []

    def download(repository, file, revision):
        asked.append((repository, file, revision))
        return str(tmp_path / "folder" / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    network = hub.load("someone/deblur", revision="v1")
    assert asked == [("someone/deblur", "model.safetensors", "v1")]
    assert torch.equal(restored(network), restored(weights.load(trained)))


def test_an_unreachable_hub_is_reported_in_a_fresh_process():
    """Parts of the hub's library come only when they are asked for; this file asks for one."""
    code = """if True:
        import huggingface_hub
        from flowdeblur.weights import hub
        from flowdeblur.errors import RuntimeFailureError

        def download(*arguments, **options):
            raise ConnectionError("no route")

        huggingface_hub.hf_hub_download = download
        try:
            hub.load("someone/deblur")
        except RuntimeFailureError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "someone/deblur: could not reach the Hugging Face Hub (no route)\n", (
        done.stderr
    )


def test_pushing_uploads_the_folder(trained, monkeypatch):
    uploaded = {}

    def upload(repo_id, folder_path):
        files = Path(folder_path).iterdir()
        uploaded[repo_id] = {each.name: each.read_bytes() for each in files}

    monkeypatch.setattr(
        huggingface_hub,
        "create_repo",
        lambda name, private, exist_ok: f"https://hub/{name}?{private}",
    )
    monkeypatch.setattr(huggingface_hub, "upload_folder", upload)
    assert hub.push(trained, "me/deblur", private=True) == "https://hub/me/deblur?True"
    assert uploaded["me/deblur"].keys() == {"model.safetensors", "config.json", "README.md"}
    assert uploaded["me/deblur"]["model.safetensors"] == trained.read_bytes()


def test_bad_names_are_the_users_mistake():
    with pytest.raises(UserError, match=r"^a/b/c: .*owner/name"):
        hub.load("a/b/c")


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (errors.LocalTokenNotFoundError("no token"), UserError, "run hf auth login"),
        (
            errors.OfflineModeIsEnabled("offline"),
            RuntimeFailureError,
            r"could not reach the Hugging Face Hub \(offline\)",
        ),
        (
            errors.LocalEntryNotFoundError("x"),
            RuntimeFailureError,
            "could not reach the Hugging Face Hub",
        ),
        (errors.HTTPError("Name or service not known"), RuntimeFailureError, "service not known"),
    ],
)
def test_errors_of_the_hub_are_one_line(trained, monkeypatch, error, expected, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    monkeypatch.setattr(huggingface_hub, "create_repo", fail)
    for call in (lambda: hub.load("me/deblur"), lambda: hub.push(trained, "me/deblur")):
        with pytest.raises(expected, match=rf"^me/deblur: .*{message}"):
            call()


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(UserError, match=r"model.safetensors: no such weights file"):
        hub.load(tmp_path)


def test_damaged_weights_leave_the_folder_unchanged(trained, tmp_path):
    trained.write_bytes(trained.read_bytes()[:-10])
    with pytest.raises(UserError, match="truncated"):
        hub.save(trained, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_without_the_library_a_folder_still_loads(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    hub.save(trained, tmp_path / "folder")
    hub.load(tmp_path / "folder")
    with pytest.raises(
        UserError, match=r"^huggingface_hub is not installed: pip install 'flowdeblur\[hub\]'$"
    ):
        hub.load("me/deblur")
