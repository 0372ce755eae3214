"""Reads the UBJSON that XGBoost writes, with bounds: XGBoost's own reader trusts lengths and nesting."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DEPTH = 32
# Values and keys outside typed arrays. 10,000 trees, the most a model may have, take about 300,000.
MAX_VALUES = 5_000_000

_LENGTH = struct.Struct(">q")
_NUMBERS = {marker: struct.Struct(f">{code}") for marker, code in zip(b"iUIlLdD", "bBhiqfd", strict=True)}
_TYPED = {marker: f">{code}" for marker, code in zip(b"UilLdD", ("u1", "i1", "i4", "i8", "f4", "f8"), strict=True)}
_CONSTANTS: dict[int, Any] = {ord("T"): True, ord("F"): False, ord("Z"): None}


@dataclass(frozen=True)
class Typed:
    """A typed array: `kind` is the element's UBJSON marker."""

    kind: str
    values: NDArray[Any]


@dataclass
class _Reader:
    """The bytes, the place in them, and how many values were read."""

    data: bytes
    at: int = 0
    values: int = 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise ValueError("it ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def expect(self, marker: str) -> None:
        found = self.byte()
        if found != ord(marker):
            raise ValueError(f"byte {self.at - 1} is {bytes([found])!r}, not {marker!r}")

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError(f"byte {self.at} announces {size:,} bytes, {len(self.data) - self.at:,} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def length(self) -> int:
        self.expect("L")
        size: int = _LENGTH.unpack(self.take(8))[0]
        return size

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")


def read_ubj(data: bytes) -> dict[str, Any]:
    """The top object of a UBJSON document; raises ValueError for anything that XGBoost would not have written.

    Objects become dicts, arrays lists, typed arrays `Typed` views of `data`. Not recursive. Every length is held
    against the bytes that are left before anything is allocated.
    """
    reader = _Reader(data)
    reader.expect("{")
    top: dict[str, Any] = {}
    # Open containers, each with the number of elements an array still lacks (-1 for an object).
    stack: list[tuple[dict[str, Any] | list[Any], int]] = [(top, -1)]
    while stack:
        container, left = stack.pop()
        key = ""
        if isinstance(container, dict):
            if reader.data[reader.at : reader.at + 1] == b"}":
                reader.at += 1
                continue
            key = reader.text()
            if key in container:
                raise ValueError(f"the key {key[:50]!r} is there twice")
        elif left == 0:
            continue
        stack.append((container, left - 1 if left > 0 else left))
        value, opened = _value(reader)
        if isinstance(container, dict):
            container[key] = value
        else:
            container.append(value)
        if opened is not None:
            if len(stack) >= MAX_DEPTH:
                raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
            stack.append((value, opened))
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at:,} bytes follow its end")
    return top


def _value(reader: _Reader) -> tuple[Any, int | None]:
    """The next value, and for a container to be filled its number of elements (-1 for an object)."""
    reader.values += 1
    if reader.values > MAX_VALUES:
        raise ValueError(f"it has more than {MAX_VALUES:,} values")
    marker = reader.byte()
    if marker in _CONSTANTS:
        return _CONSTANTS[marker], None
    if marker in _NUMBERS:
        number = _NUMBERS[marker]
        return number.unpack(reader.take(number.size))[0], None
    if marker == ord("S"):
        return reader.text(), None
    if marker == ord("{"):
        return {}, -1
    if marker == ord("["):
        return _array(reader)
    raise ValueError(f"byte {reader.at - 1} is {bytes([marker])!r}, which starts no value")


def _array(reader: _Reader) -> tuple[Any, int | None]:
    import numpy as np

    marker = reader.byte()
    if marker == ord("#"):
        size = reader.length()
        if not 0 <= size <= len(reader.data) - reader.at:
            raise ValueError(f"byte {reader.at} announces {size:,} values, {len(reader.data) - reader.at:,} are left")
        return [], size
    if marker != ord("$"):
        raise ValueError(f"byte {reader.at - 1} is {bytes([marker])!r} in place of an array's length")
    kind = reader.byte()
    if kind not in _TYPED:
        raise ValueError(f"byte {reader.at - 1} is {bytes([kind])!r}, which is no array's type")
    reader.expect("#")
    dtype = np.dtype(_TYPED[kind])
    size = reader.length()
    return Typed(chr(kind), np.frombuffer(reader.take(size * dtype.itemsize), dtype=dtype)), None
