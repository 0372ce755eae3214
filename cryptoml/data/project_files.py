"""The candle files of a project: the default file, and reading a file with the options of the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptoml.config.schema import Config
from cryptoml.data.reading.formats import ENDINGS
from cryptoml.errors import UsageError

if TYPE_CHECKING:
    from cryptoml.data.candles import Candles

NOT_CANDLES = (".truth.", ".quality.")


def read_any(path: Path, config: Config) -> Candles:
    """Read candles from a raw or a processed file."""
    from cryptoml.data.candles import read_candles
    from cryptoml.data.processed import is_processed, read_processed
    from cryptoml.data.reading.tables import require_file

    require_file(path)
    if path.is_file() and is_processed(path):
        return read_processed(path, symbol=config.data.symbol, interval=config.data.interval)
    return read_candles(
        path,
        symbol=config.data.symbol,
        interval=config.data.interval,
        columns=column_names(config.data.columns),
        sheet=config.data.sheet,
        timezone=config.data.timezone,
        on_bad_rows=config.data.on_bad_rows,
        max_no_trade_candles=config.data.max_no_trade_candles,
    )


def column_names(given: Sequence[str] | None) -> Mapping[str, str] | Sequence[str] | None:
    """Return the columns of `data.columns`: a mapping from role to name if all are written as ROLE=NAME."""
    if given and all("=" in name for name in given):
        return dict(name.split("=", 1) for name in given)
    return given


def data_folders(project: Path) -> list[Path]:
    """Return the folders of candle files that exist: processed files first, then raw ones."""
    folders = (project / "data" / "processed", project / "data" / "raw", project / "data")
    return [folder for folder in folders if folder.is_dir()]


def candle_files(folder: Path) -> list[Path]:
    """Return the files of a folder that have the ending of a candle file, sorted by name."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file()
        and file.name.endswith(ENDINGS)
        and not file.name.startswith(".")
        and not any(mark in file.name for mark in NOT_CANDLES)
    )


def find_data(project: Path) -> Path:
    """Return the default data file: the latest processed file, else the latest raw one.

    Raises UsageError if there is none.
    """
    for folder in data_folders(project):
        files = candle_files(folder)
        if files:
            return max(files, key=lambda file: (file.stat().st_mtime, file.name))
    raise UsageError(
        f"{project / 'data'}: no data file found.",
        hint="name one with --data, or create one with cryptoml sample-data -o data/raw/sim.csv",
    )
