"""How a version can be named."""

from __future__ import annotations

import pytest

from cryptoml.errors import UsageError
from cryptoml.registry.version_refs import VersionRef, needed_version_ref, parse_version_ref


@pytest.mark.parametrize(
    ("text", "which", "name"),
    [
        ("v3", "3", None), ("3", "3", None), ("V03", "3", None), (" v12 ", "12", None),
        ("latest", "latest", None), ("Production", "production", None), ("staging", "staging", None),
        ("coins@v3", "3", "coins"), ("coins@3", "3", "coins"), ("coins@LATEST", "latest", "coins"),
        ("coins-btcusdt-1h@production", "production", "coins-btcusdt-1h"), ("coins@Champion", "Champion", "coins"),
    ],
)  # fmt: skip
def test_a_reference_names_a_version(text: str, which: str, name: str | None):
    assert parse_version_ref(text) == VersionRef(which, name)
    assert needed_version_ref(text) == VersionRef(which, name)


@pytest.mark.parametrize("text", ["", "v", "v0", "-1", "1.5", "ridge_2026-11-23_001", "@", "coins@", "@x", "a" * 32])
def test_anything_else_may_be_a_run_but_is_no_version(text: str):
    assert parse_version_ref(text) is None
    with pytest.raises(UsageError, match="is not a version") as caught:
        needed_version_ref(text)
    assert "cryptoml versions" in caught.value.hint
