"""Run names: `{long name}_{date}_{number}`, each number given once, however many processes ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from cryptoml.system.files import locked, translate_os_errors, write_atomically


def run_name(long_name: str, day: date, number: int) -> str:
    """The name of a run, e.g. random_forest_2024-11-27_001."""
    return f"{long_name}_{day:%Y-%m-%d}_{number:03d}"


def split_run_name(name: str) -> tuple[str, date] | None:
    """The model's long name and the day in a run's name; None where it has another form."""
    found = re.fullmatch(r"(\w+)_(\d{4}-\d{2}-\d{2})_\d{3,}", name)
    try:
        return (found[1], date.fromisoformat(found[2])) if found else None
    except ValueError:
        return None


def highest_number(names: Iterable[str], long_name: str, day: date) -> int:
    """The highest number among run names of that model and day; 0 when there is none."""
    form = re.compile(rf"{re.escape(long_name)}_{day:%Y-%m-%d}_(\d{{3,}})")
    found = (form.fullmatch(name) for name in names)
    return max((int(match[1]) for match in found if match), default=0)


def reserve_run_number(folder: Path, day: date, long_name: str, *, used: int = 0) -> int:
    """The next free number, above `used` (what a store already has) and above all given out before.

    The last numbers are kept in `folder`/run_numbers.json, under a file lock.
    """
    key = f"{long_name}_{day:%Y-%m-%d}"
    path = folder / "run_numbers.json"
    with translate_os_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "run_numbers.lock"):
            last = _read(path)
            number = max(last.get(key, 0), used) + 1
            write_atomically(path, json.dumps({**last, key: number}, indent=0, sort_keys=True) + "\n")
    return number


def _read(path: Path) -> dict[str, int]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        # Numbers are for people; a damaged file costs a name given twice, never a run.
        return {}
    entries = document.items() if isinstance(document, dict) else ()
    return {key: value for key, value in entries if isinstance(value, int)}
