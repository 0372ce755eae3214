"""Replacing files atomically and locking them: what stays after errors, and what is reported."""

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


def test_a_lock_that_another_holds_is_waited_for_and_reported(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(UnavailableError, match="another process has held this lock"),
        locked(tmp_path / "lock", timeout_s=0.1),
    ):
        pass


@pytest.mark.parametrize(("timeout_s", "waits"), [(0.0, 0), (0.1, 1)])
def test_a_caller_is_told_of_the_wait_once_and_names_the_error(tmp_path: Path, timeout_s: float, waits: int) -> None:
    told: list[str] = []
    with (
        locked(tmp_path / "lock"),
        pytest.raises(CheckFailedError, match="busy"),
        locked(
            tmp_path / "lock",
            timeout_s=timeout_s,
            on_wait=lambda: told.append("waiting"),
            busy=lambda: CheckFailedError("busy"),
        ),
    ):
        pass
    assert told == ["waiting"] * waits


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        with locked(tmp_path / "lock", timeout_s=0, on_wait=lambda: told.append("waiting")):
            pass
    assert told == []


def test_an_error_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
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


def test_the_file_changes_only_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path, part=tmp_path / "named") as part:
        part.write_text("new")
        assert (part.name, path.read_text()) == ("named", "old")
    assert path.read_text() == "new"
    assert not part.exists()


def test_a_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    path.symlink_to(target)
    write_atomically(path, "new")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("old", "new", False)


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_text_is_written_as_it_is_and_private_where_asked(tmp_path: Path, private: bool, mode: int) -> None:
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "file", "Ω\r\n", private=private)
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == "Ω\r\n".encode()
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
