"""Reads `.env` in the encodings of common editors, and expands `~` and `$VARIABLES` in addresses and folders."""

import codecs
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from cryptoml.errors import ConfigError

# UTF-32 first: its little-endian byte-order mark starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE_AS = "save it as UTF-8 text: in Notepad, Save as, Encoding UTF-8; in PowerShell, Set-Content -Encoding utf8"
# Names of variables that may hold a secret.
SECRET_NAMES = re.compile(r"TOKEN|PASS|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s]*@|[?&]\w*(?:password|token|secret)=", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


def encoding_of(path: Path) -> str:
    """Detect the encoding of a text file by its byte-order mark, else UTF-8; raises ConfigError if it is neither."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}.") from None
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in data:
        raise ConfigError(
            f"{path}: not UTF-8 text; it seems to be UTF-16 or UTF-32 without a byte-order mark.", hint=_SAVE_AS
        )
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not {encoding.upper()} text.", hint=_SAVE_AS) from None
    return encoding


def read_variables(path: Path) -> dict[str, str | None]:
    """Return the variables of the file, not expanded; empty if the file does not exist."""
    from dotenv import dotenv_values

    return dict(dotenv_values(path, interpolate=False, encoding=encoding_of(path))) if path.is_file() else {}


def expand_source(
    source: Mapping[str, str | None],
    expandable: Iterable[str],
    *,
    environ: Mapping[str, str] | None = None,
    overridden: Collection[str] = (),
) -> dict[str, str]:
    """Return the non-empty values of a source by upper-case name, with those of `expandable` names expanded.

    If a name occurs in several cases, the upper-case one is used. environ: the environment, if the source is `.env`.
    A value that cannot be expanded is omitted if its name is in `overridden`; otherwise this raises ConfigError.
    """
    values = {name.upper(): text for name, text in sorted(source.items(), key=lambda item: item[0].isupper()) if text}
    for name in values.keys() & set(expandable):
        try:
            values[name] = expand_variables(values[name], source, name=name, environ=environ)
        except ConfigError:
            if name not in overridden:
                raise
            del values[name]
    return values


def expand_variables(
    text: str, variables: Mapping[str, str | None], *, name: str, environ: Mapping[str, str] | None = None
) -> str:
    """Replace `~`, `$NAME` and `${NAME}` in an address or folder; `name` is the setting, for messages.

    variables: those of the setting's source, the environment or `.env`. environ: the environment, if the source is
    `.env`; its variables take precedence. Its secrets are not used: the `.env` of a cloned repository could send them
    to another host. In the user name and password of an address only `${NAME}` is expanded, because a password may
    contain a dollar sign. Raises ConfigError for a variable that is not set or must not be used.
    """

    def value(match: re.Match[str]) -> str:
        variable = match[1] or match[2]
        own, from_environ = variables.get(variable), (environ or {}).get(variable)
        # If the variable is the whole text, a secret in it and its host have the same source.
        if from_environ is not None and not _is_secret(variable, from_environ, is_whole_text=match[0] == text):
            return from_environ
        if own is not None:
            return own
        if from_environ is not None:
            raise ConfigError(
                f"{name} in .env: the environment variable {variable} may be a secret, so it is not copied into an "
                "address in .env.",
                hint=f"set {name} and {variable} in the same place, both in .env or both in the environment",
            )
        raise ConfigError(
            f"{name}: the variable {variable} is not set.", hint=f"set {variable}, or write the value itself"
        )

    scheme, login, rest = _parts(text)
    login = _replaced(login, value, braces_only=True)
    return scheme + login + _home(_replaced(rest, value, braces_only=False), scheme)


def _is_secret(variable: str, value: str, *, is_whole_text: bool) -> bool:
    """Return whether the variable may hold a secret: by its name, or by a user name and password in its value."""
    return bool(SECRET_NAMES.search(variable) or (_LOGIN.search(value) and not is_whole_text))


def _parts(text: str) -> tuple[str, str, str]:
    """Split an address into the scheme with its slashes, user name and password with the at sign, and the rest."""
    match = re.match(r"([A-Za-z][\w+.-]*:/{2,3})?(.*@)?(.*)$", text, flags=re.DOTALL)
    assert match is not None
    scheme = match[1] or ""
    if not scheme:
        return "", "", text
    return scheme, match[2] or "", match[3]


def _replaced(text: str, value: Callable[[re.Match[str]], str], *, braces_only: bool) -> str:
    return _VARIABLE.sub(lambda match: match[0] if braces_only and match[1] is None else value(match), text)


def _home(text: str, scheme: str) -> str:
    """Expand a leading `~` to the home folder, in folders and in the URLs of files."""
    if not text.startswith("~") or (scheme and not scheme.startswith(("sqlite", "file"))):
        return text
    return os.path.expanduser(text)  # noqa: PTH111 - the text is part of an address, not a path
