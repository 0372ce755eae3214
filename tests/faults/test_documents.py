"""SECURITY.md names tests that exist."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY


def test_every_test_that_the_security_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w./]*)(?:::(\w+))?`", (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    for path, test in named:
        assert (REPOSITORY / path).exists(), path
        if test:
            assert f"def {test}(" in (REPOSITORY / path).read_text(encoding="utf-8"), test
