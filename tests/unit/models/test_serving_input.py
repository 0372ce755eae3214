"""The input of a served model: numbers and datetimes are accepted, ambiguous values are refused."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from cryptoml.errors import DataError
from cryptoml.models.serving import parse_candles

TIMES = ["2024-11-27T00:00:00Z", "2024-11-27T01:00:00Z"]


def table(**columns: object) -> pd.DataFrame:
    values = {"timestamp": TIMES, **{name: [1.5, 2.5] for name in ("open", "high", "low", "close", "volume")}}
    return pd.DataFrame({**values, **columns})


@pytest.mark.parametrize(
    "volume",
    [
        np.array([1000, 2000], dtype="int64"),
        np.array([100, 200], dtype="uint8"),
        pd.array([1000, 2000], dtype="Int64"),
        [Decimal(1000), Decimal("2000.5")],
        np.array([1000, 2000], dtype="float32"),
    ],
)
def test_all_numeric_types_are_accepted(volume: object) -> None:
    frame = parse_candles(table(volume=volume))
    assert frame["volume"].dtype == "float64"
    assert frame["volume"].iloc[0] in (1000.0, 100.0)


@pytest.mark.parametrize(
    "times",
    [
        TIMES,
        pd.to_datetime(TIMES),
        pd.to_datetime(TIMES).tz_localize(None),
        pd.to_datetime(TIMES).tz_convert("Asia/Tokyo"),
        ["2024-11-27", "2024-11-27 01:00"],
        [pd.Timestamp(text).to_pydatetime() for text in TIMES],
    ],
)
def test_iso_strings_and_datetimes_are_accepted(times: object) -> None:
    assert list(parse_candles(table(timestamp=times)).index) == list(pd.to_datetime(TIMES))


@pytest.mark.parametrize("volume", [["1000", "2000"], [1.0, "2000"], [True, False], [b"1", b"2"], TIMES])
def test_values_that_are_not_numeric_are_refused(volume: object) -> None:
    with pytest.raises(DataError, match="volume is not numeric") as caught:
        parse_candles(table(volume=volume))
    assert "astype(float)" in caught.value.hint


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_numeric_timestamps_are_refused_with_a_conversion_hint(unit: str, kind: str) -> None:
    steps = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pd.Series([1732665600 * steps, 1732669200 * steps]).astype(kind)
    with pytest.raises(DataError, match="with an unknown unit") as caught:
        parse_candles(table(timestamp=times))
    assert f"pandas.to_datetime(x, unit='{unit}', utc=True)" in caught.value.hint
