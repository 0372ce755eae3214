"""A file lock that cannot be taken is an expected error."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptoml.errors import UnavailableError
from cryptoml.system.files import locked


def test_a_lock_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is a directory"), locked(tmp_path):
        pass


def test_a_lock_that_another_holds_is_waited_for_and_reported(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(UnavailableError, match="another process has held this lock"),
        locked(tmp_path / "lock", timeout_s=0.1),
    ):
        pass
