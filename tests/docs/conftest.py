from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site as `make docs` builds it; anything that mkdocs warns about is an error."""
    pytest.importorskip("mkdocs")
    command = [sys.executable, "docs/tools/vendor.py", "build/site-assets"]
    fetched = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if fetched.returncode:
        reason = (fetched.stderr.strip() or "unknown").splitlines()[-1]
        pytest.skip(f"the scripts for equations and diagrams could not be fetched by npm: {reason}")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return folder
