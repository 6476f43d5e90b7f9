"""Completion in bash, as a user has it: words before the cursor in, candidates out."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("shtab")

if shutil.which("bash") is None:
    pytest.skip("bash is missing", allow_module_level=True)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "flowdeblur.bash"
    command = [sys.executable, "-m", "flowdeblur", "completion", "bash"]
    path.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ev"], {"evaluate"}),
        (["deblur", "--stre"], {"--strength"}),
        (["data", "verify", "--ag"], {"--against"}),
        (["train", "model=without_r"], {"model=without_rnns"}),
        (["train", "objective=d"], {"objective=decibels"}),
        (["evaluate", "same_"], {"same_frame="}),
    ],
)
def test_bash_completes(script, words, expected):
    code = f"""
        source {script}
        COMP_WORDS=(flowdeblur {" ".join(words)}) COMP_CWORD={len(words)}
        $(complete -p flowdeblur | sed 's/.*-F \\([^ ]*\\).*/\\1/') flowdeblur {words[-1]}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == expected, done.stderr
