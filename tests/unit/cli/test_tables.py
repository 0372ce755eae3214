"""Selection of the table columns that fit a terminal."""

from __future__ import annotations

from cryptoml.cli.tables import MIN_TEXT_WIDTH, fit, shortened, table_width
from cryptoml.reports.tables import Column

NAME = "gradient_boosting_2026-11-26_001"
NAMES = Column("run", [NAME], align="left", shrinks=True)
SIX = [Column(f"metric {rank}", ["1,000.0"], rank=rank) for rank in (1, 3, 2)]


def titles(columns: list[Column]) -> list[str]:
    return [column.title for column in columns]


def test_columns_of_the_highest_rank_are_hidden_first_and_keep_their_order() -> None:
    columns = [NAMES, *SIX]
    full = table_width(columns)
    assert fit(columns, full) == columns
    assert titles(fit(columns, full - 1)) == ["run", "metric 1", "metric 2"]
    assert titles(fit(columns, full - 12)) == ["run", "metric 1"]


def test_long_texts_are_shortened_only_when_no_column_can_be_hidden() -> None:
    pair = [NAMES, Column("than", [NAME], align="left", shrinks=True), Column("p", ["0.05"])]
    shown = fit([*pair, *SIX], 60)
    assert titles(shown) == ["run", "than", "p"]
    assert table_width(shown) == 60
    assert shown[2].cells == ["0.05"]
    for column in shown[:2]:
        assert column.cells[0].startswith("gradient_b")
        assert column.cells[0].endswith("26_001")
    assert [len(column.cells[0]) for column in fit(pair, 1)[:2]] == [MIN_TEXT_WIDTH, MIN_TEXT_WIDTH]


def test_the_middle_of_a_long_text_is_removed() -> None:
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghij", 5) == "ab…ij"
