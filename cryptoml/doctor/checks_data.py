"""Checks of the data: present, readable, recent, identical to the pinned version, and pushed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptoml.data.project_files import find_data
from cryptoml.doctor.context import Context
from cryptoml.doctor.findings import Finding, check, error, ok, warning
from cryptoml.errors import CryptomlError, DataError, UsageError
from cryptoml.remotes.dvc import probe as dvc_probe
from cryptoml.remotes.dvc import project as dvc_project
from cryptoml.remotes.dvc.cache import matches, open_cache
from cryptoml.remotes.dvc.pins import Pin, pins_at
from cryptoml.remotes.dvc.project import DvcRemote
from cryptoml.system.plurals import counted

STALE_INTERVALS = 48
# Larger files, and files after this number, take too long to check.
MOST_BYTES, MOST_PINS = 50_000_000, 200


@check("data")
def data(context: Context) -> Iterator[Finding]:
    """A data file for training exists and is readable."""
    try:
        path = find_data(context.folder)
    except UsageError as failure:
        yield warning(failure.fact.rstrip("."), "cryptoml pull-data, or cryptoml sample-data -o data/raw/sim.csv")
        return
    if path.stat().st_size > MOST_BYTES:
        yield ok(f"{path.relative_to(context.folder)} exists; too large to be checked")
        return
    yield from _read(context, path)


def _read(context: Context, path: Path) -> Iterator[Finding]:
    import pandas as pd

    from cryptoml.data.candles import read_candles
    from cryptoml.data.processed import is_processed, read_processed

    try:
        candles = read_processed(path) if is_processed(path) else read_candles(path)
    except CryptomlError as failure:
        yield error(failure.fact.rstrip("."), failure.hint)
        return
    name, last = path.relative_to(context.folder), candles.frame.index[-1]
    market = f"{candles.symbol} {candles.interval.label}"
    yield ok(f"{name}: {len(candles.frame):,} candles of {market}, until {last:%Y-%m-%d %H:%M} UTC")
    age = (pd.Timestamp.now(tz="UTC") - last).total_seconds() / candles.interval.seconds
    if age > STALE_INTERVALS:
        yield warning(
            f"{name}: the latest candle is {age:,.0f} intervals old: sufficient for training, too old for a forecast",
            "cryptoml extract-data",
        )


@check("data-versions")
def data_versions(context: Context) -> Iterator[Finding]:
    """Pinned data files exist and are unchanged."""
    pinned = [pin for pin in pins_at(context.folder) if pin.md5 and pin.cached]
    if not pinned:
        yield ok("no data file is pinned by DVC")
        return
    cache = open_cache(context.folder)
    lists = [pin for pin in pinned if pin.is_folder and not cache.has(pin)]
    pins = [file for pin in pinned if pin not in lists for file in cache.expand(pin)][:MOST_PINS]
    absent = [pin for pin in [*pins, *lists] if not (context.folder / pin.path).is_file()]
    changed = [
        pin
        for pin in pins
        if pin not in absent
        and (context.folder / pin.path).stat().st_size <= 4 * MOST_BYTES
        and not matches(context.folder, pin)
    ]
    if absent:
        yield warning(f"{counted(len(absent), 'pinned file')} not here, such as {absent[0].path}", "cryptoml pull-data")
    if changed:
        yield warning(
            f"{counted(len(changed), 'pinned file')} changed here, such as {changed[0].path}",
            "cryptoml push-data --commit",
        )
    added = [] if changed else _added(context.folder, [pin for pin in pinned if pin not in lists], pins)
    if added:
        yield warning(
            f"{counted(len(added), 'file')} in pinned folders without a version, such as {added[0]}",
            "cryptoml push-data --commit",
        )
    if not absent and not changed and not added:
        yield ok(f"{counted(len(pins), 'pinned file')} here, unchanged")


def _added(folder: Path, pinned: list[Pin], files: list[Pin]) -> list[Path]:
    """Return the files in pinned folders that are not part of a version; empty if there are too many to check."""
    if len(files) >= MOST_PINS:
        return []
    known = {pin.path for pin in files}
    there = [path for pin in pinned if pin.is_folder for path in sorted((folder / pin.path).rglob("*"))]
    names = [path.relative_to(folder) for path in there if path.is_file() and not path.name.startswith(".")]
    return [name for name in names if name not in known]


@check("data-pushed", needs=("dvc-access", "data-versions"), network=True)
def data_pushed(context: Context) -> Iterator[Finding]:
    """Pinned data files are on the remote."""
    pins = [pin for pin in pins_at(context.folder) if pin.not_on_remote is None]
    if not pins:
        yield ok("no data file is pinned by DVC")
        return
    for pin in pins[:5]:
        try:
            dvc_probe.probe(context.folder, _remote_of(context, pin), pin, timeout_s=context.timeout_s)
        except DataError as failure:
            yield error(
                f'{failure.fact.rstrip(".")}; dvc pull would only report "is your cache up to date?"', failure.hint
            )
            return
    yield ok(f"the remote has {'all' if len(pins) <= 5 else 'the first 5 of'} {counted(len(pins), 'pinned file')}")


def _remote_of(context: Context, pin: Pin) -> DvcRemote:
    if pin.remote:
        remote = dvc_project.named_remote(context.folder, pin.remote, needed_by=str(pin.source))
    else:
        remote = dvc_project.default_remote(context.folder)
    return dvc_probe.with_credentials(remote, context.settings) if context.settings else remote
