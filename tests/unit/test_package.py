"""The contents of a wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile

from tests.conftest import REPOSITORY


def test_a_wheel_contains_package_types_templates_and_license(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    assert {"cryptoml/py.typed", "cryptoml/reports/comparison.html.j2", "cryptoml/reports/comparison.js"} <= names
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"cryptoml"}
    assert "License-Expression: Apache-2.0\n" in metadata
