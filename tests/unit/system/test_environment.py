"""Temporary and home folders of the process: which are kept and which are replaced."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cryptoml.system import environment

PREPARE = """
import os, tempfile
from cryptoml.system import environment
environment.prepare()
print(tempfile.gettempdir())
"""


@pytest.mark.parametrize("variable", [None, "TMPDIR", "TEMP", "TMP"])
def test_a_temporary_folder_may_be_the_current_folder(variable: str | None, tmp_path: Path) -> None:
    folder = tmp_path if variable else Path("/tmp")
    environ = {name: text for name, text in os.environ.items() if name not in ("TMPDIR", "TEMP", "TMP")}
    environ |= {"PYTHONPATH": os.pathsep.join(sys.path)} | ({variable: str(folder)} if variable else {})
    done = subprocess.run(
        [sys.executable, "-c", PREPARE], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(folder)


def test_a_home_folder_without_access_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the home folder of root: even testing whether a file in it exists raises PermissionError."""

    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setenv("HOME", str(tmp_path / "root"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(environment, "_use_temporary_folder", lambda: None)
    monkeypatch.setattr(Path, "is_dir", denied)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", denied)
        assert not environment.can_create(tmp_path / "root" / ".cache")
    environment.prepare()
    assert Path(os.environ["HOME"]).is_relative_to(tmp_path / f"cryptoml-{os.getuid()}")
