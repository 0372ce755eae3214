"""Setting variables in `.env`: only those requested, in place, mode 0600."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from cryptoml.errors import ConfigError
from cryptoml.remotes.env_file import read_text, updated_text, write_variables


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "A=1\n"),
        ("B=2", "B=2\nA=1\n"),
        ("# note\nA=0 # old\nB='x y'\n", "# note\nA=1\nB='x y'\n"),
        ("export A=0\n", "A=1\n"),
        ("A=0\n\n\nA=9\nB=2\n", "\n\nA=1\nB=2\n"),
        ("M='two\nA=lines'\nA=0\n", "M='two\nA=lines'\nA=1\n"),
        ("A=1\n", "A=1\n"),
    ],
)
def test_only_the_variable_changes(old: str, new: str) -> None:
    assert updated_text(old, {"A": "1"}) == new


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_a_written_value_is_read_back(value: str) -> None:
    import io

    text = updated_text("OTHER=1\n", {"A": value})
    assert dotenv_values(stream=io.StringIO(text), interpolate=False)["A"] == value


def test_the_file_is_private_and_written_only_if_it_changes(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("B=2\n")
    path.chmod(0o644)
    assert write_variables(path, {"A": "1"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / ".env.bak").read_text() == "B=2\n"
    before = path.stat().st_mtime_ns
    assert not write_variables(path, {"A": "1"})
    assert path.stat().st_mtime_ns == before
    assert sorted(one.name for one in tmp_path.iterdir() if one.name != "home") == [".env", ".env.bak"]


def test_a_byte_order_mark_is_accepted_and_binary_data_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfA=1\n")
    assert read_text(path) == "A=1\n"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-16 text"):
        read_text(path)
