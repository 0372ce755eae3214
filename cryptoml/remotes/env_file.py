"""Set variables in the project's `.env`; keep all other lines, mode 0600 and one backup."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

from cryptoml.errors import AccessError, ConfigError
from cryptoml.system.dotenv_file import encoding_of
from cryptoml.system.files import write_atomically


def updated_text(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with each variable set once: at its last position, else at the end; comments and order are kept."""
    # dotenv.set_key writes one variable at a time, drops comments, keeps duplicates and an existing file's open mode.
    from dotenv.parser import parse_stream

    bindings = list(parse_stream(io.StringIO(text)))
    last = {binding.key: position for position, binding in enumerate(bindings) if binding.key in values}
    lines = []
    for position, binding in enumerate(bindings):
        original, name = binding.original.string, binding.key
        if name is None or name not in values:
            lines.append(original)
        elif last[name] == position:
            # The parser includes blank lines before a variable in its text.
            indent = original[: len(original) - len(original.lstrip())]
            lines.append(f"{indent}{_line(name, values[name])}")
    body = "".join(lines)
    missing = [_line(name, value) for name, value in values.items() if name not in last]
    if missing and body and not body.endswith("\n"):
        body += "\n"
    return body + "".join(missing)


def read_text(path: Path) -> str:
    """Return the file's text, empty if the file does not exist; raise ConfigError if it is unreadable."""
    try:
        return path.read_text(encoding=encoding_of(path)) if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not readable: {error}.", hint="move it away; it is then created again") from None


def write_variables(path: Path, values: Mapping[str, str]) -> bool:
    """Set variables in the file; return whether it changed. The previous content is kept in `.env.bak`."""
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
        raise AccessError(
            f"{path}: is not writable: {error.strerror}.", hint="make the folder writable for this user"
        ) from None
    return True


def _line(name: str, value: str) -> str:
    plain = re.fullmatch(r"[\w./:@+,=-]*", value)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    literal = value if plain else f"'{quoted}'"
    return f"{name}={literal}\n"
