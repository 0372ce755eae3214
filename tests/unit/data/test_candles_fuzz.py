"""Mutated files are read or refused with a message: no other exception, and where pandas agrees, the same numbers.

`make fuzz` runs FUZZ_CASES of them, 20,000 by default; the short form is part of the tests.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryptoml.data.candles import read_candles
from cryptoml.errors import DataError
from tests.unit.data.reading.test_exports import DOCUMENTS, INVESTING, LATER, LAYOUTS, lines, market

CASES = int(os.environ.get("FUZZ_CASES", "600"))
FRAME = market()
TOKENS = [
    ",", ";", "\t", "\n", '"', "'", "-", ".", "0", "9", "NaN", "null", "1e400", "-1", "$", "€", "K", "%", " ", "\u00a0",
    "1,234", "1.234,5", "2024-13-45", "12:61", "\x00", "{", "}", "[", "]", "日", "<", "open", "close", "time", "\r",
]  # fmt: skip


def plain_csv() -> bytes:
    return FRAME.reset_index().to_csv(index=False).encode()


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", plain_csv())
    return packed.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    FRAME.to_parquet(file)
    return file.getvalue()


SEEDS: dict[str, Callable[[], bytes]] = {
    "plain.csv": plain_csv,
    "packed.csv.gz": lambda: gzip.compress(plain_csv()),
    "packed.zip": zipped,
    "x.parquet": parquet,
    "utf16.csv": lambda: plain_csv().decode().encode("utf-16"),
    **{
        f"layout-{number}.csv": lambda header=header, row=row: lines(FRAME, row, header).encode()
        for number, (header, row) in enumerate(LAYOUTS.values())
    },
    **{
        f"document-{number}.json": lambda make=make: json.dumps(make(FRAME)).encode()
        for number, make in enumerate(DOCUMENTS.values())
    },
    **{
        f"investing-{language}.csv": lambda header=header: f"{header}\n1,2,3,4,5,6,7\n2,3,4,5,6,7,8\n".encode()
        for language, (header, _, _) in INVESTING.items()
    },
}


def mutated(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            data = data[:at] + rng.choice(TOKENS).encode() + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + rng.randrange(1, 9) :]
        elif kind == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif kind == 3:
            data = data[:at]
        else:
            rows = data.split(b"\n")
            first, second = rng.randrange(len(rows)), rng.randrange(len(rows))
            if kind == 4:
                rows[first], rows[second] = rows[second], rows[first]
            elif kind == 5:
                rows.insert(first, rows[second])
            else:
                del rows[first]
            data = b"\n".join(rows)
    return data


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_mutated_files_are_read_or_refused_with_a_message(part: int, tmp_path: Path):
    rng = random.Random(part)
    seeds = {name: make() for name, make in SEEDS.items()}
    accepted, without_hint = 0, list[str]()
    for number in range(CASES // 4):
        name = rng.choice(list(seeds))
        data = mutated(seeds[name], rng)
        file = tmp_path / name
        file.write_bytes(data)
        try:
            candles = read_candles(file, now=LATER)
        except DataError as error:
            without_hint += [error.fact] if not error.hint else []
            continue
        except Exception as error:
            kept = Path(os.environ.get("FUZZ_KEEP", str(tmp_path))) / f"{part}-{number}-{name}"
            kept.write_bytes(data)
            raise AssertionError(f"{kept}: {type(error).__name__}: {error}") from error
        accepted += 1
        frame = candles.frame
        assert np.isfinite(frame.to_numpy()).all()
        assert frame.index.is_monotonic_increasing
        assert frame.index.is_unique
        assert (frame[["open", "high", "low", "close"]] > 0).all().all()
        if name == "plain.csv":
            same_as_pandas(data, frame)
    assert not without_hint
    assert accepted > CASES // 40


def same_as_pandas(data: bytes, frame: pd.DataFrame) -> None:
    """Where pandas reads numbers and dates under the usual names, values at the same times are the same."""
    try:
        table = pd.read_csv(io.BytesIO(data))
        index = pd.DatetimeIndex(pd.to_datetime(table["timestamp"], utc=True))
        values = table.set_index(index)[list(frame.columns)].astype(float)
    except (ValueError, KeyError, TypeError):
        return
    values = values[~values.index.duplicated(keep=False)]
    common = values.index.intersection(frame.index)
    assert len(common) >= 0.9 * len(frame)
    np.testing.assert_array_equal(values.loc[common].to_numpy(), frame.loc[common].to_numpy())
