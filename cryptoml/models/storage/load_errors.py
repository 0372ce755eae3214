"""Translates errors of libraries for a file with valid types but invalid values."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptoml.errors import DataError
from cryptoml.models.storage.archive import FETCH_AGAIN

# Raised by skops, scikit-learn, XGBoost and numpy.
LIBRARY_ERRORS = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, ImportError, MemoryError,
    EOFError, OSError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def translate_load_errors(path: Path) -> Iterator[None]:
    """Raise DataError for an error of the library that loads the file."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise DataError(f"{path}: cannot be loaded ({short_message(error)}).", hint=FETCH_AGAIN) from error


def short_message(error: BaseException) -> str:
    """Return the type and the first 200 characters of an error, as one line."""
    # XGBoost appends the addresses of its call stack.
    text = " ".join(str(error).partition("Stack trace")[0].split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
