"""`cryptoml inspect` and the options that say how a file is read; every hint leads on when it is pasted."""

from __future__ import annotations

import re
import shlex

import pandas as pd
import pytest

from tests.conftest import Project, make_project
from tests.unit.data.reading.test_exports import LAYOUTS, lines, market


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return make_project(tmp_path_factory.mktemp("inspect"))


def write(project: Project, name: str, content: str) -> str:
    (project.folder / name).write_text(content)
    return name


def test_what_is_read_is_shown(project: Project):
    frame = market().drop(market().index[30:33])
    name = write(project, "XBTUSD_60.csv", lines(frame, LAYOUTS["Kraken dump"][1]))
    done = project.run("inspect", name)
    assert done.code == 0, done.err
    for part in (
        "format: CSV", "epoch = timestamp, volume = volume", "epochs in seconds in column timestamp", "symbol: XBTUSD",
        "interval: 1h", "candles: 57 of 57 rows, 2024-03-01 00:00 to 2024-03-03 11:00 UTC",
        "missing: 3 candles, 0 treated as no trade; longest gaps: 3 after 2024-03-02 05:00", "no header: the columns",
        "rows for training: 0 of 57",
    ):  # fmt: skip
        assert part in done.out, done.out
    result = project.run("inspect", name, "--json").json()
    assert result["readable"] is True
    assert result["gaps"] == [{"after": "2024-03-02 05:00", "candles": 3}]
    assert {"role": "volume", "name": "volume"} in result["columns"]


def test_gaps_cost_the_rows_that_training_does_not_use(project: Project):
    project.run("sample-data", "--years", 0.3, "--seed", 1, "-o", "gaps.csv")
    rows = (project.folder / "gaps.csv").read_text().splitlines(keepends=True)
    write(project, "gaps.csv", "".join(rows[:800] + rows[802:1600] + rows[1610:]))
    found = project.run("inspect", "gaps.csv", "--json").json()
    trained = project.run("train", "--data", "gaps.csv", "--models", "ridge", "--set", "gate.min_skill=-1")
    assert f"{found['training_rows']:,} rows with" in trained.err, trained.err
    assert f"2 gaps cost {found['lost_rows']['gaps']:,} of {found['candles']:,} rows" in trained.err
    lost = sum(found["lost_rows"].values())
    assert found["training_rows"] + lost == found["candles"]
    hint = re.search(r"--set (data\.max_no_trade_candles=\d)", trained.err)
    assert hint
    filled = project.run("inspect", "gaps.csv", "--set", hint[1], "--json").json()
    assert filled["training_rows"] > found["training_rows"]


def test_a_file_that_cannot_be_read_shows_what_was_found(project: Project):
    frame = market()
    both = [
        lines(part, lambda t, *v, n=n: f"{t},{n},{','.join(map(str, v))}") for part, n in ((frame, "A"), (frame, "B"))
    ]
    name = write(project, "two.csv", "Date,Asset,open,high,low,close,volume\n" + "".join(both))
    done = project.run("inspect", name, "--json")
    assert done.code == 4
    result = done.json()
    assert (result["readable"], result["symbols"], result["candles"]) == (False, ["A", "B"], None)
    assert "column Asset contains 2 symbols (A, B)" in done.envelope()["error"]["message"]
    assert project.run("inspect", name, "--symbol", "B").code == 0
    assert project.run("inspect", "none.csv").code == 4


def test_training_of_a_file_with_several_markets_trains_each(project: Project):
    parts = []
    for seed, symbol in enumerate(("AAAUSDT", "BBBUSDT"), start=1):
        made = ("--years", 0.3, "--signal", 0.1, "--seed", seed, "--symbol", symbol)
        assert project.run("sample-data", *made, "-o", f"{symbol}.csv").code == 0
        parts.append(pd.read_csv(project.folder / f"{symbol}.csv"))
    pd.concat(parts).to_csv(project.folder / "stacked.csv", index=False)
    quick = ("--models", "ridge", "--set", "gate.min_skill=-1", "--set", "split.cross_validation_folds=2")
    done = project.run("train", "--data", "stacked.csv", *quick, "--json")
    assert done.code == 0, done.err
    trainings = [market["training"] for market in done.json()["markets"]]
    assert [one["model_name"][-10:] for one in trainings] == ["aaausdt-1h", "bbbusdt-1h"]
    alone = project.run("train", "--data", "stacked.csv", "--symbol", "BBBUSDT", *quick, "--no-cache", "--json").json()
    assert alone["best"]["test_rmse"] == trainings[1]["best"]["test_rmse"]
    pooled = project.run("train", "--pool", "--data", "stacked.csv", *quick, "--json")
    assert [market["symbol"] for market in pooled.json()["markets"]] == ["AAAUSDT", "BBBUSDT"]


LOCAL = market()
LOCAL.index = pd.date_range("2024-11-02 14:00", periods=len(LOCAL), freq="h", tz="UTC", name="timestamp")
HINTS = {
    "several symbols": (
        "Date,Ticker,open,high,low,close,volume\n"
        + lines(market(), lambda t, *v: f"{t},X,{','.join(map(str, v))}")
        + lines(market(level=50.0), lambda t, *v: f"{t},Y,{','.join(map(str, v))}"),
        0, "",
    ),
    "local time": (
        "timestamp,open,high,low,close,volume\n"
        + lines(LOCAL, lambda t, *v: f"{t.tz_convert('America/New_York'):%Y-%m-%d %H:%M},{','.join(map(str, v))}"),
        0, "",
    ),
    "unusual order": (
        lines(market(), lambda t, o, h, low, c, v: f"{t.value // 10**9},{c},{low},{o},{h},{v},5"),
        4, "seem to be in another order",
    ),
    "wrong symbol": (
        "time,symbol,open,high,low,close\n" + lines(market(), lambda t, o, h, low, c, v: f"{t},AB,{o},{h},{low},{c}"),
        0, "--symbol OTHER",
    ),
    "wrong interval": (
        "time,open,high,low,close\n" + lines(market(), lambda t, o, h, low, c, v: f"{t},{o},{h},{low},{c}"),
        0, "--interval 15m",
    ),
    "wrong width": (
        "time,open,high,low,close,volume,more\n" + lines(market(), lambda t, *v: f"{t},{','.join(map(str, v))},1"),
        0, "--columns timestamp,open,high",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HINTS)
def test_hints_lead_to_a_reading_or_to_another_message(name: str, project: Project):
    content, code, given = HINTS[name]
    file = write(project, "hint.csv", content)
    options = shlex.split(given) if given.startswith("--") else []
    refused = project.run("inspect", file, *options, "--json")
    assert refused.code == 4, refused.out
    hint = refused.envelope()["error"]["hint"]
    found = re.search(r"(--(?:symbol|timezone|columns|interval) [\w/-]+(?:,[\w/-]+)*)", hint)
    assert found, hint
    again = project.run("inspect", file, *shlex.split(found[1]), "--json")
    assert again.code == code, again.out
    if code:
        message = again.envelope()["error"]["message"]
        assert message != refused.envelope()["error"]["message"]
        assert given in message


def test_a_short_file_is_refused_with_the_number_of_candles_that_are_needed(project: Project):
    project.run("sample-data", "--years", 0.3, "--seed", 2, "-o", "long.csv")
    rows = (project.folder / "long.csv").read_text().splitlines(keepends=True)
    short = write(project, "short.csv", "".join(rows[:151]))
    quick = ("--models", "ridge", "--set", "gate.min_skill=-1")
    done = project.run("train", "--data", short, *quick)
    assert done.code == 4
    needed = re.search(r"has 150 candles; these features and 5 folds need at least ([\d,]+)", done.err)
    assert needed, done.err
    n = int(needed[1].replace(",", ""))
    assert project.run("train", "--data", write(project, "enough.csv", "".join(rows[: n + 1])), *quick).code in (0, 6)
    below = project.run("train", "--data", write(project, "below.csv", "".join(rows[:n])), *quick)
    assert below.code == 4
    option = re.search(r"--set (split\.cross_validation_folds=\d)", below.err)
    assert option, below.err
    assert project.run("train", "--data", "below.csv", *quick, "--set", option[1]).code in (0, 6)


def test_the_options_are_remembered_in_the_run_and_the_processed_file(project: Project):
    frame = market().drop(columns="volume")
    shown = lines(
        frame, lambda t, *v: f"{t.tz_convert('Asia/Tokyo'):%Y-%m-%d %H:%M},{','.join(map(str, v))}", "a,b,c,d,e"
    )
    file = write(project, "odd.csv", shown)
    options = ("--columns", "timestamp,open,high,low,close", "--symbol", "ABC/USD", "--timezone", "Asia/Tokyo")
    made = project.run("transform-data", file, *options, "--json")
    assert made.code == 0, made.err
    result = made.json()
    assert (result["symbol"], result["first"]) == ("ABCUSD", "2024-03-01 00:00")
    again = project.run("inspect", result["path"], "--json").json()
    assert (again["symbols"], again["candles"]) == (["ABCUSD"], 60)
