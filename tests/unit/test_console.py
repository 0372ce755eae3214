"""Output is literal: markup is not interpreted, and control characters do not reach the terminal."""

from __future__ import annotations

import pytest

from cryptoml import events
from cryptoml.cli.console import listening, print_lines, print_table

ODD = "[/bold]\x1b]0;title\x07[red]x\\"
SHOWN = "[/bold]\ufffd]0;title\ufffd[red]x\\"


def test_a_table_prints_markup_literally(capsys: pytest.CaptureFixture[str]) -> None:
    print_table((f"column {ODD}", "2"), [(f"cell {ODD}", "3")], title=f"title {ODD}")
    out = capsys.readouterr().out
    for place in ("title", "column", "cell"):
        assert f"{place} {SHOWN}" in out


def test_lines_and_events_print_markup_literally(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([f"line {ODD}"])
    with listening() as listener:
        listener(events.Warned(ODD))
    shown = capsys.readouterr()
    assert f"line {SHOWN}" in shown.out
    assert SHOWN in shown.err
