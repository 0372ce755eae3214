"""Reads the UBJSON that XGBoost writes, with limits; XGBoost's own reader trusts lengths and nesting."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DEPTH = 32
# Values outside typed arrays. 10,000 trees, the maximum of a model, have about 300,000.
MAX_VALUES = 5_000_000

_LENGTH = struct.Struct(">q")
_NUMBERS = {marker: struct.Struct(f">{code}") for marker, code in zip(b"iUIlLdD", "bBhiqfd", strict=True)}
_TYPED = {marker: f">{code}" for marker, code in zip(b"UilLdD", ("u1", "i1", "i4", "i8", "f4", "f8"), strict=True)}
_CONSTANTS: dict[int, Any] = {ord("T"): True, ord("F"): False, ord("Z"): None}


@dataclass(frozen=True)
class TypedArray:
    """A typed array: `kind` is the element's UBJSON marker."""

    kind: str
    values: NDArray[Any]


@dataclass
class _Reader:
    """The data, the current position, and the number of values read."""

    data: bytes
    position: int = 0
    values: int = 0

    def byte(self) -> int:
        if self.position >= len(self.data):
            raise ValueError("the file is truncated")
        self.position += 1
        return self.data[self.position - 1]

    def expect(self, marker: str) -> None:
        byte = self.byte()
        if byte != ord(marker):
            raise ValueError(f"byte {self.position - 1} is {bytes([byte])!r}, not {marker!r}")

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.position:
            raise ValueError(
                f"byte {self.position} declares {size:,} bytes, but {len(self.data) - self.position:,} remain"
            )
        self.position += size
        return self.data[self.position - size : self.position]

    def length(self) -> int:
        self.expect("L")
        size: int = _LENGTH.unpack(self.take(8))[0]
        return size

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")


def read_ubj(data: bytes) -> dict[str, Any]:
    """Parse a UBJSON document and return its top object; raises ValueError unless XGBoost could have written it.

    Objects become dicts, arrays lists, typed arrays `TypedArray` views of `data`. Every length is
    compared with the remaining bytes before memory is allocated. Not recursive.
    """
    reader = _Reader(data)
    reader.expect("{")
    top: dict[str, Any] = {}
    # Open containers with the number of missing elements of an array (-1 for an object).
    stack: list[tuple[dict[str, Any] | list[Any], int]] = [(top, -1)]
    while stack:
        container, left = stack.pop()
        key = ""
        if isinstance(container, dict):
            if reader.data[reader.position : reader.position + 1] == b"}":
                reader.position += 1
                continue
            key = reader.text()
            if key in container:
                raise ValueError(f"duplicate key {key[:50]!r}")
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
                raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
            stack.append((value, opened))
    if reader.position != len(data):
        raise ValueError(f"{len(data) - reader.position:,} bytes follow its end")
    return top


def _value(reader: _Reader) -> tuple[Any, int | None]:
    """Read a value; for a container also return the number of elements to read (-1 for an object)."""
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
    raise ValueError(f"byte {reader.position - 1} is {bytes([marker])!r}, not the start of a value")


def _array(reader: _Reader) -> tuple[Any, int | None]:
    import numpy as np

    marker = reader.byte()
    if marker == ord("#"):
        size = reader.length()
        if not 0 <= size <= len(reader.data) - reader.position:
            remaining = len(reader.data) - reader.position
            raise ValueError(f"byte {reader.position} declares {size:,} values, but {remaining:,} bytes remain")
        return [], size
    if marker != ord("$"):
        raise ValueError(f"byte {reader.position - 1} is {bytes([marker])!r}, not the length of an array")
    kind = reader.byte()
    if kind not in _TYPED:
        raise ValueError(f"byte {reader.position - 1} is {bytes([kind])!r}, not the type of an array")
    reader.expect("#")
    dtype = np.dtype(_TYPED[kind])
    size = reader.length()
    return TypedArray(chr(kind), np.frombuffer(reader.take(size * dtype.itemsize), dtype=dtype)), None
