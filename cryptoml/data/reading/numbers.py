"""Numbers as people and sources write them: $1,234.50, 1.234,50 €, 48.31K; one notation per column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_CODES = "USDT|USDC|USD|EUR|GBP|JPY|CNY|KRW|BTC|ETH|TL|TRY|RUB|BRL|PLN|CHF|R"
_CURRENCY = re.compile(
    rf"^(?:{_CODES}|US|CA|AU|HK)?[$€£¥₩₹₽₺₿zł]*\s*|\s*[$€£¥₩₹₽₺₿]*(?:zł)?(?:{_CODES})?%?$", re.IGNORECASE
)
# The unit of a volume, such as 12.5 DOGE.
_UNIT = re.compile(r"(?<=\d) [A-Z]{3,6}$")
# Longer words first, as they begin like the shorter ones.
_FACTORS = {
    "bn": 1e9, "mn": 1e6, "mio": 1e6, "mrd": 1e9, "mil": 1e6, "tn": 1e12, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12,
}  # fmt: skip
_FACTOR = re.compile(rf"(?P<number>.*?[\d.,])\s*(?P<factor>{'|'.join(_FACTORS)})\.?", re.IGNORECASE)
# Digits with at most one mark of decimals; groups of thousands (in India of hundreds) before it.
_NUMBER = {
    decimal: re.compile(
        rf"[+-]?(?:\d{{1,3}}(?:\{thousands}\d{{2,3}})*\{thousands}\d{{3}}|\d*)(?:\{decimal}\d*)?(?:[eE][+-]?\d+)?"
    )
    for decimal, thousands in ((".", ","), (",", "."))
}
_GROUPS = re.compile(r"[+-]?\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*")
_POINTS = re.compile(r"[+-]?\d+(?:\.\d{3}){2,}")
# Spaces and apostrophes between digits separate thousands.
_SPACES = re.compile(r"(?<=\d)[\s'’\u00a0\u202f\u2009](?=\d{3})")
# No market has a price of this many units: dots between groups of digits come from a spreadsheet.
_LARGEST_PRICE = 1e12
# 998 beside 1.002 is not 998 times as much: the point separates thousands.
FAR = 50


class AmbiguousNumbersError(ValueError):
    """Numbers that can be read with a decimal comma or with commas between thousands."""


class DamagedNumbersError(ValueError):
    """Numbers whose decimal point a spreadsheet has replaced."""


@dataclass(frozen=True)
class Texts:
    """The distinct texts of a column without currency and factor. values: positions of the rows in `numbers`."""

    numbers: tuple[str, ...]
    factors: NDArray[np.float64]
    codes: NDArray[np.int64]


def to_numbers(*groups: Mapping[str, pd.Series[Any]]) -> dict[str, NDArray[np.float64]]:
    """Convert columns of text to float64, NaN where a text is no number.

    groups: the prices, then the volume; the columns of a group share the notation, and a group whose numbers can be
    read in two ways has that of the other. Raises AmbiguousNumbersError if no group is clear, DamagedNumbersError for
    numbers that a spreadsheet destroyed.
    """
    texts = [{name: _texts(column) for name, column in group.items()} for group in groups]
    numbers = [[number for one in group.values() for number in one.numbers] for group in texts]
    marks = [_decimal_mark(group) for group in numbers]
    clear = next((mark for mark in marks if mark is not None), None)
    found = {}
    for group, of_group, mark in zip(texts, numbers, marks, strict=True):
        decimal = mark or clear or _usual_mark(of_group)
        found.update({name: _values(one, decimal) for name, one in group.items()})
    return found


def _texts(column: pd.Series[Any]) -> Texts:
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(column)
    numbers, factors = [], []
    for value in distinct:
        text = _SPACES.sub("", str(value).strip().strip('"').replace("\N{MINUS SIGN}", "-"))
        text = _CURRENCY.sub("", _UNIT.sub("", text)).strip()
        found = _FACTOR.fullmatch(text)
        numbers.append(found["number"].strip() if found else text)
        factors.append(_FACTORS[found["factor"].lower()] if found else 1.0)
    return Texts(tuple(numbers), np.asarray(factors, dtype=np.float64), codes)


def _decimal_mark(numbers: Sequence[str]) -> str | None:
    """Return the mark of decimals in these numbers, a point or a comma; None if they can be read in two ways."""
    valid = [number for number in numbers if any(_is_number(number, mark) for mark in _NUMBER)]
    # Of both marks in one number, the last one is that of decimals.
    marks = {number[max(number.rfind("."), number.rfind(","))] for number in valid if "." in number and "," in number}
    if len(marks) == 1:
        return marks.pop()
    commas = [number for number in valid if "," in number]
    points = [number for number in valid if "." in number]
    grouped_by_points = [number for number in numbers if _POINTS.fullmatch(number)]
    if grouped_by_points:
        if any(_is_damaged(number) for number in grouped_by_points) or any(
            number.count(".") == 1 and not _GROUPS.fullmatch(number) for number in points
        ):
            raise DamagedNumbersError(grouped_by_points[0])
        return ","
    if any(number.count(",") > 1 for number in commas):
        return "."
    if commas and points:
        return "," if all(map(_is_grouped, points)) and not all(map(_is_grouped, commas)) else "."
    for used, decimal, thousands in ((commas, ",", "."), (points, ".", ",")):
        if used and not all(map(_is_grouped, used)):
            return decimal
        # 1,234 everywhere: with thousands, numbers below 1,000 have no comma.
        if used and _have_thousands(valid, decimal):
            return thousands
    return None


def _usual_mark(numbers: Sequence[str]) -> str:
    """Return the point, unless the numbers have commas."""
    commas = [number for number in numbers if "," in number and any(_is_number(number, mark) for mark in _NUMBER)]
    if commas:
        raise AmbiguousNumbersError(commas[0])
    return "."


def _is_grouped(number: str) -> bool:
    return bool(_GROUPS.fullmatch(number)) and not number.startswith(("0", "-0"))


def _have_thousands(numbers: Sequence[str], mark: str) -> bool:
    """Return whether numbers without the mark are those below 1,000.

    A decimal point is the usual one; so the numbers without a point must also be far from those with one.
    """
    whole = [int(number) for number in numbers if number.lstrip("+-").isdigit() and len(number.lstrip("+-")) <= 3]
    if mark == ",":
        return bool(whole)
    with_point = [float(number) for number in numbers if mark in number]
    return bool(whole) and min(whole) >= FAR * min(with_point, default=float("inf"))


def _is_damaged(number: str) -> bool:
    """Return whether a number with several points is none: a first group of more than three digits, or too large."""
    first, *others = number.lstrip("+-").split(".")
    return len(first) > 3 or float("".join([first, *others])) >= _LARGEST_PRICE


def _is_number(text: str, decimal: str) -> bool:
    return bool(_NUMBER[decimal].fullmatch(text)) and any(char.isdigit() for char in text.split("e")[0].split("E")[0])


def _values(texts: Texts, decimal: str) -> NDArray[np.float64]:
    import numpy as np

    thousands = "," if decimal == "." else "."
    found = np.full(len(texts.numbers) + 1, np.nan)
    for place, number in enumerate(texts.numbers):
        if _is_number(number, decimal):
            found[place] = float(number.replace(thousands, "").replace(decimal, "."))
    values: NDArray[np.float64] = (found[:-1] * texts.factors)[texts.codes]
    # factorize has the code -1 for missing values.
    return np.where(texts.codes < 0, np.nan, values)
