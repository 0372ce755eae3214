"""Cleaning: duplicates, contradictions, price spikes, empty hours and incomplete candles; the quality report."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptoml.data.candles import QualityReport, read_candles
from cryptoml.errors import DataError

VALUES = ["open", "high", "low", "close", "volume"]


def market(rows: int = 60, scale: float = 1.0, freq: str = "h") -> pd.DataFrame:
    """Return candles with two decimals at a scale of 1, shifted for other scales."""
    rng = np.random.default_rng(5)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows))), 2)
    opens = np.r_[100.0, close[:-1]]
    high, low = np.maximum(opens, close) + 0.5, np.minimum(opens, close) - 0.5
    prices = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close})
    frame = (prices * scale).round(2 - int(np.log10(scale))).assign(volume=np.round(rng.uniform(5, 20, rows), 3))
    return frame.set_index(pd.date_range("2021-03-01", periods=rows, freq=freq, tz="UTC", name="timestamp"))


@pytest.fixture
def read(tmp_path):
    def reader(frame, **options):
        path = tmp_path / "x.csv"
        frame.to_csv(path, date_format="%Y-%m-%dT%H:%M:%SZ", float_format="%.12g")
        return read_candles(path, **options)

    return reader


def check(candles, expected: pd.DataFrame) -> None:
    assert candles.frame.index.equals(expected.index.as_unit("ns"))
    np.testing.assert_array_equal(candles.frame.to_numpy(), expected.to_numpy())


def kinds(candles) -> dict[str, int]:
    return {one.kind: one.count for one in candles.report.findings}


def row(frame: pd.DataFrame, at: int, **changes: float) -> pd.DataFrame:
    return frame.iloc[[at]].assign(**changes)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-5])
@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_a_contradiction_in_any_column_at_any_price_level_is_an_error(read, scale, column):
    frame = market(scale=scale)
    other = row(frame, 7)
    # Wider than any rounding and not what an unfinished candle looks like: more volume, and less of a range.
    other["volume"] = other["volume"] * 1.5
    other[column] = other[column] * {"high": 0.999, "low": 1.001, "open": 1.004, "close": 1.002, "volume": 2}[column]
    if column in ("close", "volume"):
        other[["high", "low"]] = frame.iloc[[7]][["high", "low"]].to_numpy() * [0.999, 1.001]
        other["volume"] = frame["volume"].iloc[7]
    if column == "volume":
        other["high"] = frame["high"].iloc[7] * 1.001
        other["volume"] = frame["volume"].iloc[7] * 0.5
    with pytest.raises(
        DataError,
        match=r"1 x two contradictory candles for the same time: line 62: 2021-03-01 07:00 UTC, column .*\(line 9 has",
    ):
        read(pd.concat([frame, other]))


def test_the_error_states_the_column_and_both_values(read):
    frame = market()
    other = row(frame, 7, close=frame["close"].iloc[7] + 0.07)
    shown = f"column close {frame['close'].iloc[7] + 0.07:g} \\(line 9 has {frame['close'].iloc[7]:g}\\)"
    with pytest.raises(DataError, match=shown):
        read(pd.concat([frame, other]))


def test_at_most_five_examples_are_shown(read):
    frame = market()
    with pytest.raises(DataError, match=r"60 x two contradictory candles") as caught:
        read(pd.concat([frame, frame * 1.02]))
    assert str(caught.value).count("UTC, column") == 5


def test_a_rounded_duplicate_may_have_the_previous_close_as_open(read):
    # The precise form opens with its first trade; the copy 0.15 lower, and so far lower reaches its low.
    frame = market().assign(close=lambda one: (one["close"] + 0.00125).round(5))
    opens = frame["open"].iloc[9]
    frame.iloc[9, [0, 2]] = [opens, opens]
    frame.iloc[9, 3] = np.round(opens + 0.30125, 5)
    near = row(frame, 9, open=opens - 0.15, low=opens - 0.15, close=np.round(opens + 0.30125, 2)).round(2)
    candles = read(pd.concat([near, frame]))
    check(candles, frame)
    assert kinds(candles)["rounded duplicate of another row"] == 1
    with pytest.raises(DataError, match="two contradictory candles"):
        read(pd.concat([near.assign(open=opens - 0.3, low=opens - 0.3), frame]))


def test_of_three_forms_of_a_candle_the_most_precise_is_kept(read):
    frame = market().assign(close=lambda one: (one["close"] + 0.00125).round(5))
    rounded = frame.iloc[[9]].round(2)
    rough = frame.iloc[[9]].round({"close": 2, "volume": 1})
    candles = read(pd.concat([rounded, frame, rough, frame.iloc[[9]]]))
    check(candles, frame)
    assert kinds(candles) == {
        "rows out of order": 2,
        "exact duplicate of another row": 1,
        "rounded duplicate of another row": 2,
    }


def test_equally_precise_rows_that_differ_are_no_rounded_duplicates(read):
    frame = market()
    with pytest.raises(DataError, match="two contradictory candles"):
        read(pd.concat([frame, row(frame, 9, close=frame["close"].iloc[9] + 0.01)]))


@pytest.mark.parametrize(("share", "agree"), [(0.995, True), (0.95, False)])
def test_a_rounded_duplicate_may_have_slightly_less_volume(read, share, agree):
    frame = market().assign(close=lambda one: (one["close"] + 0.00125).round(5))
    # With an open of its own, so that it cannot be taken for the candle's beginning.
    copy = row(frame, 9).round(2).assign(volume=lambda one: (one["volume"] * share).round(2))
    shown = pd.concat([frame, copy.assign(open=copy["open"] + 0.05)])
    if agree:
        check(read(shown), frame)
    else:
        with pytest.raises(DataError, match="two contradictory candles"):
            read(shown)


def test_the_row_order_does_not_affect_which_duplicate_is_kept(read):
    frame = market()
    whole = row(frame, 9)
    early = row(frame, 9, volume=1.0, high=whole["high"] - 0.2)
    later = row(frame, 9, volume=2.0, low=whole["low"] + 0.2)
    outcomes = set()
    for forms in permutations([whole, early, later]):
        try:
            outcomes.add(str(read(pd.concat([frame.drop(frame.index[9]), *forms])).frame.to_numpy().tolist()))
        except DataError:
            outcomes.add("refused")
    assert len(outcomes) == 1


MISPRINTS = {
    "low near zero": {"low": 0.01},
    "close in cents": {"open": 1.06, "high": 1.06, "low": 1.06, "close": 1.06},
    "ten times the price": {"high": 1000.0},
    "a digit lost": {"low": 10.0},
}


@pytest.mark.parametrize("name", MISPRINTS)
@pytest.mark.parametrize("at", [0, 1, 2, 6, 20, 57, 58, 59])
def test_spikes_are_detected_at_any_position(read, name, at):
    if name == "close in cents" and at < 6:
        pytest.skip("too few candles before it to know the price")
    frame = market()
    shown = frame.copy()
    for column, value in MISPRINTS[name].items():
        shown.iloc[at, shown.columns.get_loc(column)] = value
    candles = read(shown)
    check(candles, frame.drop(frame.index[at]))
    assert kinds(candles) == {"price spike": 1}


def test_a_first_candle_that_opens_at_four_times_the_price_is_a_spike(read):
    frame = market()
    shown = frame.copy()
    shown.iloc[0, :4] = [420.0, 420.0, 98.0, 99.5]
    check(read(shown), frame.iloc[1:])


def test_two_consecutive_spikes_are_both_detected(read):
    shown = market()
    shown.iloc[20, 2] = shown.iloc[21, 2] = 1.0
    assert kinds(read(shown)) == {"price spike": 2}


def test_two_candles_of_wrong_prices_do_not_confirm_each_other(read):
    frame = market()
    shown = frame.copy()
    shown.iloc[[20, 22], :4] = 1.06
    check(read(shown), frame.drop(frame.index[[20, 22]]))


@pytest.mark.parametrize(("fall", "kept"), [(0.25, True), (0.35, False)])
def test_in_a_calm_market_a_flash_crash_is_kept_and_a_spike_is_dropped(read, fall, kept):
    frame = market()
    # Ranges of a twentieth: what is usual here would call a fall of 1 % a misprint.
    frame[VALUES[:4]] = (100 + (frame[VALUES[:4]] - 100) / 20).round(4)
    shown = frame.copy()
    shown.iloc[30, 2] = round(frame["close"].iloc[29] * (1 - fall), 4)
    check(read(shown), shown if kept else frame.drop(frame.index[30]))


@pytest.mark.parametrize("drop", [0.2, 0.5, 0.9])
def test_a_crash_without_recovery_is_no_spike(read, drop):
    frame = market()
    fallen = frame.copy()
    fallen.iloc[30:, :4] = (fallen.iloc[30:, :4] * (1 - drop)).round(4)
    fallen.iloc[30, [0, 1]] = frame.iloc[30, [0, 1]]
    check(read(fallen), fallen)


def test_a_volatile_hour_that_recovers_is_no_spike(read):
    frame = market()
    frame.iloc[30, 2] = frame["close"].iloc[29] * 0.75
    check(read(frame), frame)


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("low", 0.0, "price of zero or below"), ("close", -3.0, "price of zero or below"),
        ("open", np.nan, "row without a price"), ("close", np.inf, "row without a price"),
        ("high", 50.0, "high and low do not enclose open and close"),
        ("volume", np.nan, "volume missing or below zero"), ("volume", -1.0, "volume missing or below zero"),
    ],
)  # fmt: skip
def test_an_error_states_line_column_and_value(read, column, value, kind):
    frame = market()
    frame.iloc[9, frame.columns.get_loc(column)] = value
    assert kinds(read(frame)) == {kind: 1}
    with pytest.raises(DataError, match=rf"1 x {kind}: line 11: 2021-03-01 09:00 UTC, {column} {value:g}"):
        read(frame, on_bad_rows="fail")


def flat(frame: pd.DataFrame, places: list[int]) -> pd.DataFrame:
    shown = frame.copy()
    for at in places:
        shown.iloc[at] = [shown["close"].iloc[at - 1]] * 4 + [0.0]
    return shown


def test_rare_empty_hours_are_outages_and_frequent_ones_an_illiquid_market(read):
    frame = market(100)
    rare = read(flat(frame, [40, 41, 42]))
    assert kinds(rare) == {"flat candle of volume 0": 3}
    assert [(one.after, one.candles) for one in rare.report.breaks] == [("2021-03-02 15:00", 3)]
    thin = flat(frame, list(range(5, 95, 3)))
    kept = read(thin)
    check(kept, thin)
    assert kinds(kept) == {"flat candle of volume 0, kept because many candles have no trades": 30}


def test_empty_minutes_are_dropped_and_treated_as_no_trade(read):
    candles = read(flat(market(100, freq="min"), list(range(5, 95, 3))))
    assert kinds(candles) == {"flat candle of volume 0": 30}
    assert (candles.report.missing_candles, candles.report.no_trade_candles) == (30, 30)
    assert candles.report.breaks == ()


def test_a_market_without_any_volume_keeps_its_flat_candles(read):
    frame = flat(market(), [30]).assign(volume=0.0)
    check(read(frame), frame)


def test_a_last_candle_with_very_low_volume_is_incomplete(read):
    frame = market()
    shown = frame.copy()
    shown.iloc[-1, 4] = 0.4 * frame["volume"].iloc[-25:-1].min()
    candles = read(shown)
    check(candles, frame.iloc[:-1])
    assert kinds(candles) == {"last candle with too little volume to be complete": 1}
    with pytest.raises(DataError, match=r"too little volume to be complete: line 61.*volume"):
        read(shown, on_bad_rows="fail")
    shown.iloc[-1, 4] = 0.6 * frame["volume"].iloc[-25:-1].min()
    check(read(shown), shown)
    minutes = market(freq="min")
    minutes.iloc[-1, 4] = 0.001
    check(read(minutes), minutes)


def test_now_may_be_naive_and_the_policy_applies_to_the_last_candle(read):
    frame = market()
    now = frame.index[-1].tz_localize(None) + pd.Timedelta(minutes=30)
    check(read(frame, now=now), frame.iloc[:-1])
    with pytest.raises(DataError, match="1 x incomplete last candle: line 61"):
        read(frame, now=now, on_bad_rows="fail")


@pytest.mark.parametrize("phase", ["0min", "30min"])
def test_candles_off_the_grid_are_dropped_or_rejected_by_policy(read, phase):
    frame = market()
    frame.index += pd.Timedelta(phase)
    index = frame.index.to_list()
    index[12] = index[12].floor("h") + pd.Timedelta("28min14s")
    shown = frame.set_axis(pd.DatetimeIndex(index, name="timestamp"))
    check(read(shown), frame.drop(frame.index[12]))
    with pytest.raises(DataError, match=r"1 x candle off the grid: line 14: 2021-03-01 12:28 UTC"):
        read(shown, on_bad_rows="fail")


FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %I-%p", "%d/%m/%Y %H:%M", "%m/%d/%y %I:%M:%S %p", "s", "ms", "us", "mixed")


def times_of(frame: pd.DataFrame, form: str) -> list[str]:
    if "%" in form:
        return list(frame.index.strftime(form))
    factors = {"s": [1], "ms": [1000], "us": [10**6], "mixed": [1, 1000, 10**6]}[form]
    return [str(int(stamp.timestamp()) * factors[at % len(factors)]) for at, stamp in enumerate(frame.index)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(FORMS),
    seed=st.integers(0, 2**31),
    copies=st.integers(0, 12),
    rounded=st.integers(0, 12),
    missing=st.integers(0, 15),
    bad=st.sets(st.integers(1, 55), max_size=4),
    ending=st.sampled_from(["csv", "parquet"]),
)
def test_the_candles_do_not_depend_on_row_order_duplicates_or_time_format(
    tmp_path, form, seed, copies, rounded, missing, bad, ending
):
    rng = np.random.default_rng(seed)
    frame = market().assign(close=lambda one: one["close"] + 0.00125, volume=lambda one: one["volume"] + 0.0001)
    frame = frame.assign(high=frame["high"] + 0.01).round(5)
    # The first and the last candle and a stretch of steps stay: they carry the interval.
    gone = rng.choice(np.arange(10, 50), missing, replace=False)
    frame = frame.drop(frame.index[gone])
    torn = frame.iloc[sorted(at for at in bad if at < len(frame) - 1)].assign(low=0.0)
    good = frame.drop(torn.index)
    pool = good.iloc[rng.integers(0, len(good), copies)]
    coarse = good.iloc[rng.choice(len(good), rounded, replace=False)].round(2)
    shown = pd.concat([good, torn, pool, coarse])
    shown = shown.iloc[rng.permutation(len(shown))]
    table = shown.reset_index(drop=True)
    table.insert(0, "timestamp", times_of(shown, form))
    path = tmp_path / f"x.{ending}"
    table.to_csv(path, index=False, float_format="%.12g") if ending == "csv" else table.to_parquet(path)
    candles = read_candles(path)
    check(candles, good)
    report = candles.report
    dropped = {one.kind: one.count for one in report.findings if one.action == "dropped"}
    assert report.rows_read == len(shown) == report.candles + sum(dropped.values())
    assert dropped.get("exact duplicate of another row", 0) == copies
    assert dropped.get("rounded duplicate of another row", 0) == rounded
    assert dropped.get("price of zero or below", 0) == len(torn)
    assert all(len(one.examples) == min(5, one.count) for one in report.findings)
    whole = int((good.index[-1] - good.index[0]) / pd.Timedelta(hours=1)) + 1
    assert report.missing_candles == whole - len(good) == sum(gap.candles for gap in report.breaks)
    assert QualityReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert len(report.summary()) == 1 + bool(report.missing_candles) + len(report.findings)


def test_swapped_columns_are_an_error_and_not_invalid_rows(read):
    frame = market()
    wrong = frame.rename(columns={"high": "close", "close": "low", "low": "high"})
    with pytest.raises(DataError, match=r"in \d\d of 60 rows high and low do not enclose.*columns in their order"):
        read(wrong)
    few = frame.assign(high=frame["high"].where(np.arange(60) >= 12, 1.0))
    assert kinds(read(few)) == {"high and low do not enclose open and close": 12}


@pytest.mark.parametrize(("freq", "asked"), [("5min", None), ("15min", "15m"), ("3h", None), ("D", "1h")])
@pytest.mark.parametrize("rows", [25, 100])
def test_candles_of_two_intervals_are_rejected(read, freq, asked, rows):
    hours = market(120)
    other = market(rows, freq=freq)
    other.index = other.index + pd.Timedelta(days=40)
    with pytest.raises(
        DataError, match=r"contains candles of \w+ and of \w+, such as the \d+ from line \d+ \(2021.*spli"
    ):
        read(pd.concat([hours, other]), interval=asked)


def test_gaps_of_equal_length_are_not_another_interval(read):
    frame = market(24 * 40)
    weekdays = frame[(frame.index.dayofweek < 5) & (frame.index.hour < 20)]
    check(read(weekdays), weekdays)
    thin = frame.iloc[np.r_[0:200, 200:240:2, 240:960]]
    check(read(thin), thin)


@pytest.mark.parametrize("stray", ["1971-01-01", "2009-01-01 13:00"])
def test_a_time_far_from_all_others_is_reported(read, stray):
    frame = market()
    far = frame.set_axis(frame.index[:30].union(frame.index[30:]).delete(0).insert(0, pd.Timestamp(stray, tz="UTC")))
    with pytest.raises(DataError, match=rf"60 candles, but .* between line 2 \({stray[:10]}.* and line 3 \(2021-03"):
        read(far)


def test_several_candles_in_the_future_are_reported_as_a_clock_or_time_zone_error(tmp_path):
    """Only one candle can be incomplete, so the file is in a local time ahead of UTC, or the clock is behind."""
    path = tmp_path / "btc.csv"
    times = pd.date_range("2024-01-01", periods=60, freq="1h")
    pd.DataFrame({"timestamp": times, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 9.0}).to_csv(
        path, index=False
    )
    found = read_candles(path, now=pd.Timestamp("2024-01-03 06:30", tz="UTC"))
    assert [(one.kind, one.count) for one in found.report.findings if "clock" in one.kind] == [
        ("candle later than this machine's clock (the clock is behind, or the times are not UTC)", 6)
    ]
