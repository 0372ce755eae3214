"""Atomic replacement and locks of files, and their errors."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cryptoml.errors import CheckFailedError, UnavailableError
from cryptoml.system.files import locked, replacing, write_atomically


def test_a_lock_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is a directory"), locked(tmp_path):
        pass


def test_a_held_lock_is_waited_for_and_reported(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(UnavailableError, match="another process has held this lock"),
        locked(tmp_path / "lock", timeout_s=0.1),
    ):
        pass


@pytest.mark.parametrize(("timeout_s", "waits"), [(0.0, 0), (0.1, 1)])
def test_on_wait_is_called_once_and_busy_gives_the_error(tmp_path: Path, timeout_s: float, waits: int) -> None:
    waits_reported: list[str] = []
    with (
        locked(tmp_path / "lock"),
        pytest.raises(CheckFailedError, match="busy"),
        locked(
            tmp_path / "lock",
            timeout_s=timeout_s,
            on_wait=lambda: waits_reported.append("waiting"),
            busy=lambda: CheckFailedError("busy"),
        ),
    ):
        pass
    assert waits_reported == ["waiting"] * waits


def test_on_wait_is_not_called_for_a_free_lock(tmp_path: Path) -> None:
    waits_reported: list[str] = []
    for _ in range(2):
        with locked(tmp_path / "lock", timeout_s=0, on_wait=lambda: waits_reported.append("waiting")):
            pass
    assert waits_reported == []


def test_after_an_error_the_old_file_remains_without_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["file"]
    assert path.read_text() == "old"


def test_the_file_is_replaced_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path, part=tmp_path / "named") as part:
        part.write_text("new")
        assert (part.name, path.read_text()) == ("named", "old")
    assert path.read_text() == "new"
    assert not part.exists()


def test_a_symbolic_link_is_replaced_and_its_target_unchanged(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    path.symlink_to(target)
    write_atomically(path, "new")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("old", "new", False)


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_text_is_written_unchanged_with_the_requested_mode(tmp_path: Path, private: bool, mode: int) -> None:
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "file", "Ω\r\n", private=private)
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == "Ω\r\n".encode()
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
