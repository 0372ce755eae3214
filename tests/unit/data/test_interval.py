"""Parsing of candle intervals."""

import pandas as pd
import pytest

from cryptoml.data.interval import Interval, default_max_no_trade, interval_from_seconds, parse_interval
from cryptoml.errors import UsageError


@pytest.mark.parametrize(
    ("text", "label", "seconds"),
    [("1m", "1m", 60), ("15m", "15m", 900), ("60m", "1h", 3600), (" 4H ", "4h", 14_400), ("1D", "1d", 86_400),
     ("1w", "7d", 604_800), ("90s", "90s", 90)],
)  # fmt: skip
def test_an_interval_is_parsed_and_shortened(text, label, seconds):
    found = parse_interval(text)
    assert found == Interval(label, seconds)
    assert found.timedelta == pd.Timedelta(seconds=seconds)
    assert interval_from_seconds(seconds) == found


@pytest.mark.parametrize("text", ["", "h", "0m", "-1h", "1.5h", "hourly", "1M", "1 h 30 m"])
def test_invalid_intervals_and_months_are_rejected(text):
    with pytest.raises(UsageError, match="is not an interval"):
        parse_interval(text)


def test_gaps_are_treated_as_no_trade_only_below_an_hour():
    assert [default_max_no_trade(parse_interval(text)) for text in ("1m", "30m", "1h", "1d")] == [30, 30, 0, 0]
