"""A copy of the package to which a test adds an extension, as CONTRIBUTING.md describes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Project


@dataclass(frozen=True)
class Copy(Project):
    """A project that runs a copy of the package.

    package: the folder `cryptoml` of the copy.
    """

    package: Path

    def add_file(self, name: str, text: str) -> None:
        """Write a file that the package does not have yet."""
        path = self.package / name
        assert not path.exists()
        path.write_text(text)

    def add_lines(self, name: str, text: str, *, before: str | None = None) -> None:
        """Insert text before the only occurrence of `before`, or append it."""
        path = self.package / name
        old = path.read_text()
        if before is None:
            path.write_text(f"{old}\n\n{text}")
        else:
            assert old.count(before) == 1
            path.write_text(old.replace(before, text + before))

    def changed_files(self) -> set[str]:
        """Paths of the files that differ from those of the repository."""
        original = REPOSITORY / "cryptoml"
        paths = {path.relative_to(self.package) for path in self.package.rglob("*.py")}
        return {
            str(path)
            for path in paths
            if not (original / path).exists() or (original / path).read_bytes() != (self.package / path).read_bytes()
        }

    def run_tests(self, file: str, name: str) -> str:
        """Run the tests of `file` that have `name` in their id, on the copy; returns pytest's last line."""
        arguments = [f"--rootdir={REPOSITORY}", "-q", "-p", "no:cacheprovider", "-k", name, str(REPOSITORY / file)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.folder,
            env=dict(self.environ) | {"PYTHONPATH": f"{self.package.parent}:{REPOSITORY}"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def copy(tmp_path: Path, project: Project) -> Copy:
    package = tmp_path / "package" / "cryptoml"
    shutil.copytree(REPOSITORY / "cryptoml", package, ignore=shutil.ignore_patterns("__pycache__"))
    environ = dict(project.environ) | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return Copy(project.folder, environ, package)
