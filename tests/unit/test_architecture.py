"""docs/architecture.md lists the packages and layers of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "cryptoml").rglob("__init__.py")}


def test_every_documented_package_exists() -> None:
    named = set(re.findall(r"\bcryptoml(?:\.[a-z_]+)+", TEXT))
    assert named <= PACKAGES


def test_every_package_is_in_the_table() -> None:
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `cryptoml.")]
    listed = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    assert sorted(listed) == sorted(PACKAGES - {"cryptoml"})


def test_the_documented_layers_are_those_of_import_linter() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    checked = next(one["layers"] for one in contracts if one.get("containers") == ["cryptoml"])
    block = TEXT.split("## Layers")[1].split("```")[1]
    shown = [re.split(r" {2,}", line.strip())[0].replace(", ", "\n") for line in block.strip().splitlines()]
    assert "\n".join(shown).splitlines() == checked


def test_import_linter_refuses_the_packages_that_deptry_accepts_for_tests() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (contract,) = (one for one in tools["importlinter"]["contracts"] if "development" in one["name"])
    assert contract["forbidden_modules"] == tools["deptry"]["per_rule_ignores"]["DEP004"]


def test_the_documented_access_modes_are_those_of_the_store() -> None:
    from cryptoml.tracking.store import project_store

    modes = {name for name, one in vars(project_store).items() if isinstance(one, project_store.AccessMode)}
    assert set(re.findall(r"`([A-Z]+)`", TEXT.split("access mode")[1].split(", which says")[0])) == modes
