"""A feature, data source, file format or doctor check needs no change outside the files that CONTRIBUTING.md names."""

from __future__ import annotations

import csv
from pathlib import Path

from cryptoml.features.library import FEATURES
from cryptoml.features.pipeline import FeaturePipeline
from tests.extending.conftest import Copy

SHORT_TRAINING = (
    "--models", "ridge", "--set", "split.cross_validation_folds=2", "--set", "tracking.profile_report=false",
    "--set", "registry.register_best=false", "--json",
)  # fmt: skip


def sample(copy: Copy) -> Path:
    done = copy.run("sample-data", "--years", 0.2, "--signal", 0.2, "--seed", 3, "-o", "data/raw/sim.csv")
    assert done.code == 0, done.err
    return copy.folder / "data" / "raw" / "sim.csv"


FEATURE = '''
def volume_slope(bars: Bars, window: int) -> Array:
    """Log of 1 plus the volume minus the same `window` candles earlier, relative to both."""
    earlier = lagged(bars.volume, window)
    both = bars.volume + earlier
    silent = both <= 0
    return np.where(silent, 0.0, (bars.volume - earlier) / np.where(silent, 1.0, both))
'''


def test_a_feature_is_a_function_and_an_entry(copy):
    copy.add_lines("features/volume.py", FEATURE)
    entry = 'FeatureSpec("volume_slope", "lag", volume.volume_slope, 1),\n        '
    copy.add_lines("features/library.py", entry, before='FeatureSpec("rsi", "fixed"')
    assert copy.changed_files() == {"features/volume.py", "features/library.py"}

    pipeline = FeaturePipeline()
    columns = len(pipeline.feature_names) + len(pipeline.lag_windows)
    trained = copy.run("train", "--data", sample(copy), *SHORT_TRAINING)
    assert trained.code == 0, trained.err
    assert f"with {columns} features" in trained.err
    assert " passed" in copy.run_tests("tests/unit/features/test_library.py", "volume_slope")
    assert "volume_slope" not in FEATURES


SOURCE = '''
"""A price that goes up and down by the hour, for tests."""

from dataclasses import dataclass

from cryptoml import events
from cryptoml.data.exchange.source import Candle, SourceSpec, Timeframe
from cryptoml.data.interval import parse_interval
from cryptoml.errors import UsageError

HOUR_MS = 3_600_000
NOW_MS = 1_577_836_800_000  # 2020-01-01


@dataclass(frozen=True)
class Wave:
    page_candles: int = 100

    def now_ms(self) -> int:
        return NOW_MS

    def symbol(self, text: str) -> str:
        if text != "WAVE/USD":
            raise UsageError(f"wave has no market {text!r}.", hint="use WAVE/USD")
        return text

    def timeframe(self, text: str) -> Timeframe:
        return Timeframe("1h", parse_interval("1h"))

    def page(self, symbol: str, timeframe: Timeframe, *, since_ms: int) -> list[Candle]:
        first = -(-since_ms // HOUR_MS)
        opens = [hour * HOUR_MS for hour in range(first, first + self.page_candles) if hour * HOUR_MS < NOW_MS]
        return [(at, 100.0, 102.0, 99.0, 100.0 + at // HOUR_MS % 2, 5.0) for at in opens]

    def newest_ms(self, symbol: str, timeframe: Timeframe) -> int | None:
        return NOW_MS - HOUR_MS


def open_wave(*, url: str | None, on_event: events.OnEvent) -> Wave:
    return Wave()


WAVE = SourceSpec("wave", "A made-up price", open_wave)
'''


def test_a_data_source_is_a_file_and_an_entry(copy):
    copy.add_file("data/exchange/wave.py", SOURCE)
    copy.add_lines("data/exchange/sources.py", "WAVE,\n        ", before='ccxt_source("binance"')
    copy.add_lines(
        "data/exchange/sources.py",
        "from cryptoml.data.exchange.wave import WAVE\n",
        before="from cryptoml.errors import UsageError",
    )
    assert copy.changed_files() == {"data/exchange/wave.py", "data/exchange/sources.py"}

    assert "wave" in copy.run("extract-data", "--help").out
    market = ("--exchange", "wave", "--symbol", "WAVE/USD", "--interval", "1h")
    first = copy.run("extract-data", *market, "--since", "2019-12-01", "--until", "2019-12-20")
    assert first.code == 0, first.err
    again = copy.run("extract-data", *market)
    assert again.code == 0, again.err
    path = copy.folder / "data" / "raw" / "WAVEUSD_1h.csv"
    assert again.out.splitlines() == [str(path)]
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 31 * 24
    assert {row["symbol"] for row in rows} == {"WAVEUSD"}
    assert "use WAVE/USD" in copy.run("extract-data", "--exchange", "wave", "--symbol", "BTC/USDT").err


FORMAT = '''
"""Candles as blocks of six lines, for tests."""

from pathlib import Path

from cryptoml.data.reading.table import Columns, Table, to_table

NAMES = ("timestamp", "open", "high", "low", "close", "volume")


def read_blocks(path: Path, data: bytes, columns: Columns) -> Table:
    import pandas as pd

    lines = data.decode().splitlines()[1:]
    rows = [lines[at : at + 6] for at in range(0, len(lines), 6)]
    frame = pd.DataFrame(rows, columns=list(NAMES))
    return to_table(path, frame.astype({name: float for name in NAMES[1:]}), columns)
'''


def test_a_file_format_is_a_file_and_an_entry(copy):
    copy.add_file("data/reading/blocks_file.py", FORMAT)
    entry = 'FormatSpec("Blocks", (".blocks",), read_blocks, starts=(b"BLOCKS",)),\n    '
    copy.add_lines("data/reading/formats.py", entry, before='FormatSpec("Parquet"')
    copy.add_lines(
        "data/reading/formats.py",
        "from cryptoml.data.reading.blocks_file import read_blocks\n",
        before="from cryptoml.data.reading.columnar_files import",
    )
    assert copy.changed_files() == {"data/reading/blocks_file.py", "data/reading/formats.py"}

    source = sample(copy)
    rows = list(csv.reader(source.open()))[1:]
    path = source.with_name("SIM_1h.blocks")
    path.write_text("BLOCKS\n" + "".join("\n".join(row[:6]) + "\n" for row in rows))
    for file in source.parent.glob("sim.*"):
        file.unlink()
    found = copy.run("doctor", "data", "--json")
    assert f"SIM_1h.blocks: {len(rows):,} candles of SIM 1h" in found.out
    trained = copy.run("train", *SHORT_TRAINING)
    assert trained.code == 0, trained.err
    assert "SIM_1h.blocks" in trained.err


CHECK = '''
@check("answer", needs=("settings",))
def answer(context: Context) -> Iterator[Finding]:
    """The answer is written in the project."""
    path = context.folder / "answer.txt"
    if path.is_file():
        yield ok(f"the answer is {path.read_text()}")
    else:
        yield error("there is no answer", "echo 42 > answer.txt")
'''


def test_a_doctor_check_is_a_function(copy):
    copy.add_lines("doctor/checks_local.py", CHECK)
    assert copy.changed_files() == {"doctor/checks_local.py"}

    lines = copy.run("doctor", "--list").out.splitlines()
    assert [line for line in lines if line.startswith("answer ")] == [
        f"{'answer':20} The answer is written in the project."
    ]
    failed = copy.run("doctor", "answer", "--json")
    assert failed.code == 6
    assert failed.json()["findings"][-1]["hint"] == "echo 42 > answer.txt"
    (copy.folder / "answer.txt").write_text("42")
    passed = copy.run("doctor", "answer")
    assert (passed.code, "the answer is 42" in passed.out) == (0, True)
