"""Run names: `{long name}_{date}_{number}`; each number is assigned once, across processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from cryptoml.system.files import locked, translate_os_errors, write_atomically


def run_name(long_name: str, day: date, number: int) -> str:
    """Return the name of a run, e.g. random_forest_2024-11-27_001."""
    return f"{long_name}_{day:%Y-%m-%d}_{number:03d}"


def split_run_name(name: str) -> tuple[str, date] | None:
    """Return the model's long name and the day in a run name; None if the name has another format."""
    match = re.fullmatch(r"(\w+)_(\d{4}-\d{2}-\d{2})_\d{3,}", name)
    try:
        return (match[1], date.fromisoformat(match[2])) if match else None
    except ValueError:
        return None


def highest_number(names: Iterable[str], long_name: str, day: date) -> int:
    """Return the highest number among run names of that model and day; 0 if there is none."""
    pattern = re.compile(rf"{re.escape(long_name)}_{day:%Y-%m-%d}_(\d{{3,}})")
    matches = (pattern.fullmatch(name) for name in names)
    return max((int(match[1]) for match in matches if match), default=0)


def reserve_run_number(folder: Path, day: date, long_name: str, *, used: int = 0) -> int:
    """Return the next free number: above `used` (the highest in the store) and above all numbers assigned before.

    The last numbers are stored in `folder`/run_numbers.json, guarded by a file lock.
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
        # Run names need not be unique: a damaged file can cause a duplicate name, but no run is lost.
        return {}
    entries = document.items() if isinstance(document, dict) else ()
    return {key: value for key, value in entries if isinstance(value, int)}
