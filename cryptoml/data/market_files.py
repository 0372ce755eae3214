"""The candle files of several markets: from paths, folders, patterns and symbols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptoml.data.project_files import candle_files, data_folders
from cryptoml.data.symbols import UNKNOWN, normalize_symbol, symbol_from_file_name
from cryptoml.errors import UsageError

_PATTERN = frozenset("*?[")


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the candle files: a folder stands for those in it, a pattern such as raw/*.csv for those that match.

    Sorted within a folder or pattern, each file once. Raises UsageError for a folder or pattern without candle files;
    whether other files exist is not checked.
    """
    found: dict[Path, None] = {}
    for path in paths:
        files = _files_of(path)
        if not files:
            raise UsageError(f"{path}: no candle file found.", hint="name the files with --data")
        found |= dict.fromkeys(files)
    return list(found)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return candle_files(path)
    if _PATTERN & set(str(path)) and not path.exists():
        folder = Path(path.anchor)
        pattern = path.relative_to(folder) if path.anchor else path
        return sorted(file for file in folder.glob(str(pattern)) if file.is_file())
    return [path]


def find_symbols(project: Path, symbols: Sequence[str]) -> list[Path]:
    """Return the latest candle file of each symbol under data/, by the symbol in its name; processed files first.

    Raises UsageError for a symbol without a file.
    """
    by_symbol: dict[str, Path] = {}
    for folder in data_folders(project):
        newest_first = sorted(candle_files(folder), key=lambda file: -file.stat().st_mtime)
        for file in newest_first:
            by_symbol.setdefault(symbol_from_file_name(file.name), file)
    by_symbol.pop(UNKNOWN, None)
    missing = [symbol for symbol in symbols if normalize_symbol(symbol) not in by_symbol]
    if missing:
        known = f"there are files of {', '.join(sorted(by_symbol))}" if by_symbol else "no file name has a symbol"
        raise UsageError(
            f"{', '.join(missing)}: no candle file under {project / 'data'}; {known}.",
            hint=f"cryptoml extract-data --symbol {missing[0]}",
        )
    return list(dict.fromkeys(by_symbol[normalize_symbol(symbol)] for symbol in symbols))
