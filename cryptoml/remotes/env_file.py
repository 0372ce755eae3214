"""The project's `.env`: a few variables set, every other line as it was, mode 0600, one backup."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

from cryptoml.errors import AccessError, ConfigError
from cryptoml.system.dotenv_file import encoding_of
from cryptoml.system.files import write_atomically


def updated_text(text: str, values: Mapping[str, str]) -> str:
    """`text` with each variable set once: where it last stood, else at the end. Comments and order stay."""
    # dotenv.set_key writes one variable at a time, drops comments, keeps duplicates and an existing file's open mode.
    from dotenv.parser import parse_stream

    bindings = list(parse_stream(io.StringIO(text)))
    last = {binding.key: place for place, binding in enumerate(bindings) if binding.key in values}
    kept = []
    for place, binding in enumerate(bindings):
        original, name = binding.original.string, binding.key
        if name is None or name not in values:
            kept.append(original)
        elif last[name] == place:
            # The parser counts blank lines before a variable as its own.
            lead = original[: len(original) - len(original.lstrip())]
            kept.append(f"{lead}{_line(name, values[name])}")
    body = "".join(kept)
    missing = [_line(name, value) for name, value in values.items() if name not in last]
    if missing and body and not body.endswith("\n"):
        body += "\n"
    return body + "".join(missing)


def read_text(path: Path) -> str:
    """The file's text, empty when there is none; raises ConfigError where it is no text."""
    try:
        return path.read_text(encoding=encoding_of(path)) if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.", hint="move it away; it is written anew") from None


def write_variables(path: Path, values: Mapping[str, str]) -> bool:
    """Set the variables in the file; whether that changed anything. What was there is kept once, as `.env.bak`."""
    old = read_text(path)
    new = updated_text(old, values)
    try:
        if new == old and path.exists():
            path.chmod(0o600)
            return False
        if path.exists():
            write_atomically(path.with_name(f"{path.name}.bak"), old, private=True)
        write_atomically(path, new, private=True)
    except OSError as error:
        raise AccessError(f"{path}: cannot be written: {error.strerror}.", hint="make the folder yours") from None
    return True


def _line(name: str, value: str) -> str:
    plain = re.fullmatch(r"[\w./:@+,=-]*", value)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    text = value if plain else f"'{quoted}'"
    return f"{name}={text}\n"
